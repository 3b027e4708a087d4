from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from present import present

from packdepth.blocks import parse
from packdepth.sources.base import SOURCES
from packdepth.sources.kitti_odometry import KittiOdometry

K = np.array([[30.0, 0, 19.5], [0, 30, 5.5], [0, 0, 1]])
OFFSETS = {0: [0.0, 0, 0], 1: [-0.5, 0, 0], 2: [0.06, 0.001, 0.003], 3: [-0.47, 0.002, 0.003]}


def source(root: Path, **changes: Any) -> KittiOdometry:
    return KittiOdometry(**{"kind": "kitti_odometry", "root": root, "sequences": ["07"], **changes})


@pytest.fixture
def root(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    """A sequence of three frames of 40x12 pixels that moves 1 m a frame ahead."""
    folder = tmp_path / "sequences/07"
    for camera in OFFSETS:
        for number in range(3):
            write_image(folder / f"image_{camera}/{number:06d}.png", mode="RGB" if camera > 1 else "L")
    rows = [(f"P{i}", K @ np.column_stack([np.eye(3), offset])) for i, offset in OFFSETS.items()]
    (folder / "calib.txt").write_text("\n".join(f"{name}: {' '.join(map(str, P.ravel()))}" for name, P in rows))
    (folder / "times.txt").write_text("0.0\n1.04e-01\n2.07e-01\n")
    (tmp_path / "poses").mkdir()
    (tmp_path / "poses/07.txt").write_text("".join(f"1 0 0 0 0 1 0 0 0 0 1 {z}\n" for z in range(3)))
    return tmp_path


def test_all_sequences_that_are_there(root: Path, complaint: Callable[..., None]) -> None:
    assert KittiOdometry.recognizes(root)
    assert [clip.name for clip in source(root, sequences=None).clips()] == ["kitti_odometry/07/left"]
    complaint(source(root / "poses", sequences=None).clips, "sequences/NN/times.txt")


def test_nan_is_no_pose(root: Path, complaint: Callable[..., None]) -> None:
    (root / "poses/07.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 nan 0 1 0 0 0 0 1 0\n")
    complaint(source(root).clips, "07.txt", "row 2", "not finite")


def test_clip(root: Path) -> None:
    (clip,) = pickle.loads(pickle.dumps(source(root).clips()))
    assert clip.name == "kitti_odometry/07/left"
    assert (clip.camera.fx, clip.camera.cy, clip.camera.width, clip.camera.height) == (30, 5.5, 40, 12)
    assert clip.baseline == pytest.approx(0.5)
    assert [frame.name for frame in clip.frames] == ["000000", "000001", "000002"]
    assert [frame.time for frame in clip.frames] == [0, 0.104, 0.207]
    assert clip.frames[1].image.path == root / "sequences/07/image_0/000001.png"
    assert clip.frames[1].right.path == root / "sequences/07/image_1/000001.png"
    assert clip.frames[1].image.read().shape == (12, 40, 3)
    assert clip.frames[1].depth is None
    np.testing.assert_array_equal(clip.frames[2].pose[:3, 3], [0, 0, 2])


def test_poses_are_those_of_the_camera(root: Path) -> None:
    left, right = source(root, cameras=["left", "right"], color=True).clips()
    assert left.baseline == pytest.approx(0.53)
    assert left.frames[0].image.path.parent.name == "image_2"
    assert right.frames[0].image.path.parent.name == "image_3"
    assert right.baseline is None
    assert right.frames[0].right is None
    for clip, camera in ((left, 2), (right, 3)):
        np.testing.assert_allclose(present(clip.frames[1].pose)[:3, 3], [0, 0, 1] - np.array(OFFSETS[camera]))


def test_depth_beside_the_images(root: Path, write_image: Callable[..., Path]) -> None:
    write_image(root / "sequences/07/depth_0/000001.png", mode="I;16")
    frames = source(root).clips()[0].frames
    assert [frame.depth is None for frame in frames] == [True, False, True]
    assert present(frames[1].depth).read().shape == (12, 40)


def test_frames_cut(root: Path, complaint: Callable[..., None]) -> None:
    (clip,) = source(root, frames=(1, 3)).clips()
    assert [frame.name for frame in clip.frames] == ["000001", "000002"]
    complaint(source(root, frames=(1, 4)).clips, "[1, 4]", "3 frames")


def test_numbers_count_where_images_are_missing(root: Path) -> None:
    (root / "sequences/07/image_0/000001.png").unlink()
    frames = source(root).clips()[0].frames
    assert [frame.time for frame in frames] == [0, 0.207]
    assert present(frames[1].pose)[2, 3] == 2


def test_without_poses(root: Path) -> None:
    (root / "poses/07.txt").unlink()
    assert all(frame.pose is None for frame in source(root).clips()[0].frames)


def test_errors(root: Path, write_image: Callable[..., Path], complaint: Callable[..., None]) -> None:
    folder = root / "sequences/07"

    def fails(*parts: object) -> None:
        complaint(source(root).clips, *parts)

    complaint(source(root, sequences=["08"]).clips, root / "sequences/08", "not found")
    write_image(folder / "image_0/000003.png", mode="L")
    fails("000003.png", "times.txt", "3 lines")
    (folder / "times.txt").write_text("0\n1\n2\n3\n")
    fails("000003.png", root / "poses/07.txt", "3 lines")
    (folder / "image_0/000003.png").rename(folder / "image_0/last.png")
    fails("last.png", "frame number")
    (folder / "image_0/last.png").unlink()
    write_image(folder / "image_0/000002.png", 6, 20)
    fails("000002.png", "20x6", "40x12")
    write_image(folder / "image_0/000002.png")
    write_image(folder / "image_1/000002.png", 6, 20)
    fails("image_1/000002.png", "20x6", "40x12")
    write_image(folder / "image_1/000002.png")
    (root / "poses/07.txt").write_text("1 2 3\n")
    fails("07.txt", "3 numbers a line", "12")
    (root / "poses/07.txt").write_text("a b c\n")
    fails("07.txt", "table of numbers")
    (folder / "times.txt").unlink()
    fails(folder / "times.txt", "not found")
    (folder / "calib.txt").unlink()
    fails(folder / "calib.txt", "not found", "P0:")


def test_calibration_of_another_size(
    root: Path, write_image: Callable[..., Path], complaint: Callable[..., None]
) -> None:
    for camera in (0, 1):
        for number in range(3):
            write_image(root / f"sequences/07/image_{camera}/{number:06d}.png", 48, 160, mode="L")
    complaint(source(root).clips, "calib.txt", "(19.5, 5.5)", "160x48")


def test_real_sequence(data: Path) -> None:
    (clip,) = source(data / "kitti_odometry/dataset", sequences=["06"]).clips()
    assert clip.baseline == pytest.approx(0.537, abs=5e-4)
    assert (clip.camera.width, clip.camera.height) == (1226, 370)
    positions = np.array([present(frame.pose)[:3, 3] for frame in clip.frames])
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    assert ((steps > 1.1) & (steps < 1.3)).all()
    for frame, following in zip(clip.frames, clip.frames[1:], strict=False):  # it drives ahead: along z
        assert (np.linalg.inv(present(frame.pose)) @ present(following.pose))[2, 3] > 1.1
    first = clip.frames[0]
    assert first.image.read().shape == present(first.right).read().shape == (370, 1226, 3)
    depth = present(first.depth).read()
    assert 0.5 < (depth > 0).mean() < 0.8
    assert 3 < np.median(depth[depth > 0]) < 30


@pytest.mark.parametrize("kind", ["kitti_odometry", "kitti_raw"])
def test_the_option_color_may_be_spelled_as_in_earlier_versions(kind: str) -> None:
    for value in (True, False):
        block = {"kind": kind, "root": "somewhere"}
        assert parse(SOURCES.find(kind), block | {"colour": value}, "run.yaml") == parse(
            SOURCES.find(kind), block | {"color": value}, "run.yaml"
        )
