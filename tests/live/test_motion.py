"""Direct alignment in numpy, against true motions of the rendered world."""

from __future__ import annotations

import numpy as np
import pytest
import world
from hypothesis import given, settings
from hypothesis import strategies as st

from packdepth.live.motion import aligned_motion, exponential

small = st.floats(-0.3, 0.3)


def gray(index: float) -> tuple[np.ndarray, np.ndarray]:
    """Gray image and inverse depth of a frame."""
    image, depth = world.render(index)
    return image.mean(-1), 1 / depth


@pytest.mark.parametrize("guess", [np.eye(4), world.relative_pose(0, 0.6)], ids=["standing", "about right"])
def test_the_true_motion_is_found(guess: np.ndarray) -> None:
    (image, inv_depth), (other, _) = gray(1), gray(0)
    found = aligned_motion(image, other, inv_depth, world.CAMERA, guess)
    np.testing.assert_allclose(found, world.relative_pose(0, 1), atol=0.02)  # 2 cm of 50


def test_a_change_of_exposure_is_no_motion() -> None:
    (image, inv_depth), (other, _) = gray(1), gray(0)
    found = aligned_motion(image, 0.8 * other + 0.1, inv_depth, world.CAMERA, np.eye(4))
    np.testing.assert_allclose(found, world.relative_pose(0, 1), atol=0.03)


def test_motion_has_the_unit_of_depth() -> None:
    (image, inv_depth), (other, _) = gray(1), gray(0)
    found = aligned_motion(image, other, inv_depth / 7, world.CAMERA, np.eye(4))
    np.testing.assert_allclose(found[:3, 3] / 7, world.relative_pose(0, 1)[:3, 3], atol=0.02)


@settings(max_examples=8)
@given(st.lists(small, min_size=6, max_size=6).map(np.array))
def test_the_exponential_is_a_rotation_and_its_inverse_undoes_it(twist: np.ndarray) -> None:
    R = exponential(twist)[:3, :3]
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(
        exponential(np.concatenate([np.zeros(3), -twist[3:]]))[:3, :3] @ R, np.eye(3), atol=1e-12
    )
    np.testing.assert_array_equal(exponential(twist)[:3, 3], twist[:3])
