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
    run = parse_run(values | {"objective": [*values["objective"], {"kind": "depth_consistency"}]}, "test")
    module = DepthModule(run, Objective(run.objective), steps=10).eval()
    samples = ClipDataset(run.data.train[0].clips(), run.image_size, (-1, 1), frozenset({"distance"}), zoom=ZOOM)
    batch = Batch.stack([samples[0], samples[1]])
    assert batch.zoom is not None
    assert batch.whole_image is not None
    assert batch.whole_context is not None
    outputs = module(batch)
    factors = batch.zoom.view(2, 1, 1, 1)
    for found, predicted in zip(outputs.inv_depths, module.depth(batch.network_image), strict=True):
        torch.testing.assert_close(found, predicted * factors)
    context = module.depth(batch.network_context.flatten(0, 1))[0].view_as(outputs.context_inv_depths)
    torch.testing.assert_close(outputs.context_inv_depths, context * factors[:, None])
    assert module.pose is not None
    motion = module.pose(batch.whole_image, batch.whole_context, batch.offsets)
    torch.testing.assert_close(outputs.T_context_target, motion)


def test_a_training_on_windows_is_metric_and_goes_on_exactly(run_file: Path, tmp_path: Path) -> None:
    options = (f"data.zoom={ZOOM}", "training.epochs=2", "data.val=[]")
    train(run_file, tmp_path / "whole", overrides=options)
    train(run_file, tmp_path / "parts", overrides=(*options, "training.epochs=1"))
    train(run_file, tmp_path / "parts", overrides=options, resume=True)
    whole, parts = (checkpoint.read(tmp_path / name / "last") for name in ("whole", "parts"))
    assert whole.meta.scale_source == "velocity (speed)"
    for name, value in whole.weights.items():
        assert torch.equal(value, parts.weights[name]), name


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        (("camera.learn=true",), "data.zoom: windows have other intrinsics than the whole images"),
        (("networks.pose={kind: two_stream}",), "networks.pose: two_stream looks at that of whole images"),
        (
            ("objective.1={kind: teacher, network: some, cache: maps}",),
            "objective: 'teacher' has a cache of whole images; remove cache, or write data.zoom: 1",
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
