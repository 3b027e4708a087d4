"""What was tried and was right: it stays so."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import formats
import numpy as np
import pytest
import torch
import world
from PIL import Image

from packdepth.data.dataset import measured_depth
from packdepth.errors import InputError
from packdepth.geometry import lidar
from packdepth.inspection.findings import findings
from packdepth.inspection.survey import survey
from packdepth.sources.decoding import VideoFrame, iterate
from packdepth.sources.files import ImageFile, PointsNpz
from packdepth.sources.open import open_clips
from packdepth.sources.rgbd import read_pose, read_stamped

from .conftest import Command

MATRICES = {"BT.601": (0.299, 0.114, 5), "BT.709": (0.2126, 0.0722, 1)}  # shares of red and blue; FFmpeg's number
PATTERNS = [np.random.default_rng(seed).integers(0, 256, (32, 60, 3), np.uint8) for seed in (0, 1)]


# --- color ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("color", [(200, 40, 90), (20, 180, 60), (255, 255, 255), (0, 0, 0)])
def test_a_videos_colors_follow_its_matrix_and_range(
    tmp_path: Path, matrix: str, full: bool, color: tuple[int, int, int]
) -> None:
    red, blue, number = MATRICES[matrix]
    r, g, b = np.array(color) / 255
    y = red * r + (1 - red - blue) * g + blue * b
    chroma = [(b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red))]
    planes = [255 * y, *(128 + 255 * c for c in chroma)] if full else [16 + 219 * y, *(128 + 224 * c for c in chroma)]
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "0"})
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        stream.codec_context.color_range, stream.codec_context.colorspace = 1 + full, number
        for index in range(3):
            frame = av.VideoFrame(96, 64, "yuv420p")
            for plane, value in zip(frame.planes, planes, strict=True):
                plane.update(bytes([min(round(value), 255)]) * plane.buffer_size)
            frame.pts, frame.color_range, frame.colorspace = index, 1 + full, number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    for image in (next(iterate(tmp_path / "a.mp4"))[1], VideoFrame(tmp_path / "a.mp4", 1).read()):
        np.testing.assert_allclose(image.reshape(-1, 3).mean(0), color, atol=3)


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    """Save an image and return its path."""
    image.save(path, **options)
    return path


RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
GRAY = RGB[..., 0]
MODES: dict[str, tuple[Callable[[], Image.Image], np.ndarray]] = {
    "gray": (lambda: Image.fromarray(GRAY), GRAY[..., None].repeat(3, -1)),
    "gray with alpha": (lambda: Image.fromarray(GRAY).convert("LA"), GRAY[..., None].repeat(3, -1)),
    "alpha": (lambda: Image.fromarray(np.dstack([RGB, 255 - GRAY])), RGB),
    "palette": (lambda: Image.fromarray(RGB).quantize(48), RGB),
    "1 bit": (lambda: Image.fromarray(GRAY > 127), 255 * (GRAY > 127)[..., None].repeat(3, -1)),
}


@pytest.mark.parametrize("mode", MODES)
def test_an_image_of_any_mode_is_the_same_in_rgb(tmp_path: Path, mode: str) -> None:
    make, expected = MODES[mode]
    read = ImageFile(saved(tmp_path / "a.png", make())).read()
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, expected)


def test_cmyk_is_converted(tmp_path: Path) -> None:
    color = np.full((16, 16, 3), (200, 60, 90), np.uint8)
    path = saved(tmp_path / "a.jpg", Image.fromarray(color).convert("CMYK"), quality=98)
    np.testing.assert_allclose(ImageFile(path).read(), color, atol=4)


def test_color_of_16_bits_keeps_its_upper_byte_and_gray_of_16_bits_is_refused(tmp_path: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    values = (RGB.astype(np.uint16) << 8) + 77
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", 8, 6, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    np.testing.assert_array_equal(ImageFile(tmp_path / "a.png").read(), RGB)
    gray = saved(tmp_path / "b.png", Image.fromarray(GRAY.astype(np.uint16) << 8))
    with pytest.raises(InputError, match="more than 8 bits"):
        ImageFile(gray).read()


# --- paths and texts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Straße 1", "видео клип", "動画 #2", 'a\'b "c"', "100%"])
def test_paths_with_spaces_and_letters_of_any_script_work_in_every_command(
    tmp_path: Path, command: Command, train: Command, name: str
) -> None:
    clip = world.write(tmp_path / name / "clip é")
    assert f"folder/{clip.name}: 6 frames" in command("data", "check", clip)[1]
    assert command("data", "import", clip, tmp_path / name / "out")[0] == 0
    (copy,) = open_clips(tmp_path / name / "out")
    assert len(copy.frames) == 6
    video = formats.video(tmp_path / name / "vidéo 1.mp4", [world.picture(index) for index in range(6)])
    assert len(open_clips(video)[0].frames) == 6
    status, _, messages = train({"kind": "folder", "root": str(clip)}, [{"kind": "photometric"}])
    assert status == 0, messages


@pytest.mark.parametrize(
    ("encoding", "ending"),
    [("utf-8-sig", "\n"), ("utf-8", "\r\n"), ("utf-8", "\r"), ("utf-16", "\n"), ("cp1252", "\n")],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_of_frames_of_other_programs_are_read(
    tmp_path: Path, encoding: str, ending: str, separator: str
) -> None:
    clip = world.write(tmp_path / "clip")
    table = clip / "frames.csv"
    table.write_bytes(table.read_text().replace("\n", ending).replace(",", separator).encode(encoding))
    assert [frame.time for frame in open_clips(clip)[0].frames] == pytest.approx(np.arange(6) / 10)


# --- measurements -----------------------------------------------------------------------------------------------


def test_lidar_points_that_are_no_numbers_or_zero_measure_nothing(tmp_path: Path) -> None:
    bad = np.array([[np.nan, 0, 5], [0, np.inf, 5], [0, 0, np.nan], [0, 0, np.inf], [0, 0, -np.inf], [0, 0, 0]])
    points = world.scan(0)
    np.savez(tmp_path / "clean.npz", points=points)
    np.savez(tmp_path / "mixed.npz", points=np.concatenate([bad, points, bad]))
    clean, mixed = (
        lidar.depth_map(torch.from_numpy(PointsNpz(tmp_path / f"{name}.npz").read()), world.CAMERA)
        for name in ("clean", "mixed")
    )
    assert clean.isfinite().all()
    torch.testing.assert_close(mixed, clean)


def test_frames_without_a_scan_measure_nothing_and_the_others_do(tmp_path: Path) -> None:
    clip = formats.add_scans(world.write(tmp_path / "clip"))
    for file in (clip / "depth").iterdir():
        file.unlink()
    (found,) = open_clips(clip)
    measured = [bool((measured_depth(found, frame) > 0).any()) for frame in found.frames]
    assert measured == [True, False] * 3


@pytest.mark.parametrize("word", ["-1.#IND", "1.#QNAN", "nan", "-nan(ind)"])
def test_poses_of_windows_that_are_no_numbers_are_refused(tmp_path: Path, word: str) -> None:
    path = tmp_path / "frame-000001.pose.txt"
    path.write_text(f"{word} 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
    with pytest.raises(InputError, match=r"000001\.pose\.txt: is not a camera-to-world pose.*remove it to do without"):
        read_pose(path)
    path.write_text(f"{word} 0 0 0 0 0 0 1\n")
    with pytest.raises(InputError, match="line 1 is not a time and 7 values"):
        read_stamped(path, 7)


# --- videos -----------------------------------------------------------------------------------------------------


def shots(seed: int, count: int) -> list[np.ndarray]:
    """Return images of a pattern that moves by two pixels a frame."""
    pattern = PATTERNS[seed].repeat(8, 0).repeat(8, 1)
    return [pattern[:128, 2 * index : 2 * index + 256] for index in range(count)]


VIDEOS: dict[str, tuple[Callable[[], list[np.ndarray]], dict[str, str]]] = {
    "moving": (lambda: shots(0, 24), {}),
    "static": (lambda: shots(0, 1) * 24, {"static frames": "error"}),
    "night": (lambda: [image // 25 for image in shots(0, 24)], {"large motion": "warning", "clipping": "warning"}),
    "cut": (lambda: [*shots(0, 12), *shots(1, 12)], {"cuts": "warning"}),
    "tripled": (lambda: [image for image in shots(0, 10) for _ in range(3)], {"static frames": "warning"}),
}


@pytest.mark.parametrize("name", VIDEOS)
def test_videos_that_stand_or_are_dark_or_cut_or_tripled_are_called_so(tmp_path: Path, name: str) -> None:
    make, expected = VIDEOS[name]
    path = formats.video(tmp_path / "a.mp4", make(), "libx264")
    path.with_suffix(".yaml").write_text("{width: 256, height: 128, fx: 200, fy: 200, cx: 127.5, cy: 63.5}")
    found = findings(survey(open_clips(path)[0]))
    assert {finding.name: finding.severity for finding in found if finding.name != "small motion"} == expected
