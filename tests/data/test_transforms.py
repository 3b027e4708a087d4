"""Mirroring; color jitter: identity, range, what each factor does."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from packdepth.config import Jitter
from packdepth.data.transforms import ColorJitter, flipped, gray, rotate_hue
from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.records import Sample

factors = st.floats(0.5, 1.5)


def test_a_mirrored_sample_is_mirrored_in_all_its_parts() -> None:
    image, context, truth = torch.rand(3, 4, 6), torch.rand(2, 3, 4, 6), torch.rand(1, 8, 11)
    camera = Camera(fx=5.0, fy=5.0, cx=2.0, cy=1.5, width=6, height=4)
    distance = torch.rand(2)
    sample = Sample(["a"], (-1, 1), camera, image, context, image / 2, context / 2, distance, truth)
    mirrored = flipped(sample)
    assert mirrored.camera.cx == 3
    assert mirrored.distance is distance
    for name in ("image", "context", "network_image", "network_context", "truth"):
        assert torch.equal(getattr(mirrored, name), getattr(sample, name).flip(-1)), name
    assert flipped(Sample(["a"], (-1, 1), camera, image, context, image, context)).truth is None


@given(st.integers(0, 99))
def test_in_the_mirror_points_move_as_their_mirror_images_do(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    motion = se3.from_vector(torch.randn(2, 6, generator=generator))
    image, context, camera = torch.rand(3, 4, 6), torch.rand(2, 3, 4, 6), Camera.from_fov(60, width=6, height=4)
    mirrored = flipped(Sample(["a"], (-1, 1), camera, image, context, image, context, motion=motion)).motion
    assert mirrored is not None
    points, left = torch.randn(2, 3, 5, generator=generator), torch.tensor([-1.0, 1.0, 1.0])[:, None]
    torch.testing.assert_close(se3.transform(mirrored, points * left), se3.transform(motion, points) * left)


def test_in_the_mirror_the_right_camera_stands_to_the_left() -> None:
    image, right, context = torch.rand(3, 4, 6), torch.rand(3, 4, 6), torch.rand(2, 3, 4, 6)
    camera = Camera(fx=5.0, fy=5.0, cx=2.0, cy=1.5, width=6, height=4)
    sample = Sample(["a"], (-1, 1), camera, image, context, image, context)
    sample.right, sample.network_right, sample.baseline = right, right / 2, torch.tensor(0.5)
    mirrored = flipped(sample)
    assert torch.equal(mirrored.image, image.flip(-1))
    assert mirrored.right is not None
    assert mirrored.network_right is not None
    assert torch.equal(mirrored.right, right.flip(-1))
    assert torch.equal(mirrored.network_right, right.flip(-1) / 2)
    assert mirrored.baseline == -0.5


def test_no_change_is_no_change() -> None:
    images = torch.rand(2, 3, 4, 5)
    torch.testing.assert_close(ColorJitter(1, 1, 1, 0)(images), images, atol=1e-5, rtol=0)


@given(factors, factors, factors, st.floats(-0.5, 0.5))
def test_images_stay_images(brightness: float, contrast: float, saturation: float, hue: float) -> None:
    images = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    out = ColorJitter(brightness, contrast, saturation, hue)(images)
    assert out.shape == images.shape
    assert out.min() >= 0
    assert out.max() <= 1
    stills = images.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    turned = rotate_hue(stills, hue)
    torch.testing.assert_close(turned, stills, atol=1e-3, rtol=0)  # gray has no hue


def test_brightness_and_saturation() -> None:
    images = 0.4 * torch.rand(1, 3, 4, 5)
    torch.testing.assert_close(ColorJitter(1.5, 1, 1, 0)(images), 1.5 * images, atol=1e-5, rtol=0)
    torch.testing.assert_close(ColorJitter(1, 1, 0, 0)(images), gray(images).expand_as(images), atol=1e-5, rtol=0)


def test_hue_turns_colors_the_right_way_and_back() -> None:
    images = 0.3 + 0.2 * torch.rand(1, 3, 4, 5)
    torch.testing.assert_close(rotate_hue(rotate_hue(images, 0.1), -0.1), images, atol=1e-4, rtol=0)
    red = torch.tensor([0.6, 0.4, 0.4]).view(1, 3, 1, 1)
    turned = rotate_hue(red, 0.05).flatten().numpy()
    hue = colorsys.rgb_to_hsv(*turned)[0]
    assert min(hue, 1 - hue) == pytest.approx(0.05, abs=0.03)


def test_all_frames_of_a_sample_share_a_draw() -> None:
    jitter = ColorJitter.draw(Jitter(), np.random.default_rng(0))
    image = torch.rand(3, 4, 5)
    torch.testing.assert_close(jitter(torch.stack([image, image]))[1], jitter(image))
