"""Calibrations that lie in a folder of data or beside a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from packdepth.sources.calibrations.find import unread
from packdepth.sources.folder import Folder
from packdepth.sources.images import Images
from packdepth.sources.recognize import recognize
from packdepth.sources.video import Video

OWN = "width: 40\nheight: 12\nfx: 30\nfy: 30\ncx: 19.5\ncy: 5.5\n"
INFO = "width: 40\nheight: 12\nk: [31, 0, 19.5, 0, 31, 5.5, 0, 0, 1]\nd: []\ndistortion_model: ''\n"
COLMAP = "1 PINHOLE 40 12 32 32 20 6\n"
FILES = {
    "camera.yaml": (OWN, 30),
    "camera_info.yaml": (INFO, 31),
    "camchain-drive.yaml": (
        "cam0: {camera_model: pinhole, intrinsics: [33, 33, 19.5, 5.5], "
        "distortion_model: none, resolution: [40, 12]}\n",
        33,
    ),
    "cameras.txt": (COLMAP, 32),
    "calibration.yaml": (INFO, 31),
    "calib.json": (
        '{"image_width": 40, "image_height": 12, "camera_matrix": [[34, 0, 19.5], [0, 34, 5.5], [0, 0, 1]], '
        '"dist_coeffs": [0, 0, 0, 0, 0]}',
        34,
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_folder_of_images_has_its_calibration(tmp_path: Path, write_image: Callable[..., Path], name: str) -> None:
    text, focal = FILES[name]
    write_image(tmp_path / "drive" / "0.png")
    (tmp_path / "drive" / name).write_text(text)
    (clip,) = Images(kind="images", root=tmp_path / "drive").clips()
    assert clip.camera.fx == focal
    assert clip.missing_camera is None
    (clip,) = Images(kind="images", root=tmp_path / "drive" / "0.png").clips()
    assert clip.camera.fx == focal


@pytest.mark.parametrize("name", ["drive.yaml", "cameras.txt", "camera_info.yaml"])
def test_a_video_has_the_calibration_beside_it(tmp_path: Path, write_video: Callable[..., Path], name: str) -> None:
    write_video(tmp_path / "drive.mp4", frames=2)
    (tmp_path / name).write_text((COLMAP if name.endswith("txt") else INFO).replace("40", "96").replace("12", "64"))
    (clip,) = Video(kind="video", file=tmp_path / "drive.mp4").clips()
    assert clip.camera.fx == (32 if name.endswith("txt") else 31)
    assert recognize(tmp_path) == "video"


def test_the_calibration_of_ones_own_name_counts_before_the_folders(
    tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    write_video(tmp_path / "drive.mp4", frames=2)
    (tmp_path / "drive.yaml").write_text(OWN.replace("40", "96").replace("12", "64"))
    (tmp_path / "camera.yaml").write_text(INFO)
    (clip,) = Video(kind="video", file=tmp_path / "drive.mp4").clips()
    assert clip.camera.fx == 30


def test_a_clips_folder_has_its_calibration(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    write_image(tmp_path / "clip/frames/a.png")
    (tmp_path / "clip/frames.csv").write_text("frame,time_s\na,0\n")
    (tmp_path / "clip/camera_info.yaml").write_text(INFO)
    (clip,) = Folder(kind="folder", root=tmp_path / "clip").clips()
    assert clip.camera.fx == 31


def test_images_and_videos_are_no_unread_calibrations(tmp_path: Path) -> None:
    for name in ("camera_1.webp", "camera_1.tif", "camera_front.mkv", "camera.MTS", "calib.yaml", "intrinsics.txt"):
        (tmp_path / name).write_text("")
    assert unread(tmp_path) == ["intrinsics.txt"]


def test_two_different_calibrations_are_refused(
    tmp_path: Path, write_image: Callable[..., Path], complaint: Callable[..., None]
) -> None:
    write_image(tmp_path / "0.png")
    (tmp_path / "camera_info.yaml").write_text(INFO)
    (tmp_path / "calibration.yaml").write_text(INFO)
    source = Images(kind="images", root=tmp_path)
    assert source.clips()[0].camera.fx == 31  # of equal content
    (tmp_path / "camera.yaml").write_text(OWN)
    complaint(source.clips, tmp_path, "camera.yaml", "calibration.yaml", "keep one")
    named = Images(kind="images", root=tmp_path, camera=tmp_path / "camera.yaml")
    assert named.clips()[0].camera.fx == 30
