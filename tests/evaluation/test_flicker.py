"""Flicker, against what is put into exact depth."""

from __future__ import annotations

import numpy as np
import pytest
import world

from packdepth.evaluation.flicker import flicker
from packdepth.geometry.pinhole import points_of


def exact(index: float) -> np.ndarray:
    """The true inverse depth of a frame."""
    return np.asarray(1 / world.render(index)[1])


def points(index: float) -> np.ndarray:
    return points_of(exact(index), world.CAMERA).reshape(-1, 3)


T = world.relative_pose(0, 1)


def test_exact_depth_does_not_flicker() -> None:
    assert flicker(exact(1), points(1), exact(0), T, world.CAMERA) < 0.002  # of depth; sampling between pixels


def test_a_wrong_scale_does_not_flicker_but_a_changing_one_does() -> None:
    assert flicker(3 * exact(1), points(1), 3 * exact(0), T, world.CAMERA) < 0.002
    found = flicker(1.1 * exact(1), points(1), exact(0), T, world.CAMERA)
    assert found == pytest.approx(np.log(1.1), abs=0.002)


def test_points_that_are_hidden_in_the_other_frame_are_left_out() -> None:
    near = exact(0)
    near[:, :60] *= 4  # something stood before most of the image
    truth = 1 / near
    hidden = flicker(exact(1), points(1), near, T, world.CAMERA)
    assert hidden > 1
    assert flicker(exact(1), points(1), near, T, world.CAMERA, truth) < 0.005


def test_without_common_points_it_is_not_known() -> None:
    away = np.eye(4)
    away[2, 3] = -1000.0
    assert np.isnan(flicker(exact(1), points(1), exact(0), away, world.CAMERA))
