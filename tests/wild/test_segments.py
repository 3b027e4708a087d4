"""Folders of videos as dash cams and action cameras leave them: segments that overlap, small copies, copied files."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from packdepth.data.overlap import overlaps, repeated_frames, without_repeated_frames
from packdepth.errors import InputWarning
from packdepth.inspection.check import check
from packdepth.inspection.import_data import import_data
from packdepth.inspection.splits import by_drive
from packdepth.sources.open import open_clips

from .conftest import Command

FRAMES = 90  # of the whole drive
PATTERN = 255 * gaussian_filter(np.random.default_rng(0).random((96, 600, 3)), (2, 2, 0))
PATTERN = ((PATTERN - PATTERN.min()) / np.ptp(PATTERN) * 255).astype(np.uint8)


def drive(first: int, last: int, step: int = 2) -> list[np.ndarray]:
    """Return images of a moment after the other: a pattern that moves to the left, with noise of the sensor."""
    noise = [np.random.default_rng(index).normal(0, 3, (96, 192, 3)) for index in range(first, last)]
    places = [step * index for index in range(first, last)]
    return [
        (PATTERN[:, place : place + 192] + each).clip(0, 255).astype(np.uint8)
        for place, each in zip(places, noise, strict=True)
    ]


def written(path: Path, images: list[np.ndarray], quality: int = 28) -> Path:
    """Write a video of images at 30 frames a second and return its path."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": str(quality)})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three segments of a drive: the second repeats 20 frames of the first, the third none."""
    folder = tmp_path_factory.mktemp("dashcam")
    for name, first, last in (("001.mp4", 0, 40), ("002.mp4", 20, 60), ("003.mp4", 60, 90)):
        written(folder / name, drive(first, last))
    return folder


@pytest.mark.parametrize("overlap", [0, 1, 2, 7, 30])
def test_the_frames_that_a_segment_repeats_are_counted(tmp_path: Path, overlap: int) -> None:
    earlier = written(tmp_path / "a.mp4", drive(0, 35))
    later = written(tmp_path / "b.mp4", drive(35 - overlap, 70), quality=35)  # another encoding
    assert repeated_frames(earlier, later) == overlap
    assert repeated_frames(later, earlier) == 0


def test_segments_of_a_camera_that_stands_and_of_other_drives_repeat_nothing(tmp_path: Path) -> None:
    earlier = written(tmp_path / "a.mp4", drive(0, 30, step=0))
    assert repeated_frames(earlier, written(tmp_path / "b.mp4", drive(30, 60, step=0))) == 0
    assert repeated_frames(earlier, written(tmp_path / "c.mp4", drive(60, 90))) == 0


def test_a_check_names_the_overlap(segments: Path) -> None:
    found = {surveyed.clip.path.name: {f.name: f.found for f in each} for surveyed, each in check(segments).clips}
    assert found["002.mp4"]["overlap"].startswith("its first 20 frames repeat the last of 001.mp4")
    assert "overlap" not in found["001.mp4"] | found["003.mp4"]


def test_no_moment_is_imported_twice(segments: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"002\.mp4: its first 20 frames repeat the last of 001\.mp4; they are left"):
        folders = import_data(segments, tmp_path / "out")
    assert [len(list((folder / "frames").iterdir())) for folder in folders] == [40, 20, 30]


def test_no_moment_is_trained_on_and_held_out(segments: Path) -> None:
    clips = {clip.path.name: clip for clip in open_clips(segments)}
    with pytest.warns(UserWarning, match="its first 20 frames repeat"):
        (validation,), (training,) = without_repeated_frames([clips["001.mp4"]], [clips["002.mp4"]])
    assert (len(validation.frames), training.frames[0].name) == (40, "000020")


def test_segments_of_one_drive_stay_together_in_splits_and_others_are_named(segments: Path) -> None:
    with pytest.warns(InputWarning, match=r"001\.mp4, 003\.mp4 are taken for drives of their own"):
        drives = by_drive(open_clips(segments))
    assert [[clip.path.name for clip in clips] for clips in drives.values()] == [["001.mp4", "002.mp4"], ["003.mp4"]]


def test_what_a_run_does_not_use_is_not_repeated(segments: Path) -> None:
    first, second, _ = open_clips(segments, options=["frames=[0, 30]"])
    with pytest.warns(UserWarning, match="its first 10 frames repeat"):
        ((_, cut),) = without_repeated_frames([first, second])
    assert cut.frames[0].name == "000010"
    assert len(overlaps([second])) == 0


SMALL = [
    ("GX010012.MP4", "GL010012.LRV"),
    ("GOPR0012.MP4", "GOPR0012.LRV"),
    ("DJI_0012.MP4", "DJI_0012.LRF"),
    ("VID_20260101_101010_00_012.mp4", "LRV_20260101_101010_01_012.lrv"),
    ("drive.mp4", "drive_proxy.mp4"),
    ("drive.mp4", "drive_lowres.mp4"),
    ("drive.mov", "Drive-Proxy.mp4"),
]


@pytest.mark.parametrize(("large", "small"), SMALL)
def test_a_low_resolution_copy_is_left_out_beside_its_video_and_read_alone(
    segments: Path, tmp_path: Path, large: str, small: str
) -> None:
    shutil.copy(segments / "001.mp4", tmp_path / large)
    written(tmp_path / small, [np.ascontiguousarray(image[::2, ::2]) for image in drive(0, 40)], quality=35)
    with pytest.warns(UserWarning, match=f"is a low-resolution copy of {large} and is left out"):
        (clip,) = open_clips(tmp_path)
    assert clip.camera.width == 192
    (tmp_path / large).unlink()
    assert [clip.camera.width for place in (tmp_path, tmp_path / small) for clip in open_clips(place)] == [96, 96]


def test_a_copied_file_is_read_once(segments: Path, tmp_path: Path) -> None:
    for name in ("a.mp4", "a (1).mp4", "b.mp4"):
        shutil.copy(segments / ("003.mp4" if name == "b.mp4" else "001.mp4"), tmp_path / name)
    with pytest.warns(UserWarning, match=r"is a copy of a.*\.mp4 and is left out"):
        assert len(open_clips(tmp_path)) == 2


@pytest.mark.parametrize(
    ("front", "rear"), [("0007F.mp4", "0007R.mp4"), ("10-10-front.mp4", "10-10-left_repeater.mp4")]
)
def test_cameras_of_one_car_in_a_folder_are_told_by_their_names(
    segments: Path, tmp_path: Path, front: str, rear: str
) -> None:
    shutil.copy(segments / "001.mp4", tmp_path / front)
    shutil.copy(segments / "003.mp4", tmp_path / rear)
    with pytest.warns(UserWarning, match=f"of several cameras by their names .{front}, {rear}., but have one guess"):
        open_clips(tmp_path)


def test_segments_of_two_cameras_are_compared_with_those_of_the_same(segments: Path, tmp_path: Path) -> None:
    names = {"01F.mp4": "001.mp4", "01R.mp4": "003.mp4", "02F.mp4": "002.mp4"}
    for name, source in names.items():
        shutil.copy(segments / source, tmp_path / name)
    with pytest.warns(UserWarning, match="several cameras"):
        clips = open_clips(tmp_path)
    assert overlaps(clips) == {tmp_path / "02F.mp4": (tmp_path / "01F.mp4", 20)}


def test_parts_of_one_camera_are_no_cameras(segments: Path, tmp_path: Path) -> None:
    for name, source in {"drive.mp4": "001.mp4", "drive 2.mp4": "003.mp4", "drive-b.mp4": "002.mp4"}.items():
        shutil.copy(segments / source, tmp_path / name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(open_clips(tmp_path)) == 3


def test_training_says_what_it_leaves_out(segments: Path, train: Command) -> None:
    source: dict[str, object] = {"kind": "video", "file": str(segments)}
    with pytest.warns(UserWarning, match=r"002\.mp4: its first 20 frames repeat the last of 001\.mp4"):
        status, output, messages = train(source, [{"kind": "photometric"}], camera={"fov": 60})
    assert status == 0, messages
    assert ": 90 frames" in output.splitlines()[0]
