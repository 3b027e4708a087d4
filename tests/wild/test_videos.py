"""Videos as phones, dash cams and recorders leave them."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import formats
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from packdepth.errors import InputError
from packdepth.inference.writers.video import video_writer
from packdepth.inspection.check import check
from packdepth.inspection.findings import findings
from packdepth.inspection.import_data import import_data
from packdepth.inspection.survey import survey
from packdepth.sources.decoding import VIDEOS, VideoFrame, check_one_size, iterate, probe
from packdepth.sources.open import open_clips

from .conftest import Command

RNG = np.random.default_rng(0)
PATTERN = RNG.integers(0, 256, (9, 16, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)


def pictures(height: int = 64, width: int = 96, frames: int = 12) -> list[np.ndarray]:
    """Return images of a moving pattern."""
    return [PATTERN[:height, index : index + width] for index in range(frames)]


def written(
    path: Path, images: list[np.ndarray], codec: str = "mpeg4", pixels: str = "yuv420p", **options: str
) -> Path:
    """Write a video and return its path."""
    return formats.video(path, images, codec, pixels, 10, None, options)


@settings(max_examples=30, deadline=None)
@given(turns=st.integers(0, 3), mirrored=st.booleans())
def test_a_video_is_turned_and_mirrored_by_any_display_matrix(
    tmp_path_factory: pytest.TempPathFactory, turns: int, mirrored: bool
) -> None:
    path = written(tmp_path_factory.mktemp("matrix") / "a.mp4", pictures(frames=2))
    stored = next(iterate(path))[1]
    # A turn to the right by 90 degrees maps (x, y) to (-y, x): columns of the matrix are images of the axes.
    matrix = np.linalg.matrix_power(np.array([[0, -1], [1, 0]]), turns) @ np.diag([-1 if mirrored else 1, 1])
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40  # the matrix in a track header of version 0
    (a, c), (b, d) = (matrix << 16).tolist()
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    shown = np.rot90(stored[:, ::-1] if mirrored else stored, -turns)
    assert (probe(path).height, probe(path).width) == shown.shape[:2]
    np.testing.assert_array_equal(next(iterate(path))[1], shown)
    np.testing.assert_array_equal(VideoFrame(path, 0).read(), shown)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_cover_picture_is_not_the_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=10)
        film = container.add_stream("mpeg4", rate=10)
        cover.disposition = av.stream.Disposition.attached_pic
        cover.height, cover.width, cover.pix_fmt = 72, 120, "yuvj420p"
        film.height, film.width, film.pix_fmt = 64, 96, "yuv420p"
        for stream, images in ((cover, pictures(72, 120, 1)), (film, pictures())):
            for image in images:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
            container.mux(stream.encode())
    if suffix == "mkv":  # puts the cover first, and loses its mark, which is set here as files of shops have it
        monkeypatch.setattr("packdepth.sources.decoding.is_cover", lambda stream: stream.codec_context.name == "mjpeg")
    info = probe(path)
    assert (info.frames, info.height, info.width) == (12, 64, 96)
    assert [image.shape for _, image in iterate(path)] == [(64, 96, 3)] * 12
    assert VideoFrame(path, 5).read().shape == (64, 96, 3)


def test_a_file_with_nothing_but_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    picture = io.BytesIO()
    Image.fromarray(PATTERN).save(picture, "JPEG")
    body = b"\0image/jpeg\0\3\0" + picture.getvalue()
    frame = b"APIC" + len(body).to_bytes(4, "big") + b"\0\0" + body
    size = len(frame)
    synchsafe = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\3\0\0" + synchsafe + frame + (b"\xff\xfb\x90\x00" + bytes(413)) * 8)
    with pytest.raises(InputError, match=r"song\.mp3: has no video stream"):
        open_clips(path)


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mjpeg", "mjpeg"), ("avi", "mjpeg"), ("mkv", "mjpeg"), ("h264", "libx264")]
)
def test_a_change_of_size_in_mid_stream_is_found_before_its_frames_are_used(
    tmp_path: Path, train: Command, suffix: str, codec: str
) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    parts = [
        written(tmp_path / f"{height}.{suffix}", pictures(height, width), codec, pixels)
        for height, width in ((64, 96), (48, 80))
    ]
    path = tmp_path / f"both.{suffix}"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    said = r"changes its size from 96x64 to 80x48 pixels by frame \d+; cut it there"
    for read in (check, lambda path: import_data(path, tmp_path / "imported"), lambda path: list(iterate(path))):
        with pytest.raises(InputError, match=said):
            read(path)
    assert not (tmp_path / "imported").exists()
    status, _, messages = train({"kind": "video", "file": str(path)}, [{"kind": "photometric"}])
    assert status == 2
    assert re.search(said, messages)
    if suffix == "avi":  # the frames of others cannot be sought
        check_one_size(path, 0, 5)  # the part that is used


@pytest.mark.parametrize("suffix", [".ts", ".mts", ".m2ts", ".3gp", ".mjpeg", ".mpg", ".MP4", ".mov", ".webm"])
def test_videos_are_read_alone_and_in_a_folder_by_their_suffix(tmp_path: Path, suffix: str) -> None:
    codec = {".mjpeg": "mjpeg", ".webm": "libvpx-vp9", ".mpg": "mpeg2video"}.get(suffix, "mpeg4")
    if codec not in av.codecs_available:
        pytest.skip(f"this build of FFmpeg has no {codec}")
    folder = tmp_path / "drive"
    folder.mkdir()
    path = written(folder / f"a{suffix}", pictures(), codec, "yuvj420p" if codec == "mjpeg" else "yuv420p")
    for place in (path, folder):
        (clip,) = open_clips(place)
        assert len(clip.frames) == 12
        assert clip.frames[3].image.read().shape == (64, 96, 3)
    assert suffix.lower() in VIDEOS


def test_what_a_folder_of_videos_holds_besides_is_named(tmp_path: Path) -> None:
    written(tmp_path / "a.mp4", pictures())
    for name in ("notes.md", "a.THM", "a.srt"):
        (tmp_path / name).write_text("")
    with pytest.warns(UserWarning, match=r"reads its video; left alone: a\.THM, a\.srt, notes\.md"):
        (clip,) = open_clips(tmp_path)
    assert clip.name == "video/a"


@settings(max_examples=20, deadline=None)
@given(steps=st.lists(st.floats(0.01, 0.5), min_size=2, max_size=12), rate=st.sampled_from([10.0, 29.97]))
def test_frames_keep_their_own_times_in_a_written_video(
    tmp_path_factory: pytest.TempPathFactory, steps: list[float], rate: float
) -> None:
    times = np.cumsum([3.0, *steps])
    path = tmp_path_factory.mktemp("times") / "a.mp4"
    with video_writer(path, rate, times.tolist()) as append:
        for image in pictures(frames=len(times)):
            append(image)
    np.testing.assert_allclose(probe(path).times, times - times[0], atol=2e-3)
    with av.open(str(path)) as container:
        assert container.duration is not None
        assert abs(container.duration / 1e6 - (times[-1] - times[0] + 1 / rate)) < 0.01


def test_frames_keep_their_own_times_in_speeds_and_imports(tmp_path: Path) -> None:
    stamps = np.cumsum([0, 10, 12, 14, 11, 13, 10])  # hundredths of a second
    path = formats.video(tmp_path / "a.mp4", pictures(frames=len(stamps)), rate=100, times=stamps.tolist())
    log = tmp_path / "log.csv"
    log.write_text("time_s,speed_mps\n" + "".join(f"{time:.2f},{10 * time:.3f}\n" for time in np.arange(0, 1, 0.05)))
    (clip,) = open_clips(path, options=[f"speeds={log}", "offset=0"])
    np.testing.assert_allclose([frame.time for frame in clip.frames], stamps / 100, atol=1e-6)
    np.testing.assert_allclose([frame.speed or 0.0 for frame in clip.frames], stamps / 10, atol=0.01)
    (folder,) = import_data(path, tmp_path / "out", options=[f"speeds={log}", "offset=0"])
    (copy,) = open_clips(folder)
    np.testing.assert_allclose([frame.time for frame in copy.frames], stamps / 100, atol=1e-6)
    np.testing.assert_allclose([frame.speed or 0.0 for frame in copy.frames], stamps / 10, atol=0.01)


def test_an_interlaced_video_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"x264-params": "tff=1", "flags": "+ilme+ildct"})
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for image in pictures():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode())
    for file, expected in ((path, True), (written(tmp_path / "b.mp4", pictures()), False)):
        found = findings(survey(open_clips(file)[0]))
        assert any(finding.name == "interlaced" for finding in found) == expected


@pytest.mark.parametrize(("fy", "told"), [(200.0, None), (150.0, "pixels 1.000 times .* the video states 1.333")])
def test_a_calibration_agrees_with_the_shape_of_a_videos_pixels(tmp_path: Path, fy: float, told: str | None) -> None:
    path = formats.video(tmp_path / "a.mp4", pictures(), pixel_aspect=Fraction(4, 3))
    path.with_suffix(".yaml").write_text(f"{{width: 96, height: 64, fx: 150, fy: {fy}, cx: 47.5, cy: 31.5}}")
    found = {finding.name: finding.found for finding in findings(survey(open_clips(path)[0]))}
    assert ("intrinsics" in found) == (told is not None)
    assert told is None or re.search(told, found["intrinsics"])


@pytest.fixture
def photo(tmp_path: Path) -> Callable[..., Path]:
    """Writes the head of a HEIC photo."""

    def write(name: str) -> Path:
        path = tmp_path / name
        path.write_bytes(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(100))
        return path

    return write


@pytest.mark.parametrize("name", ["a.heic", "a.mp4", "a"])
def test_a_photo_in_heic_is_no_video(photo: Callable[[str], Any], name: str) -> None:
    with pytest.raises(InputError, match="HEIC photo, which is not read; export it as JPEG"):
        open_clips(photo(name))


def test_a_folder_of_photos_in_heic_says_what_to_do(photo: Callable[[str], Any]) -> None:
    path = photo("a.heic")
    with pytest.raises(InputError, match=r"a\.heic: is a HEIC photo, which is not read; export it as JPEG"):
        open_clips(path.parent)
