from __future__ import annotations

import multiprocessing
import pickle
import random
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from packdepth.sources.decoding import VideoFrame, display_order, iterate, probe
from packdepth.sources.video import Video

CAMERA = "width: 96\nheight: 64\nfx: 80\nfy: 80\ncx: 47.5\ncy: 31.5\n"


def decoded(path: Path) -> list[np.ndarray]:
    """All frames as PyAV decodes them from first to last."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def check_exact(path: Path, expected: list[np.ndarray]) -> None:
    """Frames by number are those of decoding from the beginning, in whatever order they are read."""
    numbers = list(range(len(expected)))
    shuffled = random.Random(0).sample(numbers, len(numbers))
    neighbors = [number + offset for number in shuffled[:10] for offset in (0, -1, 1)]
    neighbors = [number for number in neighbors if 0 <= number < len(expected)]
    for number in [*shuffled, *numbers[::-1], *neighbors, *numbers[::5]]:
        np.testing.assert_array_equal(VideoFrame(path, number).read(), expected[number])


# AVI keeps no order of showing; an MPEG program stream seeks only roughly; Matroska has no count of its frames.
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "mpeg4"),
        ("a.mkv", "mpeg4"),
        ("a.avi", "mpeg4"),
        ("a.mpg", "mpeg2video"),
        ("a.ts", "mpeg2video"),
        ("a.mp4", "libx264"),
        ("a.avi", "libx264"),
        ("a.ts", "libx264"),
        ("a.h264", "libx264"),
        ("a.webm", "libvpx-vp9"),
    ],
)
def test_frames_by_number_are_exact(tmp_path: Path, write_video: Callable[..., Path], name: str, codec: str) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this build of FFmpeg has no {codec}")
    path = write_video(tmp_path / name, codec=codec, rate=25)
    expected = decoded(path)
    info = probe(path)
    assert (info.frames, info.fps, info.height, info.width) == (40, 25, 64, 96)
    np.testing.assert_allclose(np.diff(info.times), 1 / 25, atol=1e-3)  # Matroska's stamps are milliseconds
    streamed = list(iterate(path))
    assert [time for time, _ in streamed] == list(info.times)
    for (_, image), reference in zip(streamed, expected, strict=True):
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, reference)
    check_exact(path, expected)


def test_times_are_those_of_the_stamps(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    times = [0, 1, 2, 5, 6, 9]
    path = write_video(tmp_path / "a.mp4", frames=6, rate=10, times=times)
    assert probe(path).times == tuple(time / 10 for time in times)


def test_odd_sizes(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    path = write_video(tmp_path / "a.mkv", frames=3, height=63, width=97, codec="ffv1")
    assert (probe(path).height, probe(path).width) == (63, 97)
    check_exact(path, decoded(path))


@pytest.mark.parametrize(
    ("matrix", "turns"), [((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)], ids=["right", "over", "left"]
)
def test_rotated_video_is_upright(
    tmp_path: Path, write_video: Callable[..., Path], matrix: tuple[int, int, int, int], turns: int
) -> None:
    """A phone held upright writes its frames lying, and a matrix that says how to turn them."""
    path = write_video(tmp_path / "a.mp4", frames=4)
    lying = decoded(path)
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40  # the matrix in a track header of version 0
    a, b, c, d = (value << 16 for value in matrix)
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    upright = [np.rot90(frame, turns) for frame in lying]
    assert (probe(path).height, probe(path).width) == upright[0].shape[:2]
    for (_, image), expected in zip(iterate(path), upright, strict=True):
        np.testing.assert_array_equal(image, expected)
    check_exact(path, upright)


def test_video_that_begins_between_key_frames(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    """As dash cams cut their recordings: it begins with its first key frame, later frames keep their places."""
    path = write_video(tmp_path / "a.ts", codec="mpeg2video")
    whole = decoded(path)
    content = path.read_bytes()
    packets = [content[start : start + 188] for start in range(0, len(content), 188)]
    path.write_bytes(b"".join(packets[:2] + packets[len(packets) // 3 :]))  # the first two are tables
    info = probe(path)
    assert 10 < info.frames < 40
    check_exact(path, whole[-info.frames :])


def test_stamps_that_do_not_tell_the_order() -> None:
    assert display_order([0, 3, 1, 2], reorders=True) == [0, 1, 2, 3]
    assert display_order([0, 1, 2, 3], reorders=False) == [0, 1, 2, 3]
    assert display_order([0, 1, 2, 3], reorders=True) == []  # stamps of decoding
    assert display_order([None, 1, 2], reorders=False) == []
    assert display_order([0, 1, 1, 2], reorders=False) == []
    assert display_order([*range(100, 150), *range(50)], reorders=False) == []  # two recordings in one


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_read_for_themselves(tmp_path: Path, write_video: Callable[..., Path], method: str) -> None:
    path = write_video(tmp_path / "a.mp4")
    expected = decoded(path)
    np.testing.assert_array_equal(VideoFrame(path, 20).read(), expected[20])
    with multiprocessing.get_context(method).Pool(1) as pool:
        for number in (21, 5, 30):
            there = pool.apply_async(VideoFrame(path, number).read).get(timeout=60)
            np.testing.assert_array_equal(there, expected[number])
            np.testing.assert_array_equal(VideoFrame(path, number + 1).read(), expected[number + 1])


def test_replaced_video_is_read_anew(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    path = write_video(tmp_path / "a.mp4", frames=8)
    VideoFrame(path, 7).read()
    path.unlink()
    write_video(path, frames=5, height=32, width=48)
    assert probe(path).frames == 5
    assert VideoFrame(path, 4).read().shape == (32, 48, 3)


def test_source(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    path = write_video(tmp_path / "ride.mp4", frames=7)
    (tmp_path / "ride.yaml").write_text(CAMERA)
    (clip,) = pickle.loads(pickle.dumps(Video(kind="video", file=path, step=3).clips()))
    assert clip.name == "video/ride"
    assert (clip.camera.fx, clip.camera.width, clip.baseline, clip.independent) == (80, 96, None, False)
    assert [(frame.name, frame.time) for frame in clip.frames] == [("000000", 0), ("000003", 0.3), ("000006", 0.6)]
    np.testing.assert_array_equal(clip.frames[1].image.read(), decoded(path)[3])
    (tmp_path / "other.yaml").write_text(CAMERA.replace("80", "90"))
    (clip,) = Video(kind="video", file=path, camera=tmp_path / "other.yaml", frames=(2, 4)).clips()
    assert clip.camera.fx == 90
    assert [frame.name for frame in clip.frames] == ["000002", "000003"]


def test_a_camera_that_nobody_knows_is_a_guess(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    path = write_video(tmp_path / "ride.mp4", frames=3)
    (clip,) = Video(kind="video", file=path).clips()
    assert clip.missing_camera == tmp_path / "ride.yaml"
    assert (clip.camera.width, clip.camera.height, clip.camera.cx) == (96, 64, 47.5)
    assert clip.camera.fov() == pytest.approx(60)
    (tmp_path / "ride.yaml").write_text(CAMERA)
    assert Video(kind="video", file=path).clips()[0].missing_camera is None


def test_a_folder_of_videos(tmp_path: Path, write_video: Callable[..., Path], complaint: Callable[..., None]) -> None:
    (tmp_path / "notes").mkdir()
    complaint(Video(kind="video", file=tmp_path / "notes").clips, tmp_path / "notes", "no video")
    (tmp_path / "notes").rmdir()
    for name in ("b.mp4", "a.mkv"):
        write_video(tmp_path / name, frames=3)
    (tmp_path / "b.yaml").write_text(CAMERA)
    first, second = Video(kind="video", file=tmp_path).clips()
    assert (first.name, second.name) == ("video/a", "video/b")
    assert (first.missing_camera, second.missing_camera) == (tmp_path / "a.yaml", None)
    assert Video.recognizes(tmp_path)
    (tmp_path / "frames").mkdir()
    assert not Video.recognizes(tmp_path)


def test_errors_of_the_source(tmp_path: Path, write_video: Callable[..., Path], complaint: Callable[..., None]) -> None:
    path = write_video(tmp_path / "ride.mp4", frames=3)
    video = Video(kind="video", file=path)
    named = Video(kind="video", file=path, camera=tmp_path / "other.yaml")
    complaint(named.clips, tmp_path / "other.yaml", "not found", "fx")
    (tmp_path / "ride.yaml").write_text(CAMERA.replace("64", "128"))
    complaint(video.clips, path, "96x64", tmp_path / "ride.yaml", "96x128")
    complaint(Video(kind="video", file=tmp_path / "none.mp4").clips, tmp_path / "none.mp4", "not found")
    complaint(VideoFrame(path, 3).read, path, "no frame 3", "3 frames")
    complaint(VideoFrame(tmp_path / "none.mp4", 0).read, tmp_path / "none.mp4", "not found")


@pytest.mark.parametrize("options", [{}, {"movflags": "faststart"}], ids=["index last", "index first"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated_video_is_an_error(
    tmp_path: Path, write_video: Callable[..., Path], complaint: Callable[..., None], options: Any, share: float
) -> None:
    path = write_video(tmp_path / "a.mp4", **options)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    complaint(lambda: probe(path), path)
    complaint(lambda: next(iterate(path)), path)
    complaint(VideoFrame(path, 0).read, path)


def test_damaged_frames_are_errors_but_others_are_not(
    tmp_path: Path, write_video: Callable[..., Path], complaint: Callable[..., None]
) -> None:
    path = write_video(tmp_path / "a.mov", codec="png", pixels="rgb24", frames=6)
    expected = decoded(path)
    with av.open(str(path)) as container:
        damaged = [bytes(packet) for packet in container.demux(video=0)][3]
    path.write_bytes(path.read_bytes().replace(damaged, bytes(len(damaged))))
    complaint(lambda: list(iterate(path)), path, "damaged near frame")
    complaint(VideoFrame(path, 3).read, path, "damaged near frame 3")
    for number in (5, 0, 2, 4):
        np.testing.assert_array_equal(VideoFrame(path, number).read(), expected[number])


def test_files_that_are_no_video(tmp_path: Path, complaint: Callable[..., None]) -> None:
    junk = tmp_path / "junk.mp4"
    junk.write_bytes(b"no video" * 100)
    complaint(lambda: probe(junk), junk, "no video")
    complaint(lambda: probe(tmp_path), tmp_path, "no video")
    sound = tmp_path / "sound.wav"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
    complaint(lambda: probe(sound), sound, "no video stream")


def test_real_video(data: Path) -> None:
    path = data / "video/highway_dashcam.mp4"
    info = probe(path)
    assert (info.frames, info.fps, info.height, info.width) == (221, Fraction(25), 540, 960)
    wanted = {0, 31, 32, 33}
    expected = {number: image for number, (_, image) in zip(range(34), iterate(path), strict=False) if number in wanted}
    for number in (33, 31, 0, 32):
        np.testing.assert_array_equal(VideoFrame(path, number).read(), expected[number])
