"""The height of a camera above the road: exact on inclined planes, with ramps, cars and hoods in the way."""

from __future__ import annotations

from math import radians

import pytest
import torch
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.road import road_height, road_points, road_rays

CAMERA = Camera(fx=180.0, fy=180.0, cx=159.5, cy=47.5, width=320, height=96)
FAR = 80.0  # metres: depth above the horizon


def plane_depth(height: float, pitch: float = 0.0, roll: float = 0.0, camera: Camera = CAMERA) -> Tensor:
    """z-depth [H, W] of the road below a camera that is inclined by pitch and roll (radians)."""
    p, r = torch.tensor([pitch, roll], dtype=torch.float64)
    normal = torch.stack([r.sin() * p.cos(), r.cos() * p.cos(), p.sin()])
    rays = camera.unproject(torch.ones(1, 1, camera.height, camera.width, dtype=torch.float64))[0]
    shares = torch.tensordot(normal, rays, dims=1)
    return torch.where(shares > height / FAR, height / shares.clamp(min=1e-6), FAR)


def drive(metres: float = 1.0, pitch: float = 0.0) -> Tensor:
    """T_next_current of a camera that moves along the road of `plane_depth`."""
    p = torch.tensor(pitch, dtype=torch.float64)
    T = torch.eye(4, dtype=torch.float64)
    T[:3, 3] = -metres * torch.stack([torch.zeros_like(p), -p.sin(), p.cos()])
    return T


def found(depth: Tensor, T: Tensor | None = None, camera: Camera = CAMERA) -> float | None:
    return road_height(road_points(depth, camera), drive() if T is None else T)


def noise(size: tuple[int, int] = (96, 320)) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("pitch", [0.0, 0.05, -0.05, 0.15])
def test_the_height_of_a_pitched_camera_is_exact(pitch: float) -> None:
    assert found(plane_depth(1.65, pitch), drive(pitch=pitch)) == pytest.approx(1.65, rel=1e-6)
    assert found(plane_depth(1.65, pitch), drive(-1.0, pitch)) == pytest.approx(1.65, rel=1e-6)  # backwards


@pytest.mark.parametrize("degrees", [-4.5, -2.0, 0.5, 3.0])
def test_a_camera_may_roll(degrees: float) -> None:
    assert found(plane_depth(1.65, roll=radians(degrees))) == pytest.approx(1.65, rel=0.01)


@pytest.mark.parametrize("scale", [0.01, 3.0, 1000.0])
def test_the_height_scales_with_depth_and_motion(scale: float) -> None:
    depth = plane_depth(1.65, 0.02) * (1 + 0.02 * noise())
    one, other = found(depth, drive(pitch=0.02)), found(scale * depth, drive(scale, pitch=0.02))
    assert one == pytest.approx(1.65, rel=0.01)
    assert one is not None
    assert other == pytest.approx(scale * one, rel=1e-9)


def test_predicted_depth_that_rises_ahead_hardly_moves_the_height() -> None:
    """The plane through it stands 47 % too far below the camera."""
    y = (torch.arange(96, dtype=torch.float64)[:, None].expand(96, 320) - 47.5) / 180
    middle = 0.15  # the ray on which the depth is right; the predicted road is inclined by 4 degrees about it
    slope = 0.07
    predicted = 1.65 * (1 + slope / middle) / (y + slope).clamp(min=1e-6)
    assert found(predicted.clamp(max=FAR)) == pytest.approx(1.65, rel=0.15)


def test_more_than_half_of_the_road_may_be_hidden() -> None:
    generator = torch.Generator().manual_seed(0)
    hidden, nearness = (torch.rand(12, 40, generator=generator) for _ in range(2))
    hidden, nearness = (x.repeat_interleave(8, 0).repeat_interleave(8, 1) for x in (hidden, nearness))
    depth = plane_depth(1.65)
    assert found(torch.where(hidden < 0.6, (0.2 + 0.7 * nearness) * depth, depth)) == pytest.approx(1.65, rel=0.01)


def test_a_ramp_ahead_is_an_outlier() -> None:
    depth = plane_depth(1.65)
    y = (torch.arange(96, dtype=torch.float64)[:, None].expand(96, 320) - 47.5) / 180
    flat_until = 12.0  # metres: beyond, the road rises by 10 %
    ramp = ((1.65 + 0.1 * flat_until) / (y + 0.1)).clamp(min=0.1)
    assert found(torch.where(depth > flat_until, torch.minimum(depth, ramp), depth)) == pytest.approx(1.65, rel=0.01)


def test_the_hood_is_no_road() -> None:
    """A wide camera sees a flat hood 0.4 m below it; it fills more than half of the rows below the horizon."""
    camera = Camera.from_fov(100, width=320, height=180)
    road, hood = plane_depth(1.4, camera=camera), plane_depth(0.4, camera=camera)
    rows = torch.arange(180)[:, None].expand(180, 320)
    assert found(torch.where(rows > 140, hood, road), camera=camera) == pytest.approx(1.4, rel=0.01)


@pytest.mark.parametrize("deviation", [0.0, 0.05, 0.2])
def test_a_wall_is_no_road(deviation: float) -> None:
    """All depth is alike when training begins."""
    assert found(6.0 * (1 + deviation * noise())) is None


def test_a_camera_that_stands_has_no_road() -> None:
    assert found(plane_depth(1.65), drive(0.05)) is None
    assert found(plane_depth(1.65), drive(0.0)) is None
    assert found(plane_depth(1.65), drive(0.1)) == pytest.approx(1.65, rel=1e-6)


def test_nothing_below_the_horizon_is_no_road() -> None:
    sky = Camera(fx=180.0, fy=180.0, cx=159.5, cy=200.0, width=320, height=96)
    assert found(torch.full((96, 320), 6.0).double(), camera=sky) is None


def test_rays_of_the_road_end_at_the_horizon() -> None:
    rays = CAMERA.unproject(torch.ones(1, 1, 96, 320))[0]
    road = road_rays(rays)
    assert not road[:48].any()
    assert road[60, 160]
    assert not road[60, 0]
