"""A checkpoint that remembers the depth of a rendered clip, so that its scale is known, and wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
import world
import yaml
from described import described
from present import present
from torch import Tensor, nn

from packdepth import checkpoint
from packdepth.checkpoint import Checkpoint
from packdepth.config import parse_run
from packdepth.inference.predictor import Predictor, load
from packdepth.networks import DepthNetworkBlock
from packdepth.records import Clip
from packdepth.sources.open import open_clips

FRAMES = 12
SIZE = (world.CAMERA.height, world.CAMERA.width)
HEIGHT = 1.5  # metres, of the camera above the plane
DEPTH_FACTOR, MOTION_FACTOR = 1.7, 1.3  # true over remembered


class Recalled(nn.Module):
    """A depth network that returns the remembered inverse depth of the remembered image that is most alike."""

    def __init__(self) -> None:
        super().__init__()
        self.images, self.inv_depths = nn.Buffer(torch.zeros(FRAMES, 3, *SIZE)), nn.Buffer(torch.ones(FRAMES, 1, *SIZE))

    def forward(self, image: Tensor) -> list[Tensor]:
        differences = (image[:, None] - self.images).abs().mean((2, 3, 4))  # [B, FRAMES]
        inv_depth = self.inv_depths[differences.argmin(1)]
        return [inv_depth[..., :: 2**s, :: 2**s] for s in range(4)]


class RecallBlock(DepthNetworkBlock):
    kind: Literal["recall"] = "recall"

    def build(self) -> Recalled:
        return Recalled()


@pytest.fixture(scope="session")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a clip of 12 frames with depth, speeds, poses and the camera's height. Not to be written to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "FRAMES", FRAMES)
        folder = world.write(tmp_path_factory.mktemp("scale") / "drive")
    camera = yaml.safe_load((folder / "camera.yaml").read_text()) | {"height_m": HEIGHT}
    (folder / "camera.yaml").write_text(yaml.safe_dump(camera))
    return folder


@pytest.fixture(scope="session")
def clip(drive: Path) -> Clip:
    (clip,) = open_clips(drive)
    return clip


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, clip: Clip) -> Path:
    """A checkpoint that predicts depth `DEPTH_FACTOR` and motion `MOTION_FACTOR` times too short."""
    run = parse_run(
        {
            "data": {"train": [{"kind": "folder", "root": "/clips"}], "image_size": list(SIZE)},
            "networks": {
                "depth": {"kind": "recall"},
                "pose": {"kind": "posenet", "initial_forward": world.STEP / MOTION_FACTOR},
            },
            "objective": [{"kind": "photometric"}],
            "training": {"epochs": 1},
        },
        "test",
    )
    meta = described(
        metric=False,
        scale_source="none",
        clips=["folder/drive"],
        frames=FRAMES,
        scores={"val/abs_rel": 0.4, "val/abs_rel_scaled": 0.1, "train/loss": 0.05},
    )
    images = np.stack([frame.image.read() for frame in clip.frames]).transpose(0, 3, 1, 2) / 255
    depth = np.stack([world.render(index)[1] for index in range(FRAMES)])[:, None] / DEPTH_FACTOR
    weights = {
        "depth.images": torch.from_numpy(images).float(),
        "depth.inv_depths": torch.from_numpy(1 / depth).float(),
    }
    for name, value in present(run.networks.pose).assemble().state_dict().items():  # only its last bias acts
        weights[f"pose.{name}"] = value if name == "pose_pred.bias" else torch.zeros_like(value)
    path = tmp_path_factory.mktemp("checkpoint") / "best"
    checkpoint.write(path, Checkpoint(run, meta, weights))
    return path


@pytest.fixture(scope="session")
def predictor(folder: Path) -> Predictor:
    return load(folder, "cpu")
