"""A tiny checkpoint with random weights, and images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from present import present

from packdepth import checkpoint
from packdepth.checkpoint import Checkpoint, Meta
from packdepth.config import parse_run
from packdepth.inference.predictor import Predictor, load

HEIGHT, WIDTH = 32, 64  # of what the networks see
FORWARD = 0.5  # metres a frame that the pose network predicts, roughly


@pytest.fixture(scope="module", autouse=True)
def _on_the_cpu() -> Iterator[None]:
    """The device "auto" is the CPU, so that predictions can be compared to the bit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        yield


@pytest.fixture(scope="session")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A metric checkpoint of random weights. Not to be written to."""
    run = parse_run(
        {
            "data": {"train": [{"kind": "folder", "root": "/clips"}], "image_size": [HEIGHT, WIDTH]},
            "networks": {
                "depth": {"kind": "packnet", "preset": "tiny"},
                "pose": {"kind": "posenet", "initial_forward": FORWARD},
            },
            "objective": [
                {"kind": "photometric"},
                {"kind": "smoothness", "weight": 1e-3},
                {"kind": "velocity", "weight": 0.05},
            ],
            "training": {"epochs": 3},
        },
        "test",
    )
    meta = Meta(
        packdepth="0.1.0",
        git_commit="0123abc",
        created="2026-01-01T00:00:00Z",
        epoch=3,
        step=1200,
        metric=True,
        scale_source="velocity (speed)",
        clips=["folder/a", "folder/b"],
        frames=51,
        scores={"abs_rel": 0.12345678, "loss": 0.25},
    )
    torch.manual_seed(0)
    depth, pose = run.networks.depth.assemble(), present(run.networks.pose).assemble()
    weights = {f"depth.{name}": value for name, value in depth.state_dict().items()}
    weights |= {f"pose.{name}": value for name, value in pose.state_dict().items()}
    folder = tmp_path_factory.mktemp("checkpoint") / "best"
    checkpoint.write(folder, Checkpoint(run, meta, weights))
    return folder


@pytest.fixture(scope="session")
def predictor(checkpoint_folder: Path) -> Predictor:
    return load(checkpoint_folder, "cpu")


@pytest.fixture(scope="session")
def image() -> np.ndarray:
    """[45, 83, 3] uint8: smooth, of odd size and not the network's."""
    v, u = np.mgrid[:45, :83]
    waves = [np.sin(u / 7 + phase) + np.cos(v / 5 - phase) for phase in (0, 1, 2)]
    return ((np.stack(waves, axis=-1) + 2) / 4 * 255).astype(np.uint8)
