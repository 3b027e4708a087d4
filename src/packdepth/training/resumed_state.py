"""Check of a trainer's state before a training goes on from it: it is whole, and of the checkpoint beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from packdepth import checkpoint
from packdepth.errors import InputError
from packdepth.reading import read_state, read_weights_file

PARTS = ("epoch", "global_step", "state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks")
"""Parts of the state that Lightning writes and needs."""


def check_state(state: Path, meta: checkpoint.Meta, module: nn.Module) -> None:
    """Raise InputError unless a trainer's state is whole and holds the same weights as the checkpoint beside it.

    Args:
        state: the file, in the folder of the checkpoint.
        meta: the description of the checkpoint.
        module: the training module that it is for.
    """
    content = read_state(state)
    advice = "copy both from one training, or train again"
    missing = [name for name in PARTS if name not in content]
    if missing:
        raise InputError(f"{state}: is no state of a training (it lacks {', '.join(missing)}); {advice}")
    if content["global_step"] != meta.step:
        raise InputError(
            f"{state}: is of step {content['global_step']}, but the checkpoint beside it of step {meta.step}; {advice}"
        )
    mine = module.state_dict()
    other = _difference(content["state_dict"], {name: (value.shape, value.dtype) for name, value in mine.items()})
    if other is not None:
        raise InputError(f"{state}: is of other networks ({other}); {advice}")
    for name, weight in read_weights_file(state.parent / checkpoint.WEIGHTS).items():
        if not torch.equal(content["state_dict"][name], weight):
            raise InputError(f"{state}: holds other weights than the checkpoint beside it, such as {name}; {advice}")


def _difference(found: Any, wanted: dict[str, tuple[torch.Size, torch.dtype]]) -> str | None:
    """Return the name of the first tensor that differs in shape or dtype, or is missing or too much; None if none."""
    if not isinstance(found, dict):
        return "it has none"
    for name in [*wanted, *found]:
        value = found.get(name)
        if name not in wanted or not isinstance(value, Tensor) or (value.shape, value.dtype) != wanted[name]:
            return str(name)
    return None
