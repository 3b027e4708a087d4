"""LiDAR points to depth maps."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.lidar import depth_map

CAMERA = Camera(fx=10.0, fy=12.0, cx=4.5, cy=2.5, width=10, height=6)
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def at(u: float, v: float, z: float) -> list[float]:
    """The point that projects to (u, v) at depth z."""
    return [float((u - CAMERA.cx) / CAMERA.fx * z), float((v - CAMERA.cy) / CAMERA.fy * z), z]


@DTYPES
def test_the_nearest_return_of_a_pixel_is_kept(dtype: torch.dtype) -> None:
    points = [at(3, 2, 9), at(3, 2, 4), at(3, 2, 7), at(8, 5, 20)]
    for order in (points, points[::-1]):
        depth = depth_map(torch.tensor(order, dtype=dtype), CAMERA)
        expected = torch.zeros(1, 6, 10, dtype=dtype)
        expected[0, 2, 3], expected[0, 5, 8] = 4, 20
        assert torch.equal(depth, expected)


def test_a_return_falls_on_the_nearest_pixel() -> None:
    depth = depth_map(torch.tensor([at(3.4, 1.6, 5.0), at(-0.4, 5.4, 8.0)]), CAMERA)
    assert depth.nonzero().tolist() == [[0, 2, 3], [0, 5, 0]]


def test_what_is_behind_or_outside_is_left_out() -> None:
    outside = [at(-0.6, 2, 5), at(9.6, 2, 5), at(4, -0.6, 5), at(4, 5.6, 5), [0.0, 0.0, -5.0], [0.0, 0.0, 0.0]]
    assert not depth_map(torch.tensor(outside), CAMERA).any()
    assert not depth_map(torch.tensor([at(3, 2, 0.5)]), CAMERA, min_depth=1.0).any()
    # A point behind does not hide the one in front that shares its pixel.
    assert depth_map(torch.tensor([at(3, 2, -1), at(3, 2, 6)]), CAMERA)[0, 2, 3] == 6


def test_an_empty_scan_is_an_empty_map() -> None:
    depth = depth_map(torch.zeros(0, 3), CAMERA)
    assert depth.shape == (1, 6, 10)
    assert not depth.any()


def test_returns_that_are_no_numbers_are_left_out() -> None:
    broken = torch.tensor([[torch.nan, 0.0, 5.0], [0.0, torch.inf, 5.0], [0.0, 0.0, torch.nan], [0.0, 0.0, torch.inf]])
    assert not depth_map(broken, CAMERA).any()
    assert depth_map(torch.cat([broken, torch.tensor([at(3, 2, 6.0)])]), CAMERA).sum() == 6


def test_a_dense_scan_gives_back_its_depth_map() -> None:
    depth = torch.linspace(1, 60, 60, dtype=torch.float64).view(1, 1, 6, 10)
    points = CAMERA.unproject(depth).view(3, -1).T
    shuffled = points[torch.randperm(60, generator=torch.Generator().manual_seed(0))]
    torch.testing.assert_close(depth_map(shuffled, CAMERA), depth[0])


def slow_depth_map(points: Tensor) -> Tensor:
    """As its definition says, point by point."""
    depth = torch.zeros(1, CAMERA.height, CAMERA.width, dtype=points.dtype)
    for x, y, z in points.tolist():
        if z <= 1e-3:
            continue
        u, v = round(CAMERA.fx * x / z + CAMERA.cx), round(CAMERA.fy * y / z + CAMERA.cy)
        if 0 <= u < CAMERA.width and 0 <= v < CAMERA.height and (depth[0, v, u] == 0 or z < depth[0, v, u]):
            depth[0, v, u] = z
    return depth


@given(st.integers(0, 1000))
def test_any_scan_agrees_with_the_definition(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(200, 3, generator=generator, dtype=torch.float64) * torch.tensor([2.0, 1.0, 8.0])
    depth = depth_map(points, CAMERA)
    assert depth.any()
    torch.testing.assert_close(depth, slow_depth_map(points))
