"""How well a focal length is determined: exactly known views of a rendered world, with and without turns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import world
from fill import smooth_image

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.networks.cameras import FOCAL
from packdepth.records import Batch, Outputs
from packdepth.training.determination import focal_deviation, view_information

CAMERA = Camera(fx=150.0, fy=150.0, cx=127.5, cy=63.5, width=256, height=128)


def view(turn: float, forward: float = 0.5) -> tuple[Batch, Outputs]:
    """A textured view and its context: steps of `forward` metres and `turn` radians to the right, one each way."""
    depth = torch.from_numpy(world.render(2, CAMERA)[1])[None, None]
    vector = torch.tensor([0, 0, -forward, 0, -turn, 0], dtype=torch.float64)
    motions = se3.from_vector(torch.stack([-vector, vector]))[None]
    image = torch.from_numpy(smooth_image("determination", (1, 3, 128, 256), coarse=4)).double()
    context = torch.stack([image, image], dim=1)
    one = torch.ones(1, dtype=torch.float64)
    camera = Camera(CAMERA.fx * one, CAMERA.fy * one, CAMERA.cx * one, CAMERA.cy * one, CAMERA.width, CAMERA.height)
    return Batch(["a"], (-1, 1), camera, image, context, image, context), Outputs([1 / depth], motions)


def test_motion_straight_ahead_tells_nothing() -> None:
    assert focal_deviation([]) == pytest.approx(FOCAL)
    assert focal_deviation([view(turn=0.0)] * 30) > 0.8 * FOCAL


def test_turns_tell_the_focal_length_and_more_views_tell_it_better() -> None:
    deviations = [focal_deviation([view(turn)] * 10) for turn in (0.002, 0.01, 0.03)]
    assert deviations == sorted(deviations, reverse=True)
    assert deviations[-1] < 0.05
    assert focal_deviation([view(0.03)] * 40) == pytest.approx(deviations[-1] / 2, rel=0.2)


def test_images_without_texture_tell_nothing() -> None:
    batch, outputs = view(0.03)
    blank = batch.map(lambda values: 0 * values + 0.5 if values.ndim > 1 else values)
    torch.testing.assert_close(view_information(blank, outputs), torch.zeros(4, 4, dtype=torch.float64))


def test_information_is_a_covariance_s_inverse() -> None:
    information = view_information(*view(0.02)).numpy()
    np.testing.assert_allclose(information, information.T, rtol=1e-6, atol=1e-6 * np.abs(information).max())
    assert np.linalg.eigvalsh(information).min() > -1e-9 * np.abs(information).max()
