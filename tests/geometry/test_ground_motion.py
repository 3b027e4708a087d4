"""The motion over a textured plane is measured in camera heights."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.ground_motion import ground_motions, small_ground_image

CAMERA = Camera.from_fov(80, width=320, height=160)
SPAN, CELLS = 40.0, 1600  # camera heights that the texture covers, and its cells


def road() -> Tensor:
    rng = torch.Generator().manual_seed(0)
    fine = torch.rand(1, 1, CELLS, CELLS // 4, generator=rng)
    wide = F.interpolate(torch.rand(1, 1, CELLS // 8, CELLS // 32, generator=rng), size=fine.shape[-2:], mode="bicubic")
    return 0.3 * F.avg_pool2d(F.pad(fine, (1,) * 4), 3, stride=1) + 0.7 * wide


def view(texture: Tensor, ahead: float, pitch: float) -> Tensor:
    """Render the plane one height below a camera that has driven some heights, and looks down by a pitch."""
    v, u = torch.meshgrid(torch.arange(160.0), torch.arange(320.0), indexing="ij")
    x, y = (u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy
    down = y * math.cos(pitch) + math.sin(pitch)
    depth = 1 / down.clamp(min=1e-3)
    along = depth * (math.cos(pitch) - y * math.sin(pitch)) + ahead
    grid = torch.stack([x * depth / (SPAN / 8), 2 * along / SPAN - 1], dim=-1)[None]
    gray = F.grid_sample(texture, grid, align_corners=False, padding_mode="reflection")[0, 0]
    gray = torch.where(down > 0.05, gray, torch.full_like(gray, 0.8))
    return small_ground_image((255 * gray.clamp(0, 1)).byte().numpy()[..., None].repeat(3, -1))


@pytest.fixture(scope="module")
def texture() -> Tensor:
    return road()


def test_lengths_and_pitch(texture: Tensor) -> None:
    lengths = [0.0, 0.3, 0.31, 0.32, 0.6, 0.6]
    pitch = math.radians(5)
    places = np.cumsum([1.0, *lengths])
    images = [view(texture, float(place), pitch) for place in places]
    found = ground_motions(list(pairwise(images)), CAMERA)
    assert [round(motion.length, 3) if motion else None for motion in found] == pytest.approx(lengths, abs=0.01)
    assert np.median([motion.tilt[0] for motion in found if motion]) == pytest.approx(pitch, abs=math.radians(0.5))


def test_two_different_roads_have_no_motion(texture: Tensor) -> None:
    other = view(texture.flip(2), 3.0, 0.1)
    assert ground_motions([(view(texture, 1.0, 0.1), other)], CAMERA) == [None]


def test_no_pair_has_no_motion() -> None:
    assert ground_motions([], CAMERA) == []
