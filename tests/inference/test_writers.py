"""What is written reads back."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from packdepth import files
from packdepth.geometry.camera import Camera
from packdepth.inference import writers
from packdepth.records import Prediction
from packdepth.sources.files import DepthPng

from . import ply

CAMERA = Camera(fx=50.0, fy=40.0, cx=41.0, cy=22.0, width=83, height=45)


@pytest.fixture(scope="module")
def depth() -> np.ndarray:
    """[45, 83] float32, metres, none of it equal."""
    return np.random.default_rng(0).uniform(0.5, 80, (45, 83)).astype(np.float32)


def prediction(depth: np.ndarray, camera: Camera | None) -> Prediction:
    return Prediction(depth, 1 / depth, metric=True, scale=1.0, scale_source="velocity (poses)", camera=camera)


def test_npz(tmp_path: Path, depth: np.ndarray) -> None:
    writers.write_depth_npz(tmp_path / "a.npz", prediction(depth, CAMERA))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as content:
        assert set(content) == {"depth", "metric", "scale_source", "intrinsics"}
        np.testing.assert_array_equal(content["depth"], depth)
        assert content["depth"].dtype == np.float32
        assert bool(content["metric"]) is True
        assert str(content["scale_source"]) == "velocity (poses)"
        np.testing.assert_array_equal(content["intrinsics"], [[50, 0, 41], [0, 40, 22], [0, 0, 1]])
    writers.write_depth_npz(tmp_path / "a.npz", prediction(depth, None))
    assert "intrinsics" not in np.load(tmp_path / "a.npz")


def test_png(tmp_path: Path, depth: np.ndarray) -> None:
    files.write_depth_png(tmp_path / "a.png", depth)
    assert Image.open(tmp_path / "a.png").mode == "I;16"
    np.testing.assert_allclose(DepthPng(tmp_path / "a.png").read(), depth, atol=0.5 / 256 + 1e-6)


def test_png_of_extremes(tmp_path: Path) -> None:
    depth = np.array([[0, -1, np.nan, np.inf, 1e-4, 255.99, 300, 1e6]], dtype=np.float32)
    files.write_depth_png(tmp_path / "a.png", depth)
    steps = np.asarray(Image.open(tmp_path / "a.png"))
    np.testing.assert_array_equal(steps, [[0, 0, 0, 0, 1, 65533, 65535, 65535]])


def test_cloud(tmp_path: Path, depth: np.ndarray, image: np.ndarray) -> None:
    depth = depth.copy()
    depth[3, 4], depth[5, 6] = 0, np.inf
    writers.write_cloud(tmp_path / "a.ply", depth, image, CAMERA)
    vertices = ply.read(tmp_path / "a.ply")
    assert len(vertices) == depth.size - 2
    u = CAMERA.fx * vertices["x"] / vertices["z"] + CAMERA.cx
    v = CAMERA.fy * vertices["y"] / vertices["z"] + CAMERA.cy
    rows, columns = np.nonzero(np.isfinite(depth) & (depth > 0))
    np.testing.assert_allclose(u, columns, atol=1e-3)
    np.testing.assert_allclose(v, rows, atol=1e-3)
    np.testing.assert_array_equal(vertices["z"], depth[rows, columns])
    colors = np.stack([vertices[name] for name in ("red", "green", "blue")], axis=-1)
    np.testing.assert_array_equal(colors, image[rows, columns])


@pytest.mark.parametrize(("fps", "rate"), [(10.0, Fraction(10)), (29.97002997002997, Fraction(30000, 1001))])
def test_video(tmp_path: Path, image: np.ndarray, fps: float, rate: Fraction) -> None:
    path = tmp_path / "a.mp4"
    images = [np.roll(image, 4 * shift, axis=1) for shift in range(7)]
    with writers.video_writer(path, fps) as append:
        for picture in images:
            append(picture)
        assert not path.exists()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, stream.average_rate) == ("h264", "yuv420p", rate)
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(decoded) == 7
    for found, expected in zip(decoded, images, strict=True):
        assert found.shape == (44, 82, 3)
        assert np.abs(found.astype(float) - expected[:44, :82]).mean() < 6
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("before", [0, 3])
def test_a_video_that_fails_leaves_nothing(tmp_path: Path, image: np.ndarray, before: int) -> None:
    def fail() -> None:
        with writers.video_writer(tmp_path / "a.mp4", 10.0) as append:
            for _ in range(before):
                append(image)
            raise ValueError("no more frames")

    with pytest.raises(ValueError, match="no more frames"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_fails_leaves_the_old_one(
    tmp_path: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    files.write_image(path, image)
    save = Image.Image.save

    def failing(self: Image.Image, target: Path) -> None:
        save(self, target)
        raise OSError("no space left")

    monkeypatch.setattr(Image.Image, "save", failing)
    with pytest.raises(OSError, match="no space left"):
        files.write_image(path, 255 - image)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), image)
    assert list(tmp_path.iterdir()) == [path]


def test_wide_images_are_stacked_and_tall_ones_set_side_by_side(image: np.ndarray) -> None:
    colors = 255 - image
    np.testing.assert_array_equal(writers.above(image, colors), np.vstack([image, colors]))
    tall, tall_colors = image.transpose(1, 0, 2), colors.transpose(1, 0, 2)
    np.testing.assert_array_equal(writers.above(tall, tall_colors), np.hstack([tall, tall_colors]))
