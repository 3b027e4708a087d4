"""Checkpoints that a run file names, and the initial weights of its networks from them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from packdepth import checkpoint
from packdepth.config import Run
from packdepth.errors import InputError, InputWarning
from packdepth.networks.uncertainty import is_log_scale
from packdepth.sharing.address import located


def checkpoint_at(field: str, named: str | Path) -> Path:
    """Return the path of a checkpoint that a run file names; what an address names is fetched if it is not there yet.

    The run keeps the address, so that the paths of one machine do not enter its checkpoints.

    Args:
        field: the field that names it, for messages, such as "initial.depth".
        named: a path, or an address of `sharing.address`.

    Raises InputError if it cannot be fetched.

    >>> checkpoint_at("initial.depth", "file:///nowhere")
    Traceback (most recent call last):
    packdepth.errors.InputError: initial.depth: file:///nowhere: not found; file:// is followed by an absolute path, \
as in file:///home/me
    """
    try:
        return located(named)
    except InputError as error:
        raise InputError(f"{field}: {error}") from error


def guiding_checkpoint(run: Run) -> Path | None:
    """Return the path of the segmentation network of packdepth that guides the depth of a run; None without one.

    Args:
        run: the run.

    Raises InputError if it cannot be fetched.
    """
    guidance = run.networks.depth.guidance
    named = None if guidance is None else guidance.semantics.checkpoint_name
    return None if named is None else checkpoint_at("networks.depth.guidance.semantics.checkpoint", named)


def load_initial(run: Run, networks: Mapping[str, nn.Module], resumes: bool = False) -> None:
    """Load the initial weights of the networks of a run, and switch off the gradients of frozen networks.

    They come from the checkpoints that `initial` names, or else from where the network's block says.

    Args:
        run: the run.
        networks: the networks by name: `depth`, and `pose` if there is one.
        resumes: whether the weights of an interrupted training will be restored: initial ones are then not read.

    Raises InputError if a checkpoint cannot be read, or holds another network, or if a frozen network was trained on
    another image size.
    """
    for name, network in networks.items():
        path: Path | None = getattr(run.initial, name)
        if not resumes:
            if path is not None:
                _load(run, network, name, checkpoint_at(f"initial.{name}", path))
            else:
                getattr(run.networks, name).start(network)
        if is_frozen(run, name):
            network.requires_grad_(False)


def is_frozen(run: Run, name: str) -> bool:
    """Return whether the weights of a network are frozen.

    Args:
        run: the run, which has the network.
        name: `depth` or `pose`.
    """
    return bool(getattr(run.networks, name).frozen)


def _accept_size(of: str, trained: tuple[int, int], size: tuple[int, int], frozen: bool) -> None:
    """Warn of a network that was trained on images of another size; raise InputError if it cannot adapt."""
    height, width = size
    words = f"{of} was trained on images of {trained[0]}x{trained[1]}, but data.image_size is {height}x{width}"
    if frozen:
        raise InputError(f"{words}, and a frozen network cannot adapt to it; give the same size, or leave out frozen")
    warnings.warn(f"{words}: it may be inaccurate until it has trained on this size", InputWarning, stacklevel=2)


def _load(run: Run, network: nn.Module, name: str, path: Path) -> None:
    content = checkpoint.read(path)
    ours, theirs = getattr(run.networks, name), getattr(content.run.networks, name)
    if theirs is None:
        raise InputError(f"initial.{name}: {path} holds no networks.{name}; give a checkpoint that does")
    own, other = ours.architecture(), theirs.architecture()
    if own.get("uncertainty") and not other["uncertainty"] and ours.frozen:
        raise InputError(
            f"initial.{name}: {path} predicts no uncertainty, and networks.{name} is frozen, so that nothing would "
            f"train it; leave out networks.{name}.uncertainty, or frozen"
        )
    other |= {key: own[key] for key in ("uncertainty",) if key in own}  # its output begins random, or is left out
    if own | {"scale": other["scale"]} == other != own:
        raise InputError(
            f"initial.{name}: {path} has the scale {other['scale']:g} (packdepth calibrate), but networks.{name} "
            f"{own['scale']:g}; write networks.{name}.scale: {other['scale']!r} in the run file"
        )
    if own != other:
        raise InputError(
            f"initial.{name}: {path} holds the network {other}, but networks.{name} is {own}; "
            f"describe the same network in the run file"
        )
    if run.image_size != content.run.image_size:
        _accept_size(f"initial.{name}: {path}", content.run.image_size, run.image_size, ours.frozen)
    prefix = f"{name}."
    weights = {key.removeprefix(prefix): value for key, value in content.weights.items() if key.startswith(prefix)}
    current = network.state_dict()
    kept = {key: value for key, value in weights.items() if key in current or not is_log_scale(key)}
    checkpoint.fill(network, {key: value for key, value in current.items() if is_log_scale(key)} | kept, path)
