"""Depth maps that other programs read: FFmpeg reads the OpenEXR, Pillow the TIFF and the PNG."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from packdepth.depth_files import write_depth_exr, write_depth_png, write_depth_tiff
from packdepth.sources.files import DepthPng

TEXTS = {"unit": "metre", "scale_source": "velocity (speed)"}


def random_depth(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Depth [H, W] float32 between 0.5 and 80 m."""
    return np.random.default_rng(seed).uniform(0.5, 80, (height, width)).astype(np.float32)


def read_exr(path: Path) -> np.ndarray:
    """The only channel of an OpenEXR file, as FFmpeg decodes it."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert isinstance(frame, av.VideoFrame)
        assert frame.format.name == "grayf32le"
        rows = np.frombuffer(bytes(frame.planes[0]), np.float32).reshape(frame.height, -1)
        return rows[:, : frame.width]


def test_depth_png(tmp_path: Path) -> None:
    depth = random_depth(45, 83)
    write_depth_png(tmp_path / "a.png", depth, TEXTS)
    picture = Image.open(tmp_path / "a.png")
    assert picture.mode == "I;16"
    assert picture.info == TEXTS
    np.testing.assert_allclose(DepthPng(tmp_path / "a.png").read(), depth, atol=0.5 / 256 + 1e-6)


def test_depth_png_of_extremes(tmp_path: Path) -> None:
    depth = np.array([[0, -1, np.nan, np.inf, 1e-4, 255.99, 300, 1e6]], dtype=np.float32)
    write_depth_png(tmp_path / "a.png", depth)
    steps = np.asarray(Image.open(tmp_path / "a.png"))
    np.testing.assert_array_equal(steps, [[0, 0, 0, 0, 1, 65533, 65535, 65535]])


def test_tiff(tmp_path: Path) -> None:
    depth = random_depth(45, 83)
    write_depth_tiff(tmp_path / "a.tiff", depth, TEXTS)
    picture = Image.open(tmp_path / "a.tiff")
    assert picture.mode == "F"
    np.testing.assert_array_equal(np.asarray(picture), depth)
    assert picture.getexif()[270] == "unit: metre; scale_source: velocity (speed)"


@pytest.mark.parametrize("size", [(1, 1), (15, 8), (16, 7), (17, 33), (45, 83)])
def test_exr(tmp_path: Path, size: tuple[int, int]) -> None:
    depth = random_depth(*size)
    write_depth_exr(tmp_path / "a.exr", depth, TEXTS)
    np.testing.assert_array_equal(read_exr(tmp_path / "a.exr"), depth)
    content = (tmp_path / "a.exr").read_bytes()
    assert b"unit\0string\0\5\0\0\0metre" in content
    assert b"scale_source\0string\0\x10\0\0\0velocity (speed)" in content


def test_exr_compresses_smooth_depth(tmp_path: Path) -> None:
    depth = np.add.outer(np.arange(96), np.arange(320)).astype(np.float32) / 50 + 1
    write_depth_exr(tmp_path / "a.exr", depth, TEXTS)
    np.testing.assert_array_equal(read_exr(tmp_path / "a.exr"), depth)
    assert (tmp_path / "a.exr").stat().st_size < depth.nbytes / 5


@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 9))
def test_exr_of_any_size(tmp_path_factory: pytest.TempPathFactory, height: int, width: int, seed: int) -> None:
    path = tmp_path_factory.mktemp("exr") / "a.exr"
    depth = random_depth(height, width, seed).round(seed % 3)
    write_depth_exr(path, depth, {})
    np.testing.assert_array_equal(read_exr(path), depth)
