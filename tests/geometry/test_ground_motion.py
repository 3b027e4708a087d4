"""The motion over a textured plane is measured in camera heights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.ground_motion import ground_height, ground_motions, small_ground_image

CAMERA = Camera.from_fov(80, width=320, height=160)
SPAN, CELLS = 40.0, 1600  # camera heights that the texture covers, and its cells


def road() -> Tensor:
    rng = torch.Generator().manual_seed(0)
    fine = torch.rand(1, 1, CELLS, CELLS // 4, generator=rng)
    wide = F.interpolate(torch.rand(1, 1, CELLS // 8, CELLS // 32, generator=rng), size=fine.shape[-2:], mode="bicubic")
    return 0.3 * F.avg_pool2d(F.pad(fine, (1,) * 4), 3, stride=1) + 0.7 * wide


def view(texture: Tensor, ahead: float, pitch: float, aside: float = 0.0, heading: float = 0.0) -> Tensor:
    """Render the plane one height below a camera at a place, in heights, that looks down and to the right."""
    v, u = torch.meshgrid(torch.arange(160.0), torch.arange(320.0), indexing="ij")
    x, y = (u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy
    down = y * math.cos(pitch) + math.sin(pitch)
    depth = 1 / down.clamp(min=1e-3)
    forward, right = depth * (math.cos(pitch) - y * math.sin(pitch)), x * depth
    along = math.cos(heading) * forward - math.sin(heading) * right + ahead
    across = math.sin(heading) * forward + math.cos(heading) * right + aside
    grid = torch.stack([across / (SPAN / 8), 2 * along / SPAN - 1], dim=-1)[None]
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


def bend(texture: Tensor, lengths: Sequence[float], turn: float) -> list[Tensor]:
    """Render a drive along arcs: each step has a length in heights, and turns by so many radians to the right."""
    heading, aside, ahead, pitch = -turn * len(lengths) / 2, 0.0, 1.0, math.radians(3)
    images = [view(texture, ahead, pitch, aside, heading)]
    for length in lengths:
        aside += length * math.sin(heading + turn / 2)
        ahead += length * math.cos(heading + turn / 2)
        heading += turn
        images.append(view(texture, ahead, pitch, aside, heading))
    return images


@settings(max_examples=6, deadline=None, derandomize=True)
@given(turn=st.floats(-4.0, 4.0), length=st.floats(0.2, 0.8))
def test_bends_are_as_long_as_straight_drives(texture: Tensor, turn: float, length: float) -> None:
    images = bend(texture, [length] * 4, math.radians(turn))
    found = ground_motions(list(pairwise(images)), CAMERA)
    assert [motion.length if motion else None for motion in found] == pytest.approx([length] * 4, rel=0.03)


@pytest.mark.parametrize("unit", [1.0, 3.6, 1 / 2.237])
def test_the_height_of_the_camera_is_in_the_unit_of_the_distances_in_bends_too(texture: Tensor, unit: float) -> None:
    lengths = [0.3, 0.35, 0.4, 0.45, 0.5, 0.5, 0.5, 0.5]
    pairs = list(pairwise(bend(texture, lengths, math.radians(2.5))))
    found = ground_height(pairs, 1.5 * unit * np.array(lengths), CAMERA)
    assert found is not None
    assert found.metres == pytest.approx(1.5 * unit, rel=0.03)
    assert found.lead > 2.0


def test_distances_that_do_not_belong_to_the_images_give_no_sure_height(texture: Tensor) -> None:
    pairs = list(pairwise(bend(texture, [0.2, 0.8] * 4, 0.0)))
    found = ground_height(pairs, np.array([0.8, 0.2] * 4), CAMERA)
    assert found is None or found.lead < 2.0 or found.spread > 0.2


def test_two_different_roads_have_no_motion(texture: Tensor) -> None:
    other = view(texture.flip(2), 3.0, 0.1)
    assert ground_motions([(view(texture, 1.0, 0.1), other)], CAMERA) == [None]


@pytest.mark.parametrize("cut", [(157, 319), (155, 318)])
@pytest.mark.parametrize("factor", [1, 4])
def test_sides_that_no_block_divides(texture: Tensor, cut: tuple[int, int], factor: int) -> None:
    """The last pixels of a side are left out where it is averaged over blocks, as of wide images at first."""
    lengths = [0.3, 0.35, 0.4, 0.45, 0.5, 0.5]
    images = [image[..., : cut[0], : cut[1]] for image in bend(texture, lengths, math.radians(2.5))]
    height, width = (factor * side for side in cut)
    cx, cy = ((centre + 0.5) * factor - 0.5 for centre in (CAMERA.cx, CAMERA.cy))
    camera = Camera(factor * CAMERA.fx, factor * CAMERA.fy, cx, cy, width=width, height=height)
    if factor > 1:
        enlarged = [F.interpolate(image.float(), (height, width), mode="bilinear").byte() for image in images]
        images = [small_ground_image(image[0, 0, ..., None].repeat(1, 1, 3).numpy()) for image in enlarged]
    pairs = list(pairwise(images))
    found = ground_motions(pairs, camera)
    assert [motion.length if motion else None for motion in found] == pytest.approx(lengths, rel=0.03)
    height_found = ground_height(pairs, 1.5 * np.array(lengths), camera)
    assert height_found is not None
    assert height_found.metres == pytest.approx(1.5, rel=0.03)


def test_no_pair_has_no_motion() -> None:
    assert ground_motions([], CAMERA) == []


@pytest.mark.parametrize("black", [(0, 1), (1,)])
def test_black_images_have_no_motion(texture: Tensor, black: tuple[int, ...]) -> None:
    pair = [view(texture, ahead, 0.1) for ahead in (1.0, 1.5)]
    for place in black:
        pair[place] = torch.zeros_like(pair[place])
    assert ground_motions([(pair[0], pair[1])], CAMERA) == [None]
    assert ground_height([(pair[0], pair[1])], np.ones(1), CAMERA) is None


def test_a_camera_that_looks_above_the_ground_has_no_motion(texture: Tensor) -> None:
    pair = [view(texture, ahead, 0.1) for ahead in (1.0, 1.5)]
    sky = dataclasses.replace(CAMERA, cy=300.0)  # the horizon lies below the image, even at a pitch of 12 degrees
    assert ground_motions([(pair[0], pair[1])], sky) == [None]
    assert ground_height([(pair[0], pair[1])], np.ones(1), sky) is None
