"""Measures without ground truth, on a plane and a wall whose depth and motion are known."""

from __future__ import annotations

import math

import pytest
import torch
import world

from packdepth.evaluation.own.measures import (
    identity_error,
    neighbor_difference,
    relative_difference,
    sure_pixels,
    swept,
    view_error,
)

from .conftest import image, inv_depth

T = torch.from_numpy(world.relative_pose(1, 0)).float()[None]
DEPTH = 1 / inv_depth(0)


def test_relative_difference_is_the_same_for_depth_and_inverse_depth() -> None:
    depth, other = torch.tensor([2.0, 4.0]), torch.tensor([4.0, 2.0])
    expected = torch.full((2,), math.log(2))
    torch.testing.assert_close(relative_difference(depth, other), expected)
    torch.testing.assert_close(relative_difference(1 / depth, 1 / other), expected)


def test_the_true_depth_explains_the_next_frame_and_a_constant_does_not() -> None:
    def error(depth: torch.Tensor) -> float:
        view = view_error(image(0), image(1), depth, T, world.CAMERA)
        return float(view.error[view.valid].mean())

    identity = float(identity_error(image(0), image(1)).mean())
    constant = error(DEPTH.median().expand_as(DEPTH))
    assert error(DEPTH) < 0.01
    assert constant > 1.5 * error(DEPTH)
    assert identity > 2 * constant


def test_true_depths_of_two_frames_agree_after_motion() -> None:
    difference, seen = neighbor_difference(inv_depth(0), inv_depth(1), T, world.CAMERA)
    assert float(difference[seen].median()) < 1e-3
    difference, _ = neighbor_difference(inv_depth(0), 2 * inv_depth(1), T, world.CAMERA)
    assert float(difference[seen].median()) == pytest.approx(math.log(2), abs=1e-3)


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.5])
def test_a_sweep_finds_the_factor_by_which_depth_is_wrong(factor: float) -> None:
    sweep = swept(image(0), image(1), inv_depth(0) / factor, T, world.CAMERA)
    assert sweep.clear.sum() > 50
    assert float(sweep.log_factor[sweep.clear].median()) == pytest.approx(-math.log(factor), abs=0.03)


def test_pixels_without_parallax_are_not_clear() -> None:
    assert not swept(image(0), image(0), inv_depth(0), torch.eye(4)[None], world.CAMERA).clear.any()


def test_a_sure_pixel_passes_all_checks() -> None:
    passing = {
        "mirror": torch.zeros(1, 1, 1, 1),
        "neighbor": torch.zeros(1, 1, 1, 1),
        "error": torch.zeros(1, 1, 1, 1),
        "identity": torch.ones(1, 1, 1, 1),
        "valid": torch.ones(1, 1, 1, 1, dtype=torch.bool),
    }
    assert sure_pixels(**passing).all()
    for name, value in (("mirror", 0.2), ("neighbor", 0.2), ("error", 1.5), ("valid", 0)):
        failing = passing | {name: torch.full_like(passing[name], value)}
        assert not sure_pixels(**failing).any(), name
