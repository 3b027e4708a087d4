"""Training on windows: depth of windows, ego-motion of whole images, and what zooming does not go with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from packdepth import checkpoint
from packdepth.config import parse_run
from packdepth.data.dataset import ClipDataset
from packdepth.errors import InputError
from packdepth.objectives import Objective
from packdepth.records import Batch
from packdepth.training.module import DepthModule
from packdepth.training.run import train

ZOOM = 0.5


def test_depth_is_that_of_the_window_and_ego_motion_that_of_the_whole_image(run_values: dict[str, Any]) -> None:
    values = run_values | {"data": run_values["data"] | {"zoom": ZOOM}}
    values["networks"] = values["networks"] | {"depth": values["networks"]["depth"] | {"uncertainty": True}}
    terms = ({"kind": "depth_consistency"}, {"kind": "stereo"}, {"kind": "uncertainty"})
    run = parse_run(values | {"objective": [*values["objective"], *terms]}, "test")
    module = DepthModule(run, Objective(run.objective), steps=10).eval()
    samples = ClipDataset(run.data.train[0].clips(), run.image_size, (-1, 1), frozenset({"distance"}), zoom=ZOOM)
    batch = Batch.stack([samples[0], samples[1]])
    batch.right = batch.network_right = batch.image.flip(1)
    assert batch.focal_share is not None
    assert batch.whole_image is not None
    assert batch.whole_context is not None
    outputs = module(batch)
    factors = batch.focal_share.view(2, 1, 1, 1)
    for found, predicted in zip(outputs.inv_depths, module.depth(batch.network_image), strict=True):
        torch.testing.assert_close(found, predicted * factors)
    right = module.depth(batch.network_right)
    for found, predicted in zip(outputs.right_inv_depths, right, strict=True):
        torch.testing.assert_close(found, predicted * factors)
    mirrored = module.depth(batch.network_image.flip(-1))[0].flip(-1)
    torch.testing.assert_close(outputs.mirrored_inv_depth, mirrored * factors)
    context = module.depth(batch.network_context.flatten(0, 1))[0].view_as(outputs.context_inv_depths)
    torch.testing.assert_close(outputs.context_inv_depths, context * factors[:, None])
    assert module.pose is not None
    motion = module.pose(batch.whole_image, batch.whole_context, batch.offsets)
    torch.testing.assert_close(outputs.T_context_target, motion)


def test_a_training_on_windows_is_metric_and_goes_on_exactly(
    run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (f"data.zoom={ZOOM}", "training.epochs=2", "data.val=[]")
    train(run_file, tmp_path / "whole", overrides=options)
    train(run_file, tmp_path / "parts", overrides=(*options, "training.epochs=1"))
    train(run_file, tmp_path / "parts", overrides=options, resume=True)
    assert "32x64 (height x width); depth on windows of 50% of a side or more\n" in capsys.readouterr().out
    whole, parts = (checkpoint.read(tmp_path / name / "last") for name in ("whole", "parts"))
    assert whole.meta.scale_source == "velocity (speed)"
    for name, value in whole.weights.items():
        assert torch.equal(value, parts.weights[name]), name


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        (("camera.learn=true",), "data.zoom: windows have other intrinsics than the whole images"),
        (("networks.pose={kind: two_stream}",), "networks.pose: two_stream takes that of whole images as"),
        (
            ("objective.1={kind: teacher, network: some}",),
            "data.zoom: a network that teaches would look at windows, too; write its maps with packdepth predict",
        ),
        (("networks.depth.frozen=true", "initial.depth=some"), "data.zoom: networks.depth is frozen"),
        (
            ("networks.depth.guidance={semantics: {kind: fpn, checkpoint: some}, cache: maps}",),
            "data.zoom: windows differ in each step, but networks.depth.guidance.cache is of whole images",
        ),
        (("data.zoom=0.1",), "data.zoom: must be greater than or equal to 0.2 (found 0.1)"),
    ],
)
def test_what_zooming_does_not_go_with_is_refused(
    changes: tuple[str, ...], part: str, run_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        train(run_file, tmp_path / "run", overrides=(f"data.zoom={ZOOM}", *changes))
    assert part in str(caught.value)
    assert not (tmp_path / "run").exists()
