from __future__ import annotations

from pathlib import Path

import pytest

from packdepth.sources.folder import Folder
from packdepth.sources.kitti_odometry import KittiOdometry
from packdepth.sources.recognise import KINDS, recognise, source_at


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("kitti_raw", "kitti_raw"),
        ("kitti_odometry/dataset", "kitti_odometry"),
        ("ddad_format", "ddad"),
        ("ddad_format/scene_dataset_v1.0.json", "ddad"),
        ("camvid", "camvid"),
        ("clips", "folder"),
        ("clips/hololens_room", "folder"),
        ("video/highway_dashcam.mp4", "video"),
    ],
)
def test_real_data(data, path, kind):
    assert recognise(data / path) == kind


def test_options_are_those_of_the_kind(moving_clip, complaint):
    source = source_at(moving_clip, options=["frames=[1, 4]"])
    assert source == Folder(kind="folder", root=moving_clip, frames=(1, 4))
    source = source_at(moving_clip, "kitti_odometry", ["sequences=['06']", "cameras=[left, right]"])
    assert isinstance(source, KittiOdometry)
    assert (source.sequences, source.cameras) == (["06"], ("left", "right"))
    complaint(lambda: source_at(moving_clip, options=["frame=[1, 4]"]), "folder of", "'frame'", "'frames'")
    complaint(lambda: source_at(moving_clip, options=["frames"]), "'frames'", "key=value")
    complaint(lambda: source_at(moving_clip, options=["frames=[1"]), "frames=[1", "YAML")


def test_what_is_not_recognised(tmp_path, moving_clip, complaint):
    complaint(lambda: source_at(tmp_path / "none"), tmp_path / "none", "not found")
    complaint(lambda: source_at(tmp_path), tmp_path, "no data set that is known", *KINDS)
    complaint(lambda: source_at(moving_clip, "kitty_raw"), "--kind", "'kitti_raw'")
    (tmp_path / "frames").mkdir()
    (tmp_path / "rgb.txt").touch()
    complaint(lambda: source_at(tmp_path), "looks like rgbd and folder", "--kind")


def test_a_file_of_any_kind_is_asked_of_every_source(tmp_path: Path):
    path = tmp_path / "notes.json"
    path.write_text("{}")
    assert not any(source.recognises(path) for source in KINDS.values())
