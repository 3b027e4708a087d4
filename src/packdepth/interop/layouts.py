"""Which of our networks a set of foreign tensors is, by their names and shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from packdepth.networks.blocks import DepthNetworkBlock, PoseBlock

RESNETS: tuple[Literal[18, 34, 50], ...] = (18, 34, 50)  # numbers of layers
GROUPS = 6  # of tensors that an error lists in full


@dataclass(frozen=True)
class Extra:
    """Tensors that a file holds beside a network's own and that are knowingly left out."""

    pattern: str  # of their names
    what: str


CLASSIFIER = Extra(r"(.*\.)?fc\.(weight|bias)", "the encoder's classifier, which nothing uses")


@dataclass(frozen=True)
class Layout:
    """One of our networks under the names that another project gives its tensors."""

    title: str  # the other project's name of the network
    config: DepthNetworkBlock | PoseBlock
    name: Callable[[str], str] = lambda ours: ours  # their name of a tensor of ours
    extra: Extra | None = None

    def build(self) -> nn.Module:
        """The network, with initial weights."""
        return self.config.assemble()


@dataclass(frozen=True)
class Fit:
    """How well tensors fit a layout; all of them do if `problems` is empty."""

    layout: Layout
    weights: dict[str, Tensor]  # that fit, under our names
    missing: list[str]  # this and what follows: under their names
    unexpected: list[str]
    misshapen: list[str]  # with both shapes
    left_out: list[str]

    @property
    def problems(self) -> str:
        """What does not fit, in part of a sentence."""
        parts = {"missing": self.missing, "unexpected": self.unexpected}
        texts = [f"{label} {grouped(names)}" for label, names in parts.items() if names]
        if self.misshapen:
            more = len(self.misshapen) - GROUPS
            listed = ", ".join(self.misshapen[:GROUPS]) + (f" and {more} more" if more > 0 else "")
            texts.append(f"of another shape {listed}")
        return "; ".join(texts)


def best_fit(tensors: dict[str, Tensor], layouts: Sequence[Layout]) -> Fit:
    """The layout that the tensors fit, or else the one that most of them fit."""
    fits = []
    for layout in layouts:
        fits.append(fit(tensors, layout))
        if not fits[-1].problems:
            return fits[-1]
    return max(fits, key=lambda fit: len(fit.weights))


def fit(tensors: dict[str, Tensor], layout: Layout) -> Fit:
    """Compare tensors, by their own names, with a layout."""
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
    """Names of tensors by the module that they belong to: `conv1.0 (weight, bias), pack1 (6 tensors)`."""
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
