"""A run is resumed on the data that it began with, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from packdepth import checkpoint
from packdepth.config import Run
from packdepth.errors import InputError
from packdepth.objectives import Objective
from packdepth.training.module import DepthModule
from packdepth.training.processes import process_line
from packdepth.training.run import train


def test_a_frame_that_vanished_is_told_before_the_first_step(
    run_values: dict[str, Any], moving_clip: Path, tmp_path: Path
) -> None:
    clip, output = shutil.copytree(moving_clip, tmp_path / "clip"), tmp_path / "run"
    run_values["data"] |= {"train": [{"kind": "folder", "root": str(clip)}], "val": []}
    run_values["training"] |= {"epochs": 1, "epoch_steps": 1}
    train(run_values, output)
    (clip / "frames.csv").write_text("".join((clip / "frames.csv").read_text().splitlines(keepends=True)[:-1]))
    for path in clip.glob("*/000005.png"):
        path.unlink()
    longer = run_values | {"training": run_values["training"] | {"epochs": 2}}
    with pytest.raises(InputError, match=r"run: its data has changed .*: clip folder/clip had 6 frames, and has 5 now"):
        train(longer, output, resume=True)
    assert checkpoint.read_description(output / "last")[1].epoch == 1

    state = torch.load(output / "last" / checkpoint.TRAINER_STATE, weights_only=True)
    del state["callbacks"]["SameData"]  # as earlier versions wrote it
    torch.save(state, output / "last" / checkpoint.TRAINER_STATE)
    train(longer, output, resume=True)
    assert checkpoint.read_description(output / "last")[1].epoch == 2


@pytest.mark.parametrize(
    ("networks", "said"),
    [
        ({"depth": {"kind": "packnet", "preset": "tiny", "dropout": 0.1}, "pose": {"kind": "posenet"}}, "2; dropout: "),
        ({"depth": {"kind": "depth_resnet"}, "pose": {"kind": "posenet"}}, "2; batch statistics: of each process"),
        (
            {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet", "sparsity": {}}},
            "2; sparsity: of each process, so that its numbers differ from those of one process",
        ),
        (
            {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
            "2, which train like one but for the rounding of floats",
        ),
    ],
)
def test_several_processes_say_what_they_do_not_share(
    networks: dict[str, Any], said: str, run_values: dict[str, Any]
) -> None:
    run = Run.model_validate(run_values | {"networks": networks})
    assert process_line(2, DepthModule(run, Objective(run.objective), steps=1)).startswith(said)
