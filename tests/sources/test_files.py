from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from packdepth.errors import InputError
from packdepth.sources.files import (
    DepthPng,
    ImageFile,
    LabelPng,
    PointsNpz,
    VelodyneBin,
    check_sizes,
    common_size,
    found,
    read_text,
    required,
)
from packdepth.sources.stills import IMAGES, image_size


def test_sources_import_without_torch_and_av() -> None:
    code = "import sys, packdepth.sources; sys.exit(any(name in sys.modules for name in ('torch', 'av')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_images_are_rgb_whatever_their_mode(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    color, gray = write_image(tmp_path / "color.png"), write_image(tmp_path / "gray.png", mode="L")
    with Image.open(color) as image:
        np.testing.assert_array_equal(ImageFile(color).read(), np.asarray(image))
    pixels = ImageFile(gray).read()
    assert pixels.shape == (12, 40, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == pixels[..., :1]).all()
    assert image_size(gray) == (12, 40)


def test_depth_is_metres(tmp_path: Path) -> None:
    path = tmp_path / "depth.png"
    Image.fromarray(np.array([[0, 256], [640, 65535]], dtype=np.uint16)).save(path)
    depth = DepthPng(path).read()
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, [[0, 1], [2.5, 0]])  # the largest value is no depth


def test_depth_of_8_bits_is_an_error(
    tmp_path: Path, write_image: Callable[..., Path], complaint: Callable[..., None]
) -> None:
    for mode in ("L", "RGB"):
        path = write_image(tmp_path / "depth.png", mode=mode)
        complaint(DepthPng(path).read, path, "16-bit")


def test_labels_are_class_ids(tmp_path: Path, write_image: Callable[..., Path], complaint: Callable[..., None]) -> None:
    path = write_image(tmp_path / "labels.png", mode="L")
    with Image.open(path) as image:
        np.testing.assert_array_equal(LabelPng(path).read(), np.asarray(image))
    path = write_image(tmp_path / "colors.png")
    complaint(LabelPng(path).read, path, "8-bit")


def test_points_are_the_first_three_columns(tmp_path: Path, complaint: Callable[..., None]) -> None:
    path = tmp_path / "scan.npz"
    points = np.arange(8.0).reshape(2, 4)
    np.savez_compressed(path, points=points)
    read = PointsNpz(path).read()
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, points[:, :3])
    np.savez(path, points=points[0])
    complaint(PointsNpz(path).read, path, "(4,)", "[N, 3]")
    np.savez(path, scan=points)
    complaint(PointsNpz(path).read, path, "points")


@given(fields=st.integers(1, 40), count=st.integers(17, 60), turned=st.booleans())
def test_points_in_columns_are_never_read_as_few_points(fields: int, count: int, turned: bool) -> None:
    points = np.arange(fields * count, dtype=np.float32).reshape(count, fields)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        np.savez(path, points=points.T if turned else points)
        if turned or not 3 <= fields <= 16:
            with pytest.raises(InputError, match=r"'points' has shape \(\d+, \d+\); it must be \[N, 3\], metres"):
                PointsNpz(path).read()
        else:
            np.testing.assert_array_equal(PointsNpz(path).read(), points[:, :3])


def test_what_a_stranger_wrote_in_place_of_points_is_named(tmp_path: Path, complaint: Callable[..., None]) -> None:
    path, points = tmp_path / "a.npz", np.ones((20, 3))
    np.savez(path, xyz=points, time=1.0)
    complaint(PointsNpz(path).read, path, "is no npz with an array 'points'", "it holds 'xyz', 'time'")
    np.savez(path, points=np.array([{}]))
    complaint(PointsNpz(path).read, path, "holds objects of Python")
    np.savez(path, points=points, origin=[0, np.nan, 0])
    complaint(lambda: PointsNpz(path).origin, path, "'origin' must hold 3 numbers")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_points_that_are_no_numbers_are_left_out_without_a_word(tmp_path: Path, bad: float) -> None:
    points = np.ones((20, 3))
    points[3, 1] = bad
    np.savez(tmp_path / "a.npz", points=points)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(PointsNpz(tmp_path / "a.npz").read(), np.ones((19, 3)))


