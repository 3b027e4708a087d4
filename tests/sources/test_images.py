"""Plain images and the one way to whatever is at a path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

import packdepth
from packdepth.inspection.check import check
from packdepth.sources.images import Images
from packdepth.sources.open import open_clips
from packdepth.sources.recognize import recognize, source_at

NUMBERS = {"width": 40, "height": 12, "fx": 30.0, "fy": 31.0, "cx": 20.0, "cy": 6.0}


@pytest.fixture
def folder(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    """A folder of three images of 40x12 pixels."""
    for name in ("a", "b", "c"):
        write_image(tmp_path / "images" / f"{name}.png")
    return tmp_path / "images"


def test_images_are_consecutive_frames_at_an_assumed_rate(folder: Path) -> None:
    (clip,) = packdepth.open(folder)
    assert (clip.name, clip.path, clip.independent) == ("images/images", folder, False)
    assert [(frame.name, frame.time) for frame in clip.frames] == [("a", 0.0), ("b", 0.1), ("c", 0.2)]
    assert (clip.camera.width, clip.camera.height, clip.camera.fov()) == (40, 12, pytest.approx(60))
    assert clip.missing_camera == folder / "camera.yaml"
    assert clip.times_assumed
    (slow,) = packdepth.open(folder, options=["rate=2", "frames=[1, 3]"])
    assert [frame.time for frame in slow.frames] == [0.5, 1.0]
    assert not slow.times_assumed


def test_numbers_in_names_need_no_leading_zeros(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    for number in range(12):
        write_image(tmp_path / "images" / f"img_{number}.png")
    (clip,) = packdepth.open(tmp_path / "images")
    assert [frame.name for frame in clip.frames] == [f"img_{number}" for number in range(12)]
    assert repr(clip) == "Clip(images/images, 12 frames, 12x40)"


def test_a_camera_lies_in_the_folder_or_beside_the_image(folder: Path) -> None:
    (folder / "camera.yaml").write_text(yaml.safe_dump(NUMBERS))
    (folder / "b.yaml").write_text(yaml.safe_dump(NUMBERS | {"fx": 50.0, "independent": True}))
    (images,), (image,) = open_clips(folder), open_clips(folder / "b.png")
    assert (images.camera.fx, images.missing_camera, images.independent) == (30, None, False)
    assert (image.name, image.camera.fx, image.missing_camera, image.independent) == ("images/b", 50, None, True)
    assert [frame.name for frame in image.frames] == ["b"]
    (other,) = open_clips(folder, camera=folder / "b.yaml")
    assert (other.camera.fx, other.missing_camera) == (50, None)


def test_images_in_frames_are_those_of_the_folder(folder: Path, tmp_path: Path) -> None:
    folder.rename(tmp_path / "frames")
    (clip,) = open_clips(tmp_path)
    assert clip.name == f"images/{tmp_path.name}"
    assert [frame.name for frame in clip.frames] == ["a", "b", "c"]


def test_images_of_several_sizes_are_for_prediction_alone(
    folder: Path, write_image: Callable[..., Path], complaint: Callable[..., None]
) -> None:
    write_image(folder / "b.png", height=10, width=20)
    (clip,) = open_clips(folder)
    assert [frame.size for frame in clip.frames] == [None, (10, 20), None]
    assert [clip.image_size(frame) for frame in clip.frames] == [(12, 40), (10, 20), (12, 40)]
    complaint(source_at(folder).clips, folder / "b.png", "is 20x10 pixels", "40x12", "all but prediction")
    complaint(lambda: check(folder), folder / "b.png")
    (folder / "camera.yaml").write_text(yaml.safe_dump(NUMBERS))
    complaint(lambda: open_clips(folder), folder / "b.png", folder / "camera.yaml", "give the camera of these images")


def test_a_camera_takes_the_place_of_any_other(
    moving_clip: Path, tmp_path: Path, complaint: Callable[..., None]
) -> None:
    (own,) = open_clips(moving_clip)
    values = {name: getattr(own.camera, name) for name in NUMBERS}
    (tmp_path / "camera.yaml").write_text(yaml.safe_dump(values | {"fx": 77.0}))
    (clip,) = open_clips(moving_clip, camera=tmp_path / "camera.yaml")
    assert (clip.camera.fx, clip.camera.fy) == (77, own.camera.fy)
    (tmp_path / "camera.yaml").write_text(yaml.safe_dump(NUMBERS))
    complaint(lambda: open_clips(moving_clip, camera=tmp_path / "camera.yaml"), "is 96x48 pixels", "for 40x12")


def test_folders_of_clips_and_files_of_unknown_suffix(
    folder: Path, moving_clip: Path, tmp_path: Path, write_video: Callable[..., Path], complaint: Callable[..., None]
) -> None:
    assert recognize(moving_clip) == "folder"
    assert recognize(moving_clip / "frames") == recognize(folder) == recognize(folder / "a.png") == "images"
    video = write_video(tmp_path / "drive.mkv").rename(tmp_path / "drive.camera1")
    assert recognize(video) == "video"
    (clip,) = open_clips(video)
    assert [frame.time for frame in clip.frames] == pytest.approx(np.arange(40) / 10)
    (tmp_path / "notes.txt").write_text("no video")
    complaint(lambda: open_clips(tmp_path / "notes.txt"), tmp_path / "notes.txt", "is neither an image nor a video")
    complaint(Images(kind="images", root=tmp_path / "notes.txt").clips, "notes.txt", "is no .png or")


def test_a_video_keeps_its_nominal_rate(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    video = write_video(tmp_path / "a.mp4", rate=12)
    assert open_clips(video)[0].rate == 12
    assert open_clips(video, options=["step=3"])[0].rate == 4


def test_plain_images_are_checked_before_training(folder: Path) -> None:
    report = check(folder)
    assert report.kind == "images"
    assert "3 frames, 40x12" in report.text()
    alone = check(folder / "a.png")
    assert "images/a: " in alone.text()
    assert np.isnan(alone.clips[0][0].typical_motion)
