"""Gradients that are no numbers: their steps are skipped, their frames named, and no checkpoint holds them."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from PIL import Image

from packdepth import checkpoint
from packdepth.config import Run
from packdepth.errors import InputError
from packdepth.objectives import Objective, Photometric, Term
from packdepth.records import Batch, Outputs
from packdepth.sources import Folder
from packdepth.training.data import RunData
from packdepth.training.module import DepthModule
from packdepth.training.run import train

TRIALS = 3  # evaluations of the objective before the first step


class Spike(Term):
    """A term of value 0 whose gradient is infinite for some frames, once it was tried on the first samples."""

    kind: Literal["spike"] = "spike"
    frames: tuple[str, ...] = ()
    seen: ClassVar[list[bool]] = []

    def __call__(self, outputs: Outputs, batch: Batch) -> torch.Tensor:
        value = outputs.inv_depths[0].mean()
        is_tried = len(Spike.seen) < TRIALS
        has_spike = not is_tried and bool(self.frames) and any(name.endswith(self.frames) for name in batch.names)
        Spike.seen.append(has_spike)
        return (value - value.detach()).sqrt() if has_spike else value * 0


def with_spikes(values: dict[str, Any], *frames: str) -> Run:
    """The run with spikes at frames, without validation."""
    Spike.seen.clear()
    data = values["data"] | {"val": []}
    run = Run.model_validate(values | {"data": data})
    return run.model_copy(update={"objective": [Photometric(), Spike(frames=frames)]})


def test_a_step_without_a_gradient_is_skipped_and_its_frames_are_named(
    run_values: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = with_spikes(run_values | {"training": run_values["training"] | {"epochs": 1, "batch_size": 1}}, "000002")
    train(run, tmp_path / "run")
    (spiked,) = [step for step, has_spike in enumerate(Spike.seen[-3:], 1) if has_spike]  # of one pass of three of four
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("skipped")]
    assert lines == [
        f"skipped    step {spiked}: its gradient is not finite; frames folder/moving_clip/000002",
        "skipped    1 of 3 steps, whose gradients were not finite",
    ]
    assert not checkpoint.not_finite(checkpoint.read(tmp_path / "run" / "last").weights)
    assert checkpoint.read_description(tmp_path / "run" / "last")[1].step == 3


def test_a_gradient_that_is_never_finite_ends_the_run_with_the_last_good_checkpoint(
    run_values: dict[str, Any], tmp_path: Path
) -> None:
    values = run_values | {"training": run_values["training"] | {"epoch_steps": 20}}
    with pytest.raises(InputError, match=r"not finite in 10 steps in a row, the last one of the frames folder/moving_"):
        train(with_spikes(values, "000001", "000002", "000003", "000004"), tmp_path / "run")
    assert not (tmp_path / "run" / "last").exists()


def test_weights_that_are_no_numbers_are_not_written(tmp_path: Path, run_values: dict[str, Any]) -> None:
    meta = checkpoint.Meta(
        packdepth="0", created="2026", epoch=1, step=1, metric=False, scale_source="none", clips=[], frames=0
    )
    run = Run.model_validate(run_values)
    good = checkpoint.Checkpoint(run, meta, {"depth.weight": torch.ones(2)})
    checkpoint.write(tmp_path / "best", good)
    with pytest.raises(InputError, match=r"best: is not written, because 1 of 1 tensors .* such as depth\.weight"):
        checkpoint.write(tmp_path / "best", checkpoint.Checkpoint(run, meta, {"depth.weight": torch.tensor([np.inf])}))
    assert checkpoint.read(tmp_path / "best").weights["depth.weight"].tolist() == [1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def blackened(clip: Path, new: Path, frames: int) -> Path:
    """A copy of a clip whose first frames are black."""
    shutil.copytree(clip, new)
    for path in sorted((new / "frames").iterdir())[:frames]:
        Image.fromarray(np.zeros_like(np.asarray(Image.open(path)))).save(path)
    return new


def test_a_black_image_in_the_first_step_has_no_gradient_and_leaves_that_of_the_others(
    run_values: dict[str, Any], moving_clip: Path, tmp_path: Path
) -> None:
    clip = blackened(moving_clip, tmp_path / "dark", 3)
    run = Run.model_validate(run_values | {"networks": {"depth": {"kind": "packnet", "preset": "tiny"},
                                                        "pose": {"kind": "posenet"}}})  # fmt: skip
    objective = Objective(run.objective)
    data = RunData(run, objective, Folder(root=clip).clips())
    data.train.augmentation = None
    module = DepthModule(run, objective, steps=1)
    black, seen = data.train[1], data.train[3]  # frames 2 and 4
    assert not black.image.any()
    assert not seen.context.flatten(1).any(dim=1).logical_not().any()
    gradients = []
    for samples in ([black, seen], [seen]):
        module.zero_grad()
        inv_depths = module.inv_depths(*2 * (Batch.stack(samples).image,))
        sum(each.sum() for each in inv_depths).backward()  # type: ignore[union-attr]
        gradients.append([weight.grad for weight in module.depth.parameters()])
    for both, alone in zip(*gradients, strict=True):
        torch.testing.assert_close(both, alone, rtol=1e-3, atol=1e-4)


def test_black_frames_at_the_start_of_a_clip_do_not_spoil_the_training(
    run_values: dict[str, Any], moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = blackened(moving_clip, tmp_path / "dark", 3)
    data = run_values["data"] | {"train": [{"kind": "folder", "root": str(clip)}], "val": []}
    train(run_values | {"data": data, "training": run_values["training"] | {"epochs": 1}}, tmp_path / "run")
    assert not checkpoint.not_finite(checkpoint.read(tmp_path / "run" / "last").weights)
    assert "skipped" not in capsys.readouterr().out
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        losses = {row["step"]: float(row["loss"]) for row in csv.DictReader(file)}
    assert list(losses) == ["1", "2", "3"]
    assert all(0 < loss < 1 for loss in losses.values())
