"""Learned cameras: what they begin as, what mirroring does to them, what holds them."""

from __future__ import annotations

import pytest
import torch

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.geometry.resize import resize_image
from packdepth.geometry.warp import synthesize
from packdepth.networks.cameras import ASPECT, CENTRE, FOCAL, LearnedCameras, across_the_image

WIDE, NARROW = Camera.from_fov(90, 80, 40), Camera.from_fov(60, 64, 48)


@pytest.fixture
def cameras() -> LearnedCameras:
    """Two cameras that have moved away from their guesses."""
    made = LearnedCameras([WIDE, NARROW])
    with torch.no_grad():
        made.change += torch.tensor([[0.1, 0.12, 0.03, -0.02], [-0.2, -0.2, 0.0, 0.01]])
    return made


def test_they_begin_at_the_guess() -> None:
    made = LearnedCameras([WIDE, NARROW])
    camera = made(Camera(0, 0, 0, 0, width=40, height=20), torch.tensor([1, 0]), torch.tensor([False, False]))
    assert (camera.width, camera.height) == (40, 20)
    for i, guess in enumerate([NARROW, WIDE]):
        expected = guess.resized(20, 40)
        for name in ("fx", "fy", "cx", "cy"):
            assert float(getattr(camera, name)[i]) == pytest.approx(getattr(expected, name), rel=1e-6), name
    assert made.prior() == 0


def test_a_mirrored_sample_has_the_mirrored_camera(cameras: LearnedCameras) -> None:
    size = Camera(0, 0, 0, 0, width=40, height=20)
    plain = cameras(size, torch.tensor([0]), torch.tensor([False]))
    mirrored = cameras(size, torch.tensor([0]), torch.tensor([True]))
    expected = plain.flipped()
    for name in ("fx", "fy", "cx", "cy"):
        torch.testing.assert_close(getattr(mirrored, name), getattr(expected, name))
    assert float(mirrored.cx) != pytest.approx(float(plain.cx), abs=1)


def test_views_and_gradients_are_the_same_for_a_mirrored_world(cameras: LearnedCameras) -> None:
    """Synthesis commutes with mirroring, so a mirrored sample teaches the camera exactly what the plain one does."""
    generator = torch.Generator().manual_seed(0)
    context = resize_image(torch.rand(1, 3, 6, 10, generator=generator), 40, 80).double()
    depth = 5 + 3 * resize_image(torch.rand(1, 1, 5, 8, generator=generator), 40, 80).double()
    T, mirror = torch.eye(4).double()[None], torch.diag(torch.tensor([-1.0, 1, 1, 1])).double()
    T[0, :3, 3] = torch.tensor([0.2, 0.05, -0.5])
    T[0, 0, 2], T[0, 2, 0] = 0.05, -0.05
    cameras = cameras.double()
    gradients = []
    for flipped in (False, True):
        camera = cameras(WIDE, torch.tensor([0]), torch.tensor([flipped]))
        seen = (context.flip(-1), depth.flip(-1), mirror @ T @ mirror) if flipped else (context, depth, T)
        image = synthesize(*seen, camera).image
        image = image.flip(-1) if flipped else image
        (gradient,) = torch.autograd.grad((image - context).abs().mean(), cameras.change)
        gradients.append(gradient)
    assert gradients[0][0].abs().min() > 1e-6
    torch.testing.assert_close(gradients[1], gradients[0])


def test_the_prior_counts_standard_deviations() -> None:
    made = LearnedCameras([WIDE])
    for change, expected in (
        ([FOCAL, FOCAL, 0, 0], 1),
        ([ASPECT / 2, -ASPECT / 2, 0, 0], 1),
        ([0, 0, 2 * CENTRE, 0], 4),
        ([0, 0, 0, -CENTRE], 1),
    ):
        with torch.no_grad():
            made.change.copy_(torch.tensor([change]))
        assert float(made.prior()) == pytest.approx(expected, rel=1e-5)


def test_motion_across_the_image_keeps_its_value_and_hides_the_focal_length() -> None:
    """Of a small turn, which shifts the image's middle by f times the angle, the middle tells nothing about f."""
    made = LearnedCameras([WIDE]).double()
    vector = torch.tensor([[[0.0, 0, -0.3, 0.01, 0.02, 0.005]]], dtype=torch.float64)
    T = se3.from_vector(vector)
    camera = made(WIDE, torch.tensor([0]), torch.tensor([False]))
    coupled = across_the_image(T, camera)
    torch.testing.assert_close(coupled, T)
    depth = torch.full((1, 1, 40, 80), 20.0, dtype=torch.float64)
    shifts = []
    for motion in (T, coupled):
        pixels, _ = camera.project(se3.transform(motion[:, 0], camera.unproject(depth)))
        shift = (pixels[0, :, 19:21, 39:41].mean((1, 2)) - torch.tensor([camera.cx, camera.cy])).square().sum()
        (gradient,) = torch.autograd.grad(shift, made.change, retain_graph=True)
        shifts.append(gradient[0, :2].abs().max())
    assert shifts[0] > 0.5  # pixels squared
    assert shifts[1] < 0.02 * shifts[0]
