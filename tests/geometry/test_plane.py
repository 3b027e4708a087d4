"""The ground among points with clutter: found, at any scale, always the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from packdepth.geometry.plane import fit_ground


def street(pitch: float = 0.0, height: float = 1.6, clutter: int = 1500) -> tuple[Tensor, Tensor]:
    """Points of a road with 2 cm of noise, a wall, and clutter above; and the road's normal."""
    generator = torch.Generator().manual_seed(3)

    def uniform(low: float, high: float, count: int) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator, dtype=torch.float64)

    tilt = torch.tensor(pitch, dtype=torch.float64)
    normal = torch.stack([torch.zeros_like(tilt), tilt.cos(), tilt.sin()])
    x, z = uniform(-8, 8, 2000), uniform(4, 40, 2000)
    noise = 0.02 * torch.randn(2000, generator=generator, dtype=torch.float64)
    y = (height + noise - normal[2] * z) / normal[1]
    road = torch.stack([x, y, z], dim=1)
    wall = torch.stack([torch.full((800,), 6.0).double(), uniform(-4, 1.5, 800), uniform(4, 40, 800)], dim=1)
    above = torch.stack([uniform(-8, 8, clutter), uniform(-3, 1.2, clutter), uniform(4, 40, clutter)], dim=1)
    return torch.cat([road, wall, above]), normal


@pytest.mark.parametrize("pitch", [-0.05, 0.0, 0.08])
def test_finds_the_road(pitch: float) -> None:
    points, normal = street(pitch)
    plane = fit_ground(points)
    assert plane is not None
    assert plane.height == pytest.approx(1.6, abs=0.02)
    assert torch.rad2deg(torch.acos((plane.normal @ normal).clamp(max=1))) < 0.3


@pytest.mark.parametrize("scale", [0.01, 1000.0])
def test_scales_with_the_points(scale: float) -> None:
    points, _ = street()
    plane, scaled = fit_ground(points), fit_ground(points * scale)
    assert plane is not None
    assert scaled is not None
    assert scaled.height == pytest.approx(scale * plane.height, rel=1e-9)
    torch.testing.assert_close(scaled.normal, plane.normal)


def test_is_the_same_every_time() -> None:
    points, _ = street()
    first, second = fit_ground(points), fit_ground(points)
    assert first is not None
    assert second is not None
    assert first.height == second.height


def test_tells_how_many_times_farther_than_the_ground_a_point_is() -> None:
    plane = fit_ground(street()[0])
    assert plane is not None
    ray = torch.tensor([0.1, 0.2, 1.0], dtype=torch.float64)
    on_it = ray * plane.height / (plane.normal @ ray)
    points = torch.stack([0.5 * on_it, on_it, 3 * on_it, torch.tensor([0.0, -1.0, 1.0], dtype=torch.float64)], dim=1)
    times = plane.times_farther(points)
    torch.testing.assert_close(times[:3], torch.tensor([0.5, 1, 3], dtype=torch.float64))
    assert times[3] <= 0


def test_there_may_be_none() -> None:
    wall = torch.rand(500, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([8.0, 3.0, 0.0])
    assert fit_ground(wall + torch.tensor([-4.0, -1.5, 10.0])) is None  # a wall ahead
    assert fit_ground(wall[:2]) is None
