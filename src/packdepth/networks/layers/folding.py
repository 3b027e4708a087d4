"""Modules that compute with their parameters, and their forms for export, in which this has been done."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class Foldable(Protocol):
    """A module that computes with its parameters, and has a form for export in which this has been done."""

    def folded(self) -> nn.Module:
        """Return the module for export: another one, or this one, changed in place."""


def fold(module: nn.Module) -> nn.Module:
    """Return a module for export: itself, changed in place, or for a `Foldable` what its `folded` returns.

    A class that is derived from a `Foldable` and has its own `forward`, but no `folded` of its own, computes something
    else than what the inherited `folded` gives. Of such a module only the parts are folded.

    Args:
        module: the module, a copy of the one that is trained.

    >>> from packdepth.networks.layers.packing import PackLayerConv3d
    >>> fold(nn.Sequential(PackLayerConv3d(16, kernel=3, features=2)))[0].__class__.__name__
    'FoldedConv2D'
    """
    if isinstance(module, Foldable) and _level(module, "folded") <= _level(module, "forward"):
        return module.folded()
    fold_parts(module)
    return module


def fold_parts(module: nn.Module) -> None:
    """Fold the parts of a module in place.

    Args:
        module: the module.

    >>> from packdepth.networks.layers.upsampling import Refinement
    >>> layers = nn.Sequential(Refinement())
    >>> fold_parts(layers)
    >>> layers[0].__class__.__name__
    'FoldedRefinement'
    """
    for name, part in module.named_children():
        setattr(module, name, fold(part))


def _level(module: nn.Module, method: str) -> int:
    """Return how far up the bases of a module's class a method is defined: 0 for the class itself."""
    return next(level for level, base in enumerate(type(module).__mro__) if method in vars(base))
