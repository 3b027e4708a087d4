"""The record of a prediction: colors, points, files and the line that it is printed as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import ply
import pytest
from PIL import Image

from packdepth.color import color_range, colorize
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.geometry.reliable import reliable_pixels
from packdepth.records import Prediction
from packdepth.sources.files import DepthPng

CAMERA = Camera(fx=50.0, fy=40.0, cx=41.0, cy=22.0, width=83, height=45)


def prediction(camera: Camera | None = CAMERA, metric: bool = True) -> Prediction:
    """A prediction of random depth between 0.5 and 80 m, two pixels of which have none."""
    generator = np.random.default_rng(0)
    depth = generator.uniform(0.5, 80, (45, 83)).astype(np.float32)
    depth[3, 4], depth[5, 6] = 0, np.inf
    image = generator.integers(0, 256, (45, 83, 3), dtype=np.uint8)
    with np.errstate(divide="ignore"):
        inv_depth = 1 / depth
    return Prediction(depth, inv_depth, metric, "velocity (poses)", image, camera)


def test_npz(tmp_path: Path) -> None:
    saved = prediction()
    saved.save(tmp_path / "new" / "a.npz")
    with np.load(tmp_path / "new" / "a.npz", allow_pickle=False) as content:
        assert set(content) == {"depth", "metric", "scale_source", "intrinsics", "thumbnail"}
        np.testing.assert_array_equal(content["depth"], saved.depth)
        assert content["depth"].dtype == np.float32
        assert bool(content["metric"]) is True
        assert str(content["scale_source"]) == "velocity (poses)"
        np.testing.assert_array_equal(content["intrinsics"], [[50, 0, 41], [0, 40, 22], [0, 0, 1]])
    prediction(camera=None).save(str(tmp_path / "a.npz"))
    assert "intrinsics" not in np.load(tmp_path / "a.npz")


def test_png_holds_metres_times_256(tmp_path: Path) -> None:
    saved = prediction()
    saved.save(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == "I;16"
    expected = np.where(np.isfinite(saved.depth), saved.depth, 0)
    np.testing.assert_allclose(DepthPng(tmp_path / "a.png").read(), expected, atol=0.5 / 256 + 1e-6)


def test_ply_holds_points_and_their_colors(tmp_path: Path) -> None:
    saved = prediction()
    saved.save(tmp_path / "a.ply")
    vertices = ply.read(tmp_path / "a.ply")
    rows, columns = np.nonzero(np.isfinite(saved.depth) & (saved.depth > 0))
    assert len(vertices) == saved.depth.size - 2
    u = CAMERA.fx * vertices["x"] / vertices["z"] + CAMERA.cx
    v = CAMERA.fy * vertices["y"] / vertices["z"] + CAMERA.cy
    np.testing.assert_allclose(u, columns, atol=1e-3)
    np.testing.assert_allclose(v, rows, atol=1e-3)
    np.testing.assert_array_equal(vertices["z"], saved.depth[rows, columns])
    colors = np.stack([vertices[name] for name in ("red", "green", "blue")], axis=-1)
    np.testing.assert_array_equal(colors, saved.image[rows, columns])
    points = np.stack([vertices[name] for name in ("x", "y", "z")], axis=-1)
    np.testing.assert_array_equal(saved.points(), points)


def test_points_need_a_camera(tmp_path: Path) -> None:
    for call in (prediction(None).points, lambda: prediction(None).save(tmp_path / "a.ply")):
        with pytest.raises(InputError, match="points need a camera, but this prediction has none"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_a_format_that_holds_no_prediction(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not saved as '\.pfm'; name a file \.npz.*, \.png .* or \.ply") as error:
        prediction().save(tmp_path / "a.pfm")
    assert "\n" not in str(error.value)


def test_colors_span_the_prediction_or_what_is_asked_for() -> None:
    depth = np.linspace(2, 20, 12, dtype=np.float32).reshape(3, 4)
    plain = Prediction(depth, 1 / depth, True, "lidar", np.zeros((3, 4, 3), np.uint8))
    np.testing.assert_array_equal(plain.color(), colorize(1 / depth, *color_range([1 / depth])))
    np.testing.assert_array_equal(plain.color(0.1, 0.4), colorize(1 / depth, 0.1, 0.4))
    low, _ = color_range([1 / depth])
    np.testing.assert_array_equal(plain.color(high=0.4), colorize(1 / depth, low, 0.4))


def test_a_prediction_is_printed_in_one_line() -> None:
    depth = np.array([[2.06, 80.0]], dtype=np.float32)
    image = np.zeros((1, 2, 3), dtype=np.uint8)
    metric = Prediction(depth, 1 / depth, True, "velocity (speed)", image)
    assert repr(metric) == "Prediction(1x2, metric from velocity (speed), 2.1 to 80.0 m)"
    relative = Prediction(depth / 100, 100 / depth, False, "none", image)
    assert repr(relative) == "Prediction(1x2, up to a factor, 0.0206 to 0.8)"


def test_npz_is_compressed(tmp_path: Path) -> None:
    depth = np.add.outer(np.arange(96), np.arange(320)).astype(np.float32) / 50 + 1
    Prediction(depth, 1 / depth, True, "lidar", np.zeros((96, 320, 3), np.uint8)).save(tmp_path / "a.npz")
    assert (tmp_path / "a.npz").stat().st_size < depth.nbytes / 5
    np.testing.assert_array_equal(np.load(tmp_path / "a.npz")["depth"], depth)


@pytest.mark.parametrize("metric", [True, False])
def test_tiff_and_exr_hold_depth_and_its_unit(tmp_path: Path, metric: bool) -> None:
    saved = prediction(metric=metric)
    for suffix in ("tiff", "exr", "ply"):
        saved.save(tmp_path / f"a.{suffix}")
    picture = Image.open(tmp_path / "a.tiff")
    np.testing.assert_array_equal(np.asarray(picture), saved.depth)
    unit = "metre" if metric else "none, depth is known up to a factor"
    assert picture.getexif()[270] == f"unit: {unit}; scale_source: velocity (poses)"
    assert f"unit\0string\0{chr(len(unit))}\0\0\0{unit}".encode() in (tmp_path / "a.exr").read_bytes()
    assert ply.comments(tmp_path / "a.ply") == {"unit": unit, "scale_source": "velocity (poses)"}


def test_png_says_its_unit_and_takes_no_depth_without_one(tmp_path: Path) -> None:
    prediction().save(tmp_path / "a.png")
    texts = Image.open(tmp_path / "a.png").info
    assert texts == {"unit": "metre x 256, 0 where unknown", "scale_source": "velocity (poses)"}
    with pytest.raises(InputError, match="a 16-bit PNG holds metres x 256, but this depth is known up to a factor"):
        prediction(metric=False).save(tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()


def test_what_is_far_is_cut_where_it_is_asked_for(tmp_path: Path) -> None:
    saved = prediction()
    near = np.isfinite(saved.depth) & (saved.depth > 0) & (saved.depth <= 30)
    np.testing.assert_array_equal(saved.kept(max_depth=30), near)
    assert len(saved.points(max_depth=30)) == near.sum()
    assert saved.points(max_depth=30)[:, 2].max() <= 30
    for suffix in ("npz", "tiff", "png", "ply"):
        saved.save(tmp_path / f"a.{suffix}", max_depth=30)
    expected = np.where(near, saved.depth, 0)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npz")["depth"], expected)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.tiff")), expected)
    np.testing.assert_allclose(DepthPng(tmp_path / "a.png").read(), expected, atol=0.5 / 256 + 1e-6)
    np.testing.assert_array_equal(ply.read(tmp_path / "a.ply")["z"], saved.depth[near])


def test_reliable_points_are_those_of_the_rule() -> None:
    v, u = np.mgrid[:45, :83]
    inv_depth = np.where(u < 40, 0.1, 0.3).astype(np.float32)  # an edge
    disagreement = np.where(v < 10, 0.5, 0.0).astype(np.float32)
    image = np.zeros((45, 83, 3), np.uint8)
    edged = Prediction(1 / inv_depth, inv_depth, True, "lidar", image, CAMERA, disagreement=disagreement)
    kept = edged.kept(reliable=True)
    np.testing.assert_array_equal(kept, reliable_pixels(inv_depth, image, CAMERA, disagreement))
    np.testing.assert_array_equal(kept, (v >= 10) & (u != 39) & (u != 40))
    assert len(edged.points(reliable=True)) == kept.sum()
    assert len(edged.points()) == 45 * 83
    with pytest.raises(InputError, match="need a camera"):
        Prediction(1 / inv_depth, inv_depth, True, "lidar", image).kept(reliable=True)


def test_thinned_points_are_means_and_fewer(tmp_path: Path) -> None:
    saved = prediction()
    points = saved.points(thin=2.0)
    assert points.dtype == np.float32
    assert len(points) == len(np.unique(np.floor(saved.points() / 2.0), axis=0)) < saved.depth.size
    saved.save(tmp_path / "a.ply", thin=2.0)
    np.testing.assert_allclose(ply.read(tmp_path / "a.ply")["z"], points[:, 2])


def test_colors_by_name() -> None:
    depth = np.linspace(2, 20, 12, dtype=np.float32).reshape(3, 4)
    plain = Prediction(depth, 1 / depth, True, "lidar", np.zeros((3, 4, 3), np.uint8))
    np.testing.assert_array_equal(plain.color(0.1, 0.4, "turbo"), colorize(1 / depth, 0.1, 0.4, "turbo"))
    assert (plain.color(0.1, 0.4, "turbo") != plain.color(0.1, 0.4)).any()


@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf])
def test_a_length_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(InputError, match=f"thin {value:g}: is no length; give a positive number in the unit of depth"):
        prediction().points(thin=value)
    with pytest.raises(InputError, match=f"max_depth {value:g}: is no length"):
        prediction().kept(max_depth=value)


@pytest.mark.parametrize("value", [-0.1, 1.5, np.nan])
def test_a_confidence_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(InputError, match=f"min_confidence {value:g}: is no confidence; give a number from 0 to 1"):
        prediction().kept(min_confidence=value)


@pytest.mark.parametrize("options", [{}, {"reliable": True}])
def test_a_camera_for_another_size_gives_no_points(options: dict[str, bool]) -> None:
    other = prediction(CAMERA.resized(20, 40))
    with pytest.raises(InputError, match="the camera is for 40x20 pixels, but the depth map has 83x45"):
        other.points(**options)
