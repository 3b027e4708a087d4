"""Depth maps of KITTI's Velodyne scans are those of monodepth2, but for its pixels, which begin at one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from packdepth.geometry.lidar import depth_map
from packdepth.records import Clip
from packdepth.sources.kitti_raw import KittiRaw


@pytest.fixture(scope="module")
def clips(data: Path) -> list[Clip]:
    """All drives with scans."""
    root = data / "kitti_raw"
    drives = sorted({path.parents[1].name for path in root.glob("*/*_sync/velodyne_points/data")})
    if not drives:
        pytest.skip(f"no Velodyne scans in {root}: set PACKDEPTH_DATA to the folder that holds kitti_raw")
    return KittiRaw(kind="kitti_raw", root=root, drives=drives).clips()


def sparse(values: np.lib.npyio.NpzFile) -> np.ndarray:
    depth = np.zeros(values["shape"], dtype=np.float32)
    depth[values["rows"], values["cols"]] = values["depth"]
    return depth


def test_depth_maps(golden: Path, clips: list[Clip]) -> None:
    files = sorted(golden.glob("kitti_velodyne_depth_*.npz"))
    if not files:
        pytest.skip(f"no depth maps of scans in {golden}")
    for file in files:
        expected, name = sparse(np.load(file)), file.stem.removeprefix("kitti_velodyne_depth_")
        shares = [
            share_that_agrees(projected(clip, name), expected)
            for clip in clips
            if (clip.camera.height, clip.camera.width) == expected.shape and has_scan(clip, name)
        ]
        assert shares, f"no scan {name} of this size in {clips[0].path.parents[1]}"
        assert max(shares) > 0.999, file.name  # float32 moves single returns over the border of a pixel


def has_scan(clip: Clip, name: str) -> bool:
    return any(frame.name == name and frame.lidar is not None for frame in clip.frames)


def projected(clip: Clip, name: str) -> np.ndarray:
    """Our depth map of a scan, moved a pixel to the left and up: monodepth2 subtracts one from the pixel."""
    (frame,) = (frame for frame in clip.frames if frame.name == name)
    assert frame.lidar is not None
    camera = clip.camera
    shifted = camera.cropped(1, 1, camera.height, camera.width)
    return depth_map(torch.from_numpy(frame.lidar.read()), shifted)[0].numpy()


def share_that_agrees(found: np.ndarray, expected: np.ndarray) -> float:
    """Of the pixels with a return in either."""
    either = (found > 0) | (expected > 0)
    return float((np.abs(found - expected) < 1e-3)[either].mean())
