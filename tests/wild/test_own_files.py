"""Files that are not what their names say, what systems leave in folders, and names that are not one series."""

from __future__ import annotations

import zipfile
from pathlib import Path

import formats
import numpy as np
import pytest
import world
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from packdepth.errors import InputError
from packdepth.sources.files import is_clutter
from packdepth.sources.folder import read_clip
from packdepth.sources.open import open_clips
from packdepth.sources.recognize import source_at
from packdepth.sources.series import series_of, times_of

NOISE = np.random.default_rng(0).integers(0, 255, (32, 64, 3), dtype=np.uint8)
DISGUISES = {
    "empty": (b"", r"is empty \(0 bytes\); copy it again"),
    "zeros": (bytes(9000), "begins with zeros alone, as a copy that was cut off leaves it"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a pointer of Git LFS"),
    "web page": (b"\n<!DOCTYPE html><html><body>404</body></html>", "is a web page, as a download that failed"),
    "side file": (b"\x00\x05\x16\x07" + bytes(100) + b"Mac OS X", "is a side file of macOS"),
    "archive": (b"PK\x03\x04" + bytes(100), "is an archive; unpack it, and give the folder"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(100), "is an archive; unpack it, and give the folder"),
}


def images(folder: Path, *names: str) -> Path:
    """Write images, each of another gray at its first pixel, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        image = NOISE.copy()
        image[0, 0] = number
        Image.fromarray(image).save(folder / name)
    return folder


@pytest.mark.parametrize("name", ["a.jpg", "a.mp4", "a.mov", "a.png"])
@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_file_that_is_something_else_is_called_so(tmp_path: Path, disguise: str, name: str) -> None:
    content, text = DISGUISES[disguise]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: {text}"):
        open_clips(tmp_path / name)


def test_images_in_an_archive_are_no_video(tmp_path: Path) -> None:
    folder = images(tmp_path / "drive", *(f"{number}.jpg" for number in range(4)))
    path = tmp_path / "drive.zip"
    with zipfile.ZipFile(path, "w") as file:
        for image in sorted(folder.iterdir()):
            file.write(image, image.name)
    (tmp_path / "downloads").mkdir()
    path.rename(tmp_path / "downloads" / path.name)
    for place in (tmp_path / "downloads", tmp_path / "downloads" / path.name):
        with pytest.raises(InputError, match=r"drive\.zip: is an archive; unpack it, and give the folder"):
            open_clips(place)


def test_a_video_of_a_camera_that_lost_power_can_be_repaired(tmp_path: Path) -> None:
    whole = formats.video(tmp_path / "a.mp4", [NOISE] * 12)
    content = whole.read_bytes()
    cut = tmp_path / "b.mp4"
    cut.write_bytes(content[: content.index(b"moov") - 4])
    with pytest.raises(InputError, match=r"b\.mp4: has no index \(moov\), which a camera writes when it stops"):
        open_clips(cut)


@pytest.mark.parametrize("name", ["Thumbs.db", "desktop.ini", ".DS_Store", "._000000.png", "~$frames.csv", "@eaDir"])
def test_what_systems_leave_in_folders_is_no_data(tmp_path: Path, name: str) -> None:
    clip = world.write(tmp_path / "clips" / "clip")
    for folder in (clip, clip / "frames", clip / "depth", clip.parent):
        (folder / name).write_bytes(b"\0\5\x16\7")
    assert is_clutter(Path(name))
    assert len(read_clip(clip).frames) == world.FRAMES
    assert [each.name for each in open_clips(clip.parent)] == ["folder/clip"]


def test_half_copied_and_foreign_images_are_named(tmp_path: Path) -> None:
    folder = images(tmp_path / "drive", "a1.png", "a2.png", "a3.png")
    for name in ("a4.png.part", "a5.jpg.crdownload", "a6.heic"):
        (folder / name).write_bytes(b"x")
    with pytest.warns(UserWarning, match=r"left alone: a4\.png\.part, a5\.jpg\.crdownload, a6\.heic"):
        (clip,) = open_clips(folder)
    assert len(clip.frames) == 3


@pytest.mark.parametrize("suffix", [".bmp", ".webp", ".tif", ".tiff", ".ppm", ".PNG"])
def test_images_of_any_form_are_images(tmp_path: Path, suffix: str) -> None:
    folder = images(tmp_path / "drive", "a1.png", f"a2{suffix}", "a3.jpg")
    (clip,) = open_clips(folder)
    assert [frame.name for frame in clip.frames] == ["a1", "a2", "a3"]
    assert source_at(folder / f"a2{suffix}").kinds() == ("images",)


def test_folders_of_cameras_are_named(tmp_path: Path) -> None:
    for camera in ("front", "rear"):
        images(tmp_path / "drive" / camera, "1.png", "2.png", "3.png")
    with pytest.raises(InputError, match=r"holds no data itself, but its folders do \(front, rear\); give one of them"):
        open_clips(tmp_path / "drive")


# --- series -----------------------------------------------------------------------------------------------------

TWO = {
    "left_{:04d} right_{:04d}": ["left", "right"],
    "{:04d}_cam0 {:04d}_cam1": ["cam0", "cam1"],
    "cam0_{:04d} cam1_{:04d}": ["cam0", "cam1"],
    "1_{} 2_{}": ["1", "2"],
    "IMG_20261126_0815{:02d}_front IMG_20261126_0815{:02d}_rear": ["IMG_front", "IMG_rear"],
}


@pytest.mark.parametrize("pattern", TWO)
def test_two_cameras_in_one_folder_are_two_clips_of_one_drive(tmp_path: Path, pattern: str) -> None:
    names = [part.format(number) for number in range(5) for part in pattern.split()]
    folder = images(tmp_path / "drive", *(f"{name}.png" for name in names))
    with pytest.warns(UserWarning, match="its names are not of one series, so that it is 2 clips"):
        clips = open_clips(folder)
    assert [clip.short_name for clip in clips] == [f"drive-{label}" for label in TWO[pattern]]
    assert {clip.drive for clip in clips} == {"drive"}
    for first, clip in enumerate(clips):
        assert [int(frame.image.read()[0, 0, 0]) for frame in clip.frames] == list(range(first, 10, 2))


def test_a_stray_image_is_nobodys_neighbor(tmp_path: Path) -> None:
    folder = images(tmp_path / "drive", *(f"frame_{number}.png" for number in range(5)), "cover.png")
    with pytest.warns(UserWarning, match=r"1 clip \(frame\) and 1 unrelated image \(cover\)"):
        frames, others = open_clips(folder)
    assert [frame.name for frame in frames.frames] == [f"frame_{number}" for number in range(5)]
    assert others.independent


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("FRAME_0003.PNG", "is a second image for the frame of"),
        ("frame_3.png", "'frame_3' is a second image for the frame of 'frame_0003'"),
        ("frame_0003 (1).png", r"'frame_0003 \(1\)' is a copy of 'frame_0003'; remove one"),
        ("frame_0003 - Copy.png", "'frame_0003 - Copy' is a copy of 'frame_0003'"),
        ("frame_0003 copy 2.png", "'frame_0003 copy 2' is a copy of 'frame_0003'"),
    ],
)
def test_a_copy_of_an_image_is_no_frame(tmp_path: Path, name: str, text: str) -> None:
    folder = images(tmp_path / "drive", *(f"frame_{number:04d}.png" for number in range(5)), name)
    with pytest.raises(InputError, match=text):
        open_clips(folder)


def test_photos_of_any_names_are_one_clip(tmp_path: Path) -> None:
    (clip,) = open_clips(images(tmp_path / "photos", "beach.png", "DSC_1.png", "me.png", "DSC_2.png"))
    assert len(clip.frames) == 4


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.integers(1, 4000), min_size=1, max_size=9),
    form=st.sampled_from(["IMG_%Y%m%d_%H%M%S", "%Y-%m-%d_%H-%M-%S", "%Y.%m.%d %H.%M.%S", "a%Y%m%dT%H%M%S_b"]),
)
def test_dates_in_names_are_times_across_minutes_and_midnight(steps: list[int], form: str) -> None:
    moments = np.datetime64("2026-11-26T23:58:57") + np.cumsum([0, *steps])
    names = [moment.astype(object).strftime(form) for moment in moments]
    np.testing.assert_allclose(np.diff(times_of(names, rate=10)), steps)
    assert series_of(names)[1] == []


def test_numbers_behind_a_date_are_numbers() -> None:
    names = [f"VID_20261126_081558_{number:04d}" for number in (1, 2, 3, 7)]
    assert times_of(names, rate=10) == pytest.approx([0.0, 0.1, 0.2, 0.6])
