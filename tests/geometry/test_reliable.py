"""Pixels that are cut from clouds: closed forms of slopes, and scenes with a known sky."""

from __future__ import annotations

import numpy as np
import pytest

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.geometry.reliable import FAR, SLOPE, reliable_pixels, sideways_slope, sky

CAMERA = Camera(fx=120.0, fy=120.0, cx=79.5, cy=39.5, width=160, height=80)
V, U = np.mgrid[:80, :160]
X, Y = (U - 79.5) / 120, (V - 39.5) / 120
GRAY = np.full((80, 160, 3), 90, np.uint8)


def street() -> np.ndarray:
    """Inverse depth of a road 1.5 m below and walls 4 m beside the camera, at most 60 m away."""
    return np.asarray(np.maximum(np.maximum(np.abs(X) / 4, Y / 1.5), 1 / 60))


def test_the_slope_of_a_wall_is_depth_over_distance() -> None:
    inv_depth = np.abs(X) / 4
    inside = np.abs(X) > 0.1  # away from the middle, where both walls meet at infinity
    np.testing.assert_allclose(sideways_slope(inv_depth, CAMERA)[inside], 1 / inv_depth[inside] / 4, rtol=1e-6)


@pytest.mark.parametrize("unit", [1.0, 0.01, 250.0])
def test_the_rules_have_no_unit(unit: float) -> None:
    image = GRAY.copy()
    image[:20] = 220
    one, other = (reliable_pixels(each, image, CAMERA) for each in (street(), street() / unit))
    np.testing.assert_array_equal(one, other)


def test_road_and_walls_are_kept_where_they_are_near() -> None:
    inv_depth = street()
    kept = reliable_pixels(inv_depth, GRAY, CAMERA)
    near = inv_depth > 1 / 40 * 1.0
    typical = np.median(inv_depth[53:])
    assert kept[near & (inv_depth > 1.2 * typical / FAR)].mean() > 0.97
    assert not kept[inv_depth <= typical / FAR].any()


def test_depth_blurred_across_an_edge_is_cut() -> None:
    inv_depth = np.full((80, 160), 0.05)
    inv_depth[:, 60:100] = 0.2  # an object at 5 m before a wall at 20 m
    ramp = np.stack([np.convolve(row, np.ones(5) / 5, "same") for row in inv_depth])
    kept = reliable_pixels(ramp, GRAY, CAMERA)[:, 10:150]
    between = ((ramp > 0.055) & (ramp < 0.19))[:, 10:150]
    assert between.sum() == 80 * 8
    assert not kept[between].any()
    assert kept[~between].mean() > 0.95
    assert sideways_slope(ramp, CAMERA)[:, 60].min() > SLOPE


def test_the_sky_is_smooth_bright_and_far_from_the_top_down() -> None:
    inv_depth = street()
    image = np.repeat(np.where((U + V) % 2, 40, 100)[..., None], 3, axis=-1).astype(np.uint8)  # no smooth surface
    truth = (V < 25) & (np.abs(X) < 0.06 + 0.01)
    image[truth] = 210
    np.testing.assert_array_equal(sky(inv_depth, image) & ~truth, False)
    assert sky(inv_depth, image)[truth].mean() > 0.75  # all but the pixels beside the houses
    near = np.where(truth, 0.2, inv_depth)  # a white sign is no sky
    assert not sky(near, image).any()
    assert not reliable_pixels(inv_depth, image, CAMERA)[sky(inv_depth, image)].any()


def test_what_the_mirrored_image_contradicts_is_cut() -> None:
    disagreement = np.where(U < 50, 0.3, 0.01)
    kept = reliable_pixels(np.full((80, 160), 0.1), GRAY, CAMERA, disagreement)
    np.testing.assert_array_equal(kept, U >= 50)


def test_a_camera_for_another_size_is_refused() -> None:
    size = CAMERA.height // 2, CAMERA.width // 2
    with pytest.raises(InputError, match="the camera is for 160x80 pixels, but the depth map has 80x40"):
        reliable_pixels(np.ones(size), np.zeros((*size, 3), np.uint8), CAMERA)
