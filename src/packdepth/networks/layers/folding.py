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

    Args:
        module: the module, a copy of the one that is trained.

    >>> from packdepth.networks.layers.packing import PackLayerConv3d
    >>> fold(nn.Sequential(PackLayerConv3d(16, kernel=3, features=2)))[0].__class__.__name__
    'FoldedConv2D'
    """
    if isinstance(module, Foldable):
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
