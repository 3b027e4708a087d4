"""What a run takes from checkpoints: first weights of its networks, and the scale of a depth network that stays."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from packdepth import checkpoint
from packdepth.config import Run
from packdepth.errors import InputError


def load_initial(run: Run, networks: dict[str, nn.Module]) -> None:
    """Load the weights that a run begins with, and fix those of frozen networks.

    Args:
        run: the run.
        networks: by their names, `depth` and `pose`.

    Raises InputError if a checkpoint cannot be read or is of another network.
    """
    for name, network in networks.items():
        path: Path | None = getattr(run.initial, name)
        if path is not None:
            _load(network, name, path)
        network.requires_grad_(not is_frozen(run, name))


def is_frozen(run: Run, name: str) -> bool:
    """Whether the weights of a network, `depth` or `pose`, stay as they are."""
    return bool(getattr(run.networks, name).frozen)


def inherited_scale(run: Run) -> str | None:
    """Where the depth of a frozen network has its metric scale from; None if it is trained, or not metric."""
    if not run.networks.depth.frozen or run.initial.depth is None:
        return None
    meta = checkpoint.read_description(run.initial.depth)[1]
    return meta.scale_source if meta.metric else None


def _load(network: nn.Module, name: str, path: Path) -> None:
    weights = checkpoint.read(path).weights
    prefix = f"{name}."
    own = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"initial.{name}: {path}: its weights do not fit networks.{name} ({reason}...); "
            f"describe the same network in both"
        ) from None
