"""Smoothing makes noise smaller, and neither lags behind the motion nor blurs what changes."""

from __future__ import annotations

import numpy as np
import pytest
import world

from packdepth.evaluation.flicker import flicker
from packdepth.geometry.camera import Camera
from packdepth.geometry.pinhole import points_of
from packdepth.live.smoothing import Smoother

Drive = list[tuple[np.ndarray, np.ndarray]]  # images [H, W, 3] uint8, and true inverse depth [H, W] float32


@pytest.fixture(scope="module")
def drive() -> Drive:
    """Twelve frames, 0.5 m each, towards a wall: its depth falls by a third."""
    frames = [world.render(index) for index in range(12)]
    return [((image * 255).astype(np.uint8), (1 / depth).astype(np.float32)) for image, depth in frames]


def smoothed(drive: Drive, predicted: list[np.ndarray], camera: Camera = world.CAMERA) -> list[np.ndarray]:
    smoother = Smoother()
    pairs = enumerate(zip([image for image, _ in drive], predicted, strict=True))
    return [smoother(image, each, camera, index / world.RATE) for index, (image, each) in pairs]


def errors(drive: Drive, maps: list[np.ndarray]) -> np.ndarray:
    """The errors of log inverse depth of the frames from the fourth on."""
    return np.stack([np.log(each / truth) for (_, truth), each in zip(drive, maps, strict=True)])[4:]


def test_exact_depth_stays_exact_though_everything_comes_nearer(drive: Drive) -> None:
    error = errors(drive, smoothed(drive, [truth for _, truth in drive]))
    assert np.abs(error).mean() < 0.005  # a frame moves by up to 10 % of its depth
    assert abs(np.median(error)) < 0.002


@pytest.mark.parametrize("camera", [world.CAMERA, Camera.from_fov(60, 96, 48)], ids=["known", "guessed"])
def test_a_scale_that_flickers_becomes_steady(drive: Drive, camera: Camera) -> None:
    factors = 1 + 0.05 * np.random.default_rng(0).standard_normal(12)
    predicted = [(truth * factor).astype(np.float32) for (_, truth), factor in zip(drive, factors, strict=True)]
    maps = smoothed(drive, predicted, camera)

    def mean_flicker(maps: list[np.ndarray]) -> float:
        points = [points_of(truth.astype(float), world.CAMERA)[::3, ::3].reshape(-1, 3) for _, truth in drive]
        pairs = range(4, 12)
        T = world.relative_pose(0, 1)
        return float(np.mean([flicker(maps[i], points[i], maps[i - 1], T, world.CAMERA) for i in pairs]))

    assert mean_flicker(maps) < 0.5 * mean_flicker(predicted)
    assert np.abs(errors(drive, maps)).mean() < 0.8 * np.abs(errors(drive, predicted)).mean()


def test_what_changes_in_the_image_is_not_smoothed(drive: Drive) -> None:
    """Something near and bright appears: it has its own depth at once."""
    (image, truth), (later, _) = drive[0], drive[0]
    later, predicted = later.copy(), truth.copy()
    later[10:30, 40:60], predicted[10:30, 40:60] = 255, 1.0
    smoother = Smoother()
    smoother(image, truth, world.CAMERA, 0.0)
    found = smoother(later, predicted, world.CAMERA, 0.1)
    np.testing.assert_allclose(found[13:27, 43:57], 1.0, rtol=1e-3)


def test_nothing_is_carried_over_a_gap_in_time_or_to_images_of_another_size(drive: Drive) -> None:
    (image, truth), (other, _) = drive[0], drive[1]
    smoother = Smoother()
    smoother(image, truth, world.CAMERA, 0.0)
    np.testing.assert_array_equal(smoother(other, 2 * truth, world.CAMERA, 1.5), 2 * truth)
    half = world.CAMERA.resized(24, 48)
    small = np.ascontiguousarray(truth[::2, ::2])
    np.testing.assert_array_equal(smoother(np.ascontiguousarray(other[::2, ::2]), small, half, 1.6), small)
