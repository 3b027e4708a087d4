"""What a run takes from checkpoints: first weights of its networks, and the scale of a depth network that stays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from packdepth import checkpoint
from packdepth.config import Run
from packdepth.errors import InputError


def load_initial(run: Run, networks: Mapping[str, nn.Module]) -> None:
    """Load the weights that a run begins with, and fix those of frozen networks.

    Args:
        run: the run.
        networks: by their names, `depth` and, where there is one, `pose`.

    Raises InputError if a checkpoint cannot be read, or is of another network or another image size.
    """
    for name, network in networks.items():
        path: Path | None = getattr(run.initial, name)
        if path is not None:
            _load(run, network, name, path)
        network.requires_grad_(not is_frozen(run, name))


def is_frozen(run: Run, name: str) -> bool:
    """Whether the weights of a network that the run has, `depth` or `pose`, stay as they are."""
    return bool(getattr(run.networks, name).frozen)


def inherited_scale(run: Run) -> str:
    """Where the scale of a frozen depth network comes from, such as "velocity (speed)" or "none"."""
    assert run.initial.depth is not None
    return checkpoint.read_description(run.initial.depth)[1].scale_source


def _load(run: Run, network: nn.Module, name: str, path: Path) -> None:
    content = checkpoint.read(path)
    ours, theirs = getattr(run.networks, name), getattr(content.run.networks, name)
    if theirs is None:
        raise InputError(f"initial.{name}: {path} holds no networks.{name}; give a checkpoint that does")
    own, other = ours.architecture(), theirs.architecture()
    if own != other:
        raise InputError(
            f"initial.{name}: {path} holds the network {other}, but networks.{name} is {own}; "
            f"describe the same network in the run file"
        )
    if run.image_size != content.run.image_size:
        raise InputError(
            f"initial.{name}: {path} was trained on images of {list(content.run.image_size)}, but data.image_size is "
            f"{list(run.image_size)}; give the same in the run file"
        )
    prefix = f"{name}."
    weights = {key.removeprefix(prefix): value for key, value in content.weights.items() if key.startswith(prefix)}
    network.load_state_dict(weights)
