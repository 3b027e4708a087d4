"""The state of a trainer is whole and of the checkpoint beside it, or refused in a sentence before the first step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from faults import readers
from torch import nn

from packdepth import checkpoint
from packdepth.errors import InputError
from packdepth.training.resumed_state import PARTS, check_state


class Networks(nn.Module):
    """Networks whose names are like those of a training module."""

    def __init__(self, width: int = 3, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.depth = nn.Linear(2, width)


def written(folder: Path, networks: Networks, **changes: Any) -> Path:
    """Write a checkpoint of networks and the trainer's state, with some of its parts changed."""
    (path, *_) = readers.READERS["checkpoint"].write(folder)
    found = checkpoint.read(path.parent)
    weights = dict(networks.state_dict())
    checkpoint.write(path.parent, checkpoint.Checkpoint(found.run, found.meta, weights))
    content: dict[str, Any] = dict.fromkeys(PARTS) | {"global_step": found.meta.step, "state_dict": weights}
    torch.save(content | changes, path.parent / checkpoint.TRAINER_STATE)
    return path.parent / checkpoint.TRAINER_STATE


def checked(state: Path, networks: Networks) -> None:
    check_state(state, checkpoint.read_description(state.parent)[1], networks)


def test_a_state_of_its_checkpoint_is_accepted(tmp_path: Path) -> None:
    checked(written(tmp_path, Networks()), Networks(seed=1))


def test_states_of_other_trainings_are_refused(tmp_path: Path) -> None:
    state = written(tmp_path, Networks())
    with pytest.raises(InputError, match=r"trainer\.ckpt: is of other networks \(depth\.weight\); copy both from one"):
        checked(state, Networks(width=4))
    cases: list[tuple[str, dict[str, Any]]] = [
        ("is of step 8, but the checkpoint beside it of step 7", {"global_step": 8}),
        (r"holds other weights than .* such as depth\.", {"state_dict": Networks(seed=1).state_dict()}),
        (r"is of other networks \(it has none\)", {"state_dict": []}),
    ]
    for words, changes in cases:
        written(tmp_path, Networks(), **changes)
        with pytest.raises(InputError, match=words):
            checked(state, Networks())
    torch.save({"epoch": 1}, state)
    with pytest.raises(InputError, match=r"is no state of a training \(it lacks global_step, state_dict"):
        checked(state, Networks())
