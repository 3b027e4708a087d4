"""KITTI's folders in miniature, with images that a network of one line reads perfectly.

The red channel of an image is its inverse depth: 1 / depth = NEAR * red, depths are from 2 to about 9 metres.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from described import described
from PIL import Image
from torch import Tensor, nn

from packdepth import checkpoint
from packdepth.config import Run, parse_run
from packdepth.inference.predictor import Predictor
from packdepth.networks.ego_motion import PairPoseNetwork

HEIGHT, WIDTH = 40, 60
FOCAL, CX, CY = 40.0, 29.5, 19.5
NEAR = 0.5  # 1/metres of full red
STEP = 0.8  # metres a frame, straight ahead


def red(index: int) -> np.ndarray:
    """[H, W] uint8."""
    v, u = np.meshgrid(np.arange(HEIGHT), np.arange(WIDTH), indexing="ij")
    return (160 + 90 * np.sin(0.1 * u + 0.07 * v + 0.5 * index)).astype(np.uint8)


def depth(index: int) -> np.ndarray:
    """[H, W] metres."""
    return 255 / (NEAR * red(index))


def write_image(path: Path, index: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.stack([red(index)] * 3, axis=-1)).save(path)


@pytest.fixture(scope="session")
def odometry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of kitti-odometry-clip: 51 frames, one of which (7) has no truth. Not to be written to."""
    root = tmp_path_factory.mktemp("data") / "kitti_odometry" / "dataset"
    folder = root / "sequences" / "06"
    for index in range(51):
        write_image(folder / f"image_0/{index:06d}.png", index)
        truth = np.zeros((HEIGHT, WIDTH)) if index == 7 else depth(index)
        (folder / "depth_0").mkdir(exist_ok=True)
        Image.fromarray((truth * 256).round().astype(np.uint16)).save(folder / f"depth_0/{index:06d}.png")
    projection = f"{FOCAL} 0 {CX} 0 0 {FOCAL} {CY} 0 0 0 1 0"
    (folder / "calib.txt").write_text(f"P0: {projection}\nP1: {projection}\n")
    (folder / "times.txt").write_text("\n".join(str(index / 10) for index in range(51)))
    (root / "poses").mkdir()
    poses = [f"1 0 0 0 0 1 0 0 0 0 1 {STEP * index}" for index in range(51)]
    (root / "poses" / "06.txt").write_text("\n".join(poses))
    return root.parent.parent


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of kitti-raw-clip: every third pixel has two returns, the farther one first. Not to be written to.

    Each scan hits other columns than the one before; all 78 frames have scans, as in KITTI itself.
    """
    date = tmp_path_factory.mktemp("data") / "kitti_raw" / "2011_09_26"
    drive = date / "2011_09_26_drive_0052_sync"
    (drive / "velodyne_points/data").mkdir(parents=True)
    for index in range(78):
        write_image(drive / f"image_02/data/{index:010d}.png", index)
        v, u = np.meshgrid(np.arange(0, HEIGHT, 3), np.arange(index // 12 % 3, WIDTH, 3), indexing="ij")
        z = depth(index)[v, u]
        near = np.stack([z, -(u - CX) / FOCAL * z, -(v - CY) / FOCAL * z], axis=-1).reshape(-1, 3)  # x is ahead
        points = np.concatenate([1.5 * near, near, -near])
        scan = np.concatenate([points, np.zeros((len(points), 1))], axis=1).astype("<f4")
        (drive / f"velodyne_points/data/{index:010d}.bin").write_bytes(scan.tobytes())
    projection = f"{FOCAL} 0 {CX} 0 0 {FOCAL} {CY} 0 0 0 1 0"
    (date / "calib_cam_to_cam.txt").write_text(
        f"R_rect_00: 1 0 0 0 1 0 0 0 1\nS_rect_02: {WIDTH} {HEIGHT}\nP_rect_02: {projection}\nP_rect_03: {projection}\n"
    )
    (date / "calib_velo_to_cam.txt").write_text("R: 0 -1 0 0 0 -1 1 0 0\nT: 0 0 0\n")
    return date.parent.parent


class Reader(nn.Module):
    """Reads inverse depth off the red channel, times `factor`, and is blind in the first `blind` columns."""

    def __init__(self, factor: float = 1.0, blind: int = 0) -> None:
        super().__init__()
        self.factor, self.blind, self.calls = factor, blind, 0

    def forward(self, images: Tensor) -> list[Tensor]:
        self.calls += 1
        inv_depth = self.factor * NEAR * images[:, :1]
        inv_depth[..., : self.blind] = 1.0
        return [inv_depth]


class Straight(PairPoseNetwork):
    """Ego-motion straight ahead."""

    def forward(self, target: Tensor, context: Tensor, offsets: tuple[int, ...]) -> Tensor:
        T = torch.eye(4).expand(*context.shape[:2], 4, 4).clone()
        T[..., 2, 3] = -STEP
        return T


META = described(scale_source="velocity (poses)")


def run(height: int = HEIGHT, width: int = WIDTH) -> Run:
    """The run file of networks that see images of this size."""
    return parse_run(
        {
            "data": {
                "train": [{"kind": "kitti_odometry", "root": "/k", "sequences": ["06"]}],
                "image_size": [height, width],
            },
            "networks": {"depth": {"kind": "depth_resnet"}, "pose": {"kind": "posenet"}},
            "objective": [{"kind": "photometric"}],
            "training": {"epochs": 1},
        },
        "test",
    )


def reader(factor: float = 1.0, blind: int = 0) -> Predictor:
    """A predictor of a `Reader` with these arguments, and of a network that moves straight ahead."""
    return Predictor(run(), META, Reader(factor, blind), Straight(), torch.device("cpu"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of networks with random weights. Not to be written to."""
    torch.manual_seed(0)
    networks = run().networks
    assert networks.pose is not None
    weights = torch.nn.ModuleDict({"depth": networks.depth.assemble(), "pose": networks.pose.assemble()})
    folder = tmp_path_factory.mktemp("trained") / "checkpoint"
    checkpoint.write(folder, checkpoint.Checkpoint(run(), META, weights.state_dict()))
    return folder
