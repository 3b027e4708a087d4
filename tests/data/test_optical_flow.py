"""Image motion against exact motion."""

from __future__ import annotations

import numpy as np
import pytest
import world
from fill import smooth_image
from hypothesis import given
from hypothesis import strategies as st

from packdepth.data.optical_flow import mean_motion, optical_flow, pooled, small_gray
from packdepth.geometry.camera import Camera

CAMERA = Camera(fx=180.0, fy=180.0, cx=143.5, cy=71.5, width=288, height=144)


def texture() -> np.ndarray:
    return smooth_image("motion", (1, 1, 176, 336), coarse=6)[0, 0]


def exact_flow(index: int, points: np.ndarray) -> np.ndarray:
    """Motion [N, 2] of pixels [N, 2] from a frame of the rendered world to the next, by its depth and poses."""
    _, depth = world.render(index, CAMERA)
    u, v = points.astype(int).T
    z = depth[v, u]
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx * z, (v - CAMERA.cy) / CAMERA.fy * z, z, np.ones_like(z)])
    x, y, z, _ = world.relative_pose(index + 1, index) @ rays
    return np.stack([CAMERA.fx * x / z + CAMERA.cx - u, CAMERA.fy * y / z + CAMERA.cy - v], axis=-1)


@given(st.integers(-12, 12), st.integers(-12, 12))
def test_a_shifted_image_moves_by_the_shift(du: int, dv: int) -> None:
    image = texture()
    first, second = image[16:160, 16:304], image[16 - dv : 160 - dv, 16 - du : 304 - du]
    flow = optical_flow(first, second)
    assert flow.found.mean() > 0.4
    np.testing.assert_allclose(np.median(flow.vectors[flow.found], axis=0), [du, dv], atol=0.05)
    share = mean_motion(flow, 288)
    assert share == pytest.approx(np.hypot(du, dv) / 288, abs=0.004)


def test_a_change_of_exposure_is_no_motion() -> None:
    image = texture()[:144, :288]
    flow = optical_flow(image, 0.95 * image + 0.05)
    assert flow.found.mean() > 0.8
    assert mean_motion(flow, 288) < 1e-3


def test_a_moving_camera_in_a_rendered_world() -> None:
    first, second = (
        4 * world.render(index, CAMERA)[0][..., 0].astype(np.float32) for index in (2, 3)
    )  # its contrast is low
    flow = optical_flow(first, second)
    exact = exact_flow(2, flow.points)
    error = np.linalg.norm(flow.vectors - exact, axis=-1)[flow.found]
    assert flow.found.mean() > 0.4
    assert np.linalg.norm(exact, axis=-1).max() > 8
    assert np.median(error) < 0.4  # windows grow as the camera nears them
    assert np.percentile(error, 75) < 1.0


def test_what_has_no_texture_is_not_found() -> None:
    blank = np.full((96, 160), 0.5, dtype=np.float32)
    assert not optical_flow(blank, blank).found.any()
    assert np.isnan(mean_motion(optical_flow(blank, blank), 160))


def test_images_are_made_small_by_averaging() -> None:
    image = np.random.default_rng(0).integers(0, 256, (97, 700, 3), dtype=np.uint8)
    gray = small_gray(image)
    assert gray.shape == (32, 233)
    luma = image[:3, :3].mean((0, 1)) @ [0.299, 0.587, 0.114] / 255
    assert gray[0, 0] == pytest.approx(luma, abs=1e-5)
    np.testing.assert_allclose(pooled(np.arange(12.0).reshape(2, 6), 2), [[3.5, 5.5, 7.5]])
