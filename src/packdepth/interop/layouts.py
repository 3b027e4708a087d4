"""Identification of foreign networks: which of ours a set of tensors is, by their names and shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from packdepth.networks.blocks import DepthNetworkBlock, PoseBlock

RESNETS: tuple[Literal[18, 34, 50], ...] = (18, 34, 50)  # numbers of layers
GROUPS = 6  # groups of tensors that an error lists before it counts the others, so that it stays readable


@dataclass(frozen=True)
class Extra:
    """Tensors of a file that belong to no network of ours and are left out on purpose."""

    pattern: str  # regular expression that their names match
    what: str  # their description, in words


CLASSIFIER = Extra(r"(.*\.)?fc\.(weight|bias)", "the encoder's classifier, which nothing uses")


@dataclass(frozen=True)
class Layout:
    """One of our networks under the names that another project gives its tensors."""

    title: str  # the other project's name of the network
    config: DepthNetworkBlock | PoseBlock  # the block of our network
    name: Callable[[str], str] = lambda ours: ours  # maps our name of a tensor to theirs
    extra: Extra | None = None  # tensors to leave out

    def build(self) -> nn.Module:
        """Return the network with initial weights."""
        return self.config.assemble()


@dataclass(frozen=True)
class Fit:
    """The result of a comparison of tensors with a layout; all of them fit if `problems` is empty."""

    layout: Layout  # layout that the tensors are compared with
    weights: dict[str, Tensor]  # tensors that fit, under our names
    missing: list[str]  # names, as in the other fields theirs, of tensors that the network needs but the file lacks
    unexpected: list[str]  # names of tensors that the network does not have
    misshapen: list[str]  # names of tensors of another shape, with both shapes
    left_out: list[str]  # names of tensors that are left out on purpose

    @property
    def problems(self) -> str:
        """The names that do not fit, as the end of a sentence; empty if everything fits."""
        parts = {"missing": self.missing, "unexpected": self.unexpected}
        texts = [f"{label} {grouped(names)}" for label, names in parts.items() if names]
        if self.misshapen:
            more = len(self.misshapen) - GROUPS
            listed = ", ".join(self.misshapen[:GROUPS]) + (f" and {more} more" if more > 0 else "")
            texts.append(f"of another shape {listed}")
        return "; ".join(texts)


def best_fit(tensors: dict[str, Tensor], layouts: Sequence[Layout]) -> Fit:
    """Return the fit of the first layout that all tensors fit, otherwise of the layout that most tensors fit.

    Args:
        tensors: the tensors under their own names.
        layouts: the layouts to compare them with.
    """
    fits = []
    for layout in layouts:
        fits.append(fit(tensors, layout))
        if not fits[-1].problems:
            return fits[-1]
    return max(fits, key=lambda fit: len(fit.weights))


def fit(tensors: dict[str, Tensor], layout: Layout) -> Fit:
    """Compare tensors with a layout.

    Args:
        tensors: the tensors under their own names.
        layout: the layout.
    """
    with torch.device("meta"):
        own = layout.build().state_dict()
    names = {layout.name(ours): ours for ours in own}
    weights, misshapen = {}, []
    for name, ours in names.items():
        found, needed = tensors.get(name), own[ours]
        if found is not None and found.shape == needed.shape:
            weights[ours] = found
        elif found is not None:
            misshapen.append(f"{name} {list(found.shape)} for {list(needed.shape)}")
    others = [name for name in tensors if name not in names]
    left_out = [name for name in others if layout.extra and re.fullmatch(layout.extra.pattern, name)]
    return Fit(
        layout=layout,
        weights=weights,
        missing=[name for name in names if name not in tensors],
        unexpected=[name for name in others if name not in left_out],
        misshapen=misshapen,
        left_out=left_out,
    )


def grouped(names: Iterable[str]) -> str:
    """Return names of tensors as text, grouped by the module that they belong to.

    Args:
        names: the names.

    >>> grouped(["conv1.0.weight", "conv1.0.bias", "scale"])
    'conv1.0 (weight, bias), scale'
    """
    names = list(names)
    modules = _by(names, lambda name: name.rpartition(".")[0])
    if len(modules) <= GROUPS:
        return ", ".join(
            f"{module} ({', '.join(name.rpartition('.')[2] for name in members)})" if module else ", ".join(members)
            for module, members in modules.items()
        )
    parts = list(_by(names, lambda name: ".".join(name.split(".")[:2])).items())
    if len(parts) > GROUPS:
        parts = list(_by(names, lambda name: name.partition(".")[0]).items())
    listed = [f"{part} ({len(members)} tensor{'s' if len(members) > 1 else ''})" for part, members in parts[:GROUPS]]
    more = sum(len(members) for _, members in parts[GROUPS:])
    return ", ".join(listed) + (f" and {more} more tensors" if more else "")


def _by(names: list[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(key(name), []).append(name)
    return groups