def test_a_scan_knows_where_its_scanner_stands(tmp_path: Path, complaint: Callable[..., None]) -> None:
    path = tmp_path / "scan.npz"
    np.savez(path, points=np.zeros((2, 3)), origin=np.array([0.1, -0.2, 0.3]))
    np.testing.assert_array_equal(PointsNpz(path).origin, [0.1, -0.2, 0.3])
    np.savez(path, points=np.zeros((2, 3)))
    np.testing.assert_array_equal(PointsNpz(path).origin, np.zeros(3))
    np.savez(path, points=np.zeros((2, 3)), origin=np.zeros(4))
    complaint(lambda: PointsNpz(path).origin, path, "3 numbers")
    T = np.eye(4)
    T[:3, 3] = 1, 2, 3
    np.testing.assert_array_equal(VelodyneBin(path, T).origin, [1, 2, 3])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated_files_are_errors_when_read(
    tmp_path: Path, write_image: Callable[..., Path], complaint: Callable[..., None], share: float
) -> None:
    files: list[Any] = [
        ImageFile(write_image(tmp_path / "image.png", 40, 60)),
        ImageFile(write_image(tmp_path / "image.jpg", 40, 60)),
        DepthPng(write_image(tmp_path / "depth.png", 40, 60, mode="I;16")),
        LabelPng(write_image(tmp_path / "labels.png", 40, 60, mode="L")),
        PointsNpz(tmp_path / "scan.npz"),
    ]
    np.savez_compressed(tmp_path / "scan.npz", points=np.random.default_rng(0).normal(size=(100, 3)))
    for file in files:
        content = file.path.read_bytes()
        file.read()
        file.path.write_bytes(content[: int(share * len(content))])
        complaint(file.read, file.path)


def test_missing_files_are_errors_when_read(tmp_path: Path, complaint: Callable[..., None]) -> None:
    for kind in (ImageFile, DepthPng, LabelPng, PointsNpz):
        complaint(kind(tmp_path / "none").read, tmp_path / "none")
    complaint(VelodyneBin(tmp_path / "none", np.eye(4)).read, tmp_path / "none")


def test_velodyne_points_move_into_the_camera_frame(tmp_path: Path, complaint: Callable[..., None]) -> None:
    path = tmp_path / "scan.bin"
    np.array([[10, 2, -1, 0.5], [-5, 0, 0, 0.1]], dtype=np.float32).tofile(path)
    T = np.array([[0, -1, 0, 0.1], [0, 0, -1, 0.2], [1, 0, 0, 0.3], [0, 0, 0, 1.0]])
    scan = pickle.loads(pickle.dumps(VelodyneBin(path, T)))
    points = scan.read()
    assert points.dtype == np.float32
    np.testing.assert_allclose(points, [[-1.9, 1.2, 10.3], [0.1, 0.2, -4.7]], rtol=1e-6)
    path.write_bytes(path.read_bytes()[:-3])
    complaint(scan.read, path, "29 bytes", "truncated")
    path.write_bytes(b"")
    complaint(scan.read, path, "truncated")


def test_found_files_are_sorted_by_name(
    tmp_path: Path, write_image: Callable[..., Path], complaint: Callable[..., None]
) -> None:
    for name in ("b.png", "a.JPG", "c.jpeg"):
        write_image(tmp_path / name)
    for name in ("._a.jpg", "notes.txt"):  # the first is what macOS leaves behind
        (tmp_path / name).write_text("")
    assert list(found(tmp_path, IMAGES, ImageFile)) == ["a", "b", "c"]
    assert found(tmp_path / "none", IMAGES, ImageFile) == {}
    write_image(tmp_path / "b.jpg")
    complaint(lambda: found(tmp_path, IMAGES, ImageFile), "b.png", "b.jpg")


def test_required_files_must_exist(tmp_path: Path, complaint: Callable[..., None]) -> None:
    complaint(lambda: required(tmp_path, IMAGES, ImageFile, "the images"), tmp_path, ".png", "the images")
    complaint(lambda: required(tmp_path / "none", IMAGES, ImageFile, "the images"), tmp_path / "none", "not found")


def test_sizes_are_compared(tmp_path: Path, write_image: Callable[..., Path], complaint: Callable[..., None]) -> None:
    small = ImageFile(write_image(tmp_path / "small.png"))
    large = ImageFile(write_image(tmp_path / "large.png", 24, 80))
    assert common_size([small, small]) == (12, 40)
    complaint(lambda: common_size([small, large]), large.path, "80x24", "40x12")
    check_sizes([small], 12, 40, tmp_path / "calib.txt")
    complaint(lambda: check_sizes([small, large], 12, 40, tmp_path / "calib.txt"), large.path, "80x24", "calib.txt")


def test_text_that_is_none(tmp_path: Path, complaint: Callable[..., None]) -> None:
    path = tmp_path / "calib.txt"
    path.write_bytes(b"\xff\xfd\x00\x9f")
    complaint(lambda: read_text(path, "the calibration"), path, "the calibration")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_an_image_cut_short_is_found_without_decoding_it(
    tmp_path: Path, write_image: Callable[..., Path], complaint: Callable[..., None], suffix: str
) -> None:
    path = write_image(tmp_path / f"image{suffix}", 40, 60)
    assert image_size(path) == (40, 60)
    path.write_bytes(path.read_bytes() + b"camera's note")
    assert image_size(path) == (40, 60)
    path.write_bytes(path.read_bytes()[:-40])
    complaint(lambda: image_size(path), path, "truncated")


def test_an_image_of_16_bits_is_not_taken_for_one_of_8(
    tmp_path: Path, write_image: Callable[..., Path], complaint: Callable[..., None]
) -> None:
    path = write_image(tmp_path / "image.png", 8, 8, mode="I;16")
    complaint(ImageFile(path).read, path, "more than 8 bits", "convert it")
