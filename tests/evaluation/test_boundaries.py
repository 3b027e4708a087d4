"""Depth boundaries and their errors, against known displacements and against scipy's distance transform."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from packdepth.evaluation.boundaries import MAX_DISTANCE, boundaries, boundary_errors, distance_to


def step(column: int, far: float = 20.0, height: int = 30, width: int = 60) -> torch.Tensor:
    """Depth 10 left of a column, `far` from there on."""
    depth = torch.full((height, width), 10.0)
    depth[:, column:] = far
    return depth


def nothing(depth: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(depth, dtype=torch.bool)


def test_a_jump_is_a_line_one_pixel_wide() -> None:
    expected = nothing(step(30))
    expected[4:-4, 29] = True  # all but the border of the image
    assert torch.equal(boundaries(step(30), nothing(step(30))), expected)


def test_a_circle_is_a_closed_thin_line() -> None:
    v, u = torch.meshgrid(torch.arange(60.0), torch.arange(60.0), indexing="ij")
    radius = torch.hypot(u - 30, v - 30)
    found = boundaries(torch.where(radius < 20, 10.0, 30.0), nothing(radius))
    assert ((radius[found] - 20).abs() < 1.5).all()
    assert 4 * math.sqrt(2) * 20 < found.sum() <= 8 * 20  # between a line of corners and one of sides


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_only_ratios_count(scale: float) -> None:
    assert torch.equal(boundaries(step(30) * scale, nothing(step(30))), boundaries(step(30), nothing(step(30))))
    for far, found in ((12.0, False), (12.5, True)):  # a ratio of 1.25 is a boundary
        assert bool(boundaries(scale * step(30, far), nothing(step(30))).any()) is found


def test_a_slope_is_no_boundary() -> None:
    ramp = torch.linspace(10, 40, 60).expand(30, 60)
    assert not boundaries(ramp, nothing(ramp)).any()


def test_there_are_no_boundaries_at_unknown_pixels() -> None:
    truth = step(30)
    truth[:15] = torch.nan  # the sky
    found = boundaries(truth.nan_to_num(1.0), truth.isnan())
    assert not found[:19].any()
    assert found[19:-4, 29].all()


def test_distances_are_those_of_scipy_within_ten_pixels() -> None:
    mask = torch.from_numpy(np.random.default_rng(0).random((40, 50)) < 0.005)
    expected = np.minimum(distance_transform_edt(~mask.numpy()), MAX_DISTANCE)
    np.testing.assert_allclose(distance_to(mask).numpy(), expected)
    assert (distance_to(mask & False) == MAX_DISTANCE).all()


@pytest.mark.parametrize("shift", [0, 1, 3, 7])
def test_a_displaced_boundary_is_off_by_its_displacement(shift: int) -> None:
    errors = boundary_errors(step(30 + shift), step(30))
    assert errors == pytest.approx((shift, shift))


def test_what_is_missing_and_what_is_made_up() -> None:
    truth = step(20)
    truth[:, 40:] = 50.0
    found_one = boundary_errors(step(20), truth)
    assert found_one == pytest.approx((0, MAX_DISTANCE / 2))  # half of the true ones are 20 pixels from any
    made_up = boundary_errors(truth, step(20))
    assert made_up == pytest.approx((0, 0))  # the other lies beyond the 10 pixels
    truth[:, 25:] = 50.0
    assert boundary_errors(truth, step(20)).dbe_acc == pytest.approx(5 / 2)


def test_nothing_predicted_or_nothing_there() -> None:
    flat = torch.full((30, 60), 10.0)
    assert boundary_errors(flat, step(30)) == boundary_errors(step(45), step(30)) == (MAX_DISTANCE, MAX_DISTANCE)
    assert all(map(math.isnan, boundary_errors(step(30), flat)))
