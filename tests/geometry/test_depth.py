"""Points of depth maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import points_from_depth

CAMERA = Camera(fx=60.0, fy=55.0, cx=30.5, cy=20.25, width=64, height=40)


def test_points_are_those_of_the_camera() -> None:
    depth = np.random.default_rng(0).uniform(1, 80, (40, 64))
    points, known = points_from_depth(depth, CAMERA)
    expected = CAMERA.unproject(torch.from_numpy(depth)[None, None])[0].flatten(1).T
    np.testing.assert_allclose(points, expected)
    assert known.all()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((20, 30), "the camera is for 64x40 pixels, but the depth map has 30x20"),
        ((1, 40, 64), r"a depth map has shape \[H, W\]; found \[1, 40, 64\]"),
    ],
)
def test_depth_of_another_shape_than_the_camera_is_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        points_from_depth(np.ones(shape), CAMERA)
