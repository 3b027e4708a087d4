from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from packdepth.errors import InputWarning
from packdepth.sources.base import SOURCES
from packdepth.sources.folder import Folder
from packdepth.sources.kitti_odometry import KittiOdometry
from packdepth.sources.kitti_raw import KittiRaw
from packdepth.sources.recognize import recognize, source_at


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("kitti_raw", "kitti_raw"),
        ("kitti_raw/2011_09_26", "kitti_raw"),
        ("kitti_raw/2011_09_26/2011_09_26_drive_0052_sync", "kitti_raw"),
        ("kitti_odometry", "kitti_odometry"),
        ("kitti_odometry/dataset", "kitti_odometry"),
        ("kitti_odometry/dataset/sequences/06", "kitti_odometry"),
        ("ddad_format", "ddad"),
        ("ddad_format/scene_dataset_v1.0.json", "ddad"),
        ("camvid", "camvid"),
        ("clips", "folder"),
        ("clips/hololens_room", "folder"),
        ("video/highway_dashcam.mp4", "video"),
        ("video", "video"),
    ],
)
def test_real_data(data: Path, path: str, kind: str) -> None:
    assert recognize(data / path) == kind
    assert source_at(data / path).clips()


def test_a_part_of_kitti_stands_for_itself_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("2011_09_26/2011_09_26_drive_0001_sync", "2011_09_26/2011_09_26_drive_0002_sync"):
        (tmp_path / name / "image_02").mkdir(parents=True)
    gray = tmp_path / "2011_09_28/2011_09_28_drive_0001_sync"
    (gray / "image_00").mkdir(parents=True)

    def drives(path: Path) -> tuple[Path, list[str] | None, bool]:
        source = source_at(path)
        assert isinstance(source, KittiRaw)
        return source.root, [drive[5:-5] for drive in source.drives or ()], source.color

    assert drives(tmp_path) == (tmp_path, [], True)  # all of them, or those of a split file
    assert drives(tmp_path / "2011_09_26") == (tmp_path, ["09_26_drive_0001", "09_26_drive_0002"], True)
    assert drives(gray) == (tmp_path, ["09_28_drive_0001"], False)
    monkeypatch.chdir(gray)
    assert drives(Path()) == drives(gray)


def test_a_sequence_of_kitti_stands_for_itself_alone(tmp_path: Path) -> None:
    for number, cameras in (("00", "image_0"), ("01", "image_2")):
        (tmp_path / "dataset/sequences" / number / cameras).mkdir(parents=True)
        (tmp_path / "dataset/sequences" / number / "times.txt").touch()

    def sequences(path: Path) -> tuple[Path, list[str] | None, bool]:
        source = source_at(path)
        assert isinstance(source, KittiOdometry)
        return source.root, source.sequences, source.color

    root = tmp_path / "dataset"
    assert sequences(tmp_path) == sequences(root) == (root, ["00", "01"], True)
    assert sequences(root / "sequences/00") == (root, ["00"], False)
    assert sequences(root / "sequences/01") == (root, ["01"], True)


def test_options_are_those_of_the_kind(moving_clip: Path, complaint: Callable[..., None]) -> None:
    source = source_at(moving_clip, options=["frames=[1, 4]"])
    assert source == Folder(kind="folder", root=moving_clip, frames=(1, 4))
    source = source_at(moving_clip, "kitti_odometry", ["sequences=['06']", "cameras=[left, right]"])
    assert isinstance(source, KittiOdometry)
    assert (source.sequences, source.cameras) == (["06"], ("left", "right"))
    for written in "sequences=06", "sequences=[06]", "sequences=['06', 1_0]":  # in YAML, 06 and 1_0 are numbers
        numbered = source_at(moving_clip, "kitti_odometry", [written])
        assert isinstance(numbered, KittiOdometry)
        assert numbered.sequences == (["06", "1_0"] if "1_0" in written else ["06"])
    unset = source_at(moving_clip, "kitti_odometry", ["sequences=null"])
    assert isinstance(unset, KittiOdometry)
    assert unset.sequences is None
    complaint(lambda: source_at(moving_clip, options=["frame=[1, 4]"]), "folder of", "'frame'", "'frames'")
    complaint(lambda: source_at(moving_clip, options=["frames"]), "'frames'", "key=value")
    twice = ["frames=[1, 4]", "frames=[0, 2]"]
    with pytest.warns(InputWarning, match=r"discards frames=\[1, 4\], which is given before it; keep one of both"):
        assert source_at(moving_clip, options=twice).frames == (0, 2)
    complaint(lambda: source_at(moving_clip, options=["frames=[1"]), "frames=[1", "YAML")


def test_what_is_not_recognized(tmp_path: Path, moving_clip: Path, complaint: Callable[..., None]) -> None:
    complaint(lambda: source_at(tmp_path / "none"), tmp_path / "none", "not found")
    complaint(lambda: source_at(tmp_path), tmp_path, "no data set that is known", *SOURCES.own())
    complaint(lambda: source_at(moving_clip, "kitty_raw"), "--kind", "'kitti_raw'")
    (tmp_path / "frames").mkdir()
    (tmp_path / "rgb.txt").touch()
    complaint(lambda: source_at(tmp_path), "looks like folder and rgbd", "--kind")


def test_a_file_of_any_kind_is_asked_of_every_source(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    path.write_text("{}")
    assert not any(source.recognizes(path) for source in SOURCES.own().values())


def test_a_single_value_of_a_list_is_taken_as_it_is_typed(tmp_path: Path) -> None:
    (tmp_path / "sequences" / "06" / "image_0").mkdir(parents=True)
    source = source_at(tmp_path, "kitti_odometry", ["sequences=06"])
    assert source.model_dump()["sequences"] == ["06"]  # neither refused nor read as an octal number
