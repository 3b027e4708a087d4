"""Gauss-Newton steps on intrinsics: exactly known views of a rendered world, with and without turns."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
import world
from fill import smooth_image

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.geometry.warp import sample
from packdepth.records import Batch, Outputs
from packdepth.training.calibration import ASPECT, CENTRE, FOCAL, gauss_newton, prior, view_system

CAMERA = Camera(fx=150.0, fy=150.0, cx=127.5, cy=63.5, width=256, height=128)
NO_CHANGE = torch.zeros(4, dtype=torch.float64)


@cache
def view(turn: float, stretch: float = 0.0, forward: float = 0.5) -> tuple[Batch, Outputs]:
    """A textured view with one context frame, `forward` metres on and turned by `turn` radians.

    The target is made from the context frame by the true camera, depth and motion. The batch's camera is too long by
    the factor exp(stretch).
    """
    depth = torch.from_numpy(world.render(2, CAMERA)[1])[None, None]
    T = se3.from_vector(torch.tensor([[0, 0, -forward, 0, -turn, 0]], dtype=torch.float64))
    context = torch.from_numpy(smooth_image("calibration", (1, 3, 128, 256), coarse=4)).double()
    pixels, _ = CAMERA.project(se3.transform(T, CAMERA.unproject(depth)))
    image = sample(context, pixels)
    one = torch.ones(1, dtype=torch.float64)
    wrong = replace(CAMERA, fx=CAMERA.fx * np.exp(stretch), fy=CAMERA.fy * np.exp(stretch)).map(lambda x: x * one)
    batch = Batch(["a"], (1,), wrong, image, context[:, None], image, context[:, None])
    return batch, Outputs([1 / depth], T[:, None])


def deviation(turn: float, views: int) -> float:
    return gauss_newton([view(turn)] * views, NO_CHANGE).deviation


def test_motion_straight_ahead_tells_nothing() -> None:
    assert gauss_newton([], NO_CHANGE).deviation == pytest.approx(FOCAL)
    assert deviation(0.0, 10) > 0.7 * FOCAL


def test_turns_tell_the_focal_length_and_more_views_tell_it_better() -> None:
    deviations = [deviation(turn, 10) for turn in (0.005, 0.02, 0.05)]
    assert deviations == sorted(deviations, reverse=True)
    assert deviations[-1] < 0.05
    assert deviation(0.05, 40) == pytest.approx(deviations[-1] / 2, rel=0.25)


def test_a_true_camera_stays() -> None:
    step = gauss_newton([view(0.05)] * 20, NO_CHANGE)
    np.testing.assert_allclose(step.change.numpy(), 0, atol=1e-3)


@pytest.mark.parametrize("stretch", [-0.1, 0.1])
def test_a_wrong_camera_is_set_right_in_turns(stretch: float) -> None:
    step = gauss_newton([view(0.05, stretch)] * 40, NO_CHANGE)
    assert step.change[:2].numpy() == pytest.approx(-stretch, rel=0.35)


def test_without_views_a_camera_returns_to_its_guess() -> None:
    change = torch.tensor([0.1, 0.12, 0.01, -0.02], dtype=torch.float64)
    torch.testing.assert_close(gauss_newton([], change).change, -change)
    far = gauss_newton([], 10 * change).change
    assert far[:2].abs().max() == pytest.approx(0.3)


def test_the_prior_counts_standard_deviations() -> None:
    for change, expected in (
        ([FOCAL, FOCAL, 0, 0], 1),
        ([ASPECT / 2, -ASPECT / 2, 0, 0], 1),
        ([0, 0, 2 * CENTRE, 0], 4),
        ([0, 0, 0, -CENTRE], 1),
    ):
        vector = torch.tensor(change, dtype=torch.float64)
        assert float(vector @ prior() @ vector) == pytest.approx(expected)


def test_images_without_texture_tell_nothing() -> None:
    batch, outputs = view(0.05)
    blank = batch.map(lambda values: 0 * values + 0.5 if values.ndim > 1 else values)
    information, pull = view_system(blank, outputs)
    torch.testing.assert_close(information, torch.zeros(4, 4, dtype=torch.float64))
    torch.testing.assert_close(pull, torch.zeros(4, dtype=torch.float64))


def test_information_is_that_of_a_covariance() -> None:
    information, _ = view_system(*view(0.02))
    torch.testing.assert_close(information, information.T, rtol=1e-6, atol=1e-9 * float(information.abs().max()))
    assert np.linalg.eigvalsh(information.numpy()).min() > -1e-9 * float(information.abs().max())
