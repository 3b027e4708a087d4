"""What lies below the ground is counted, whatever the unit of depth."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from packdepth.data.ground import pixels_below_ground
from packdepth.geometry.camera import Camera

CAMERA = Camera(fx=100.0, fy=100.0, cx=79.5, cy=20.5, width=160, height=64)


def road(height: float = 1.5, far: float = 60.0) -> Tensor:
    """The depth [H, W] of a flat road under a wall, metres."""
    rows = torch.arange(CAMERA.height).double()
    ground = height * CAMERA.fy / (rows - CAMERA.cy).clamp(min=1e-9)
    return ground.clamp(max=far)[:, None].expand(-1, CAMERA.width).contiguous()


@pytest.mark.parametrize("unit", [1.0, 1e-3, 250.0])
def test_a_hole_in_the_road_is_found_in_any_unit(unit: float) -> None:
    depth = road()
    depth[40:50, 70:90] *= 3
    below = pixels_below_ground(unit * depth, CAMERA)
    assert below is not None
    expected = torch.zeros_like(below)
    expected[40:50, 70:90] = True
    assert torch.equal(below, expected)


def test_what_is_within_the_margin_or_above_the_ground_does_not_count() -> None:
    depth = road()
    depth[40:50, 70:90] *= 1.3
    depth[45:60, 10:30] *= 0.5
    below = pixels_below_ground(depth, CAMERA)
    assert below is not None
    assert not below.any()
    tighter = pixels_below_ground(depth, CAMERA, margin=0.2)
    assert tighter is not None
    assert tighter.sum() == 200


def test_what_is_far_away_does_not_count() -> None:
    depth = road(far=1000.0)
    depth[22:25] *= 3  # the ground is 43 m away there, 29 camera heights, and more
    below = pixels_below_ground(depth, CAMERA)
    assert below is not None
    assert not below.any()


def test_a_wall_has_no_ground() -> None:
    assert pixels_below_ground(torch.full((64, 160), 10.0), CAMERA) is None
