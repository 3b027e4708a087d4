from __future__ import annotations

import pytest

from packdepth.sources.folder import Folder
from packdepth.sources.kitti_odometry import KittiOdometry
from packdepth.sources.kitti_raw import KittiRaw
from packdepth.sources.recognise import recognise
from packdepth.sources.video import Video

DRIVE = "2011_09_26_drive_0001_sync"


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw" / "2011_09_26" / DRIVE / "image_02" / "data"
    folder.mkdir(parents=True)
    (tmp_path / "raw" / "2011_09_26" / "calib_cam_to_cam.txt").touch()
    return tmp_path / "raw"


@pytest.mark.parametrize("place", ["", "2011_09_26", f"2011_09_26/{DRIVE}"])
def test_kitti_raw(raw, place):
    assert recognise(raw / place) == KittiRaw(kind="kitti_raw", root=raw, drives=[DRIVE])


@pytest.mark.parametrize("place", ["", "sequences/06"])
def test_kitti_odometry(tmp_path, place):
    (tmp_path / "sequences" / "06" / "image_0").mkdir(parents=True)
    (tmp_path / "sequences" / "06" / "calib.txt").touch()
    assert recognise(tmp_path / place) == KittiOdometry(kind="kitti_odometry", root=tmp_path, sequences=["06"])
    (tmp_path / "sequences" / "06" / "image_2").mkdir()
    assert recognise(tmp_path / place).colour


def test_folders(moving_clip):
    assert recognise(moving_clip) == Folder(kind="folder", root=moving_clip)
    assert recognise(moving_clip.parent) == Folder(kind="folder", root=moving_clip.parent)


def test_a_video(tmp_path, write_video):
    path = write_video(tmp_path / "a.mp4", frames=3)
    assert recognise(path) == Video(kind="video", file=path)


def test_what_is_nothing(tmp_path, complaint):
    complaint(lambda: recognise(tmp_path), tmp_path, "nothing that a source reads")
    complaint(lambda: recognise(tmp_path / "none"), tmp_path / "none", "not found")
    (tmp_path / "a.png").touch()
    complaint(lambda: recognise(tmp_path / "a.png"), tmp_path / "a.png", "nothing that a source reads")
