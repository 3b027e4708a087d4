"""Drives seen through a lens, and by the pinhole camera that undistortion gives: both show the same."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from arrays import Array

pytest.importorskip("embreex", reason="the extra 'city' is not installed")

from packdepth.city.drive import Drive, Recipe
from packdepth.geometry.camera import Camera
from packdepth.geometry.lens import BrownConrady, KannalaBrandt, Lens
from packdepth.records import Clip, Frame
from packdepth.sources.undistort import undistorted

RAW = Camera(160.0, 161.0, 161.5, 46.5, width=320, height=96)


@pytest.mark.parametrize("lens", [BrownConrady(-0.3, 0.09, 0.0008, -0.0006, -0.01), KannalaBrandt(-0.02, 0.004)])
def test_an_undistorted_rendering_is_the_pinhole_cameras_rendering(lens: Lens) -> None:
    drive = Drive(Recipe(frames=2, baseline=None, scanner=None), 0)
    world, T = drive.world(1)[0], drive.ego.pose(1, 0.0)
    raw, raw_depth = world.image(RAW, T, lens), world.ground_truth(RAW, T, lens).depth
    frame = Frame("1", 0.1, Array(raw), depth=Array(raw_depth))
    clip = undistorted(Clip("city/x", Path("x"), RAW, (frame,), lens=lens))
    expected = world.image(clip.camera, T)

    def difference(image: np.ndarray) -> float:
        """Mean absolute difference to the pinhole rendering, of 255, without what a pixel cannot resolve."""
        one, other = (cv2.GaussianBlur(array.astype(np.float32), (0, 0), 2.0) for array in (image, expected))
        return float(np.abs(one - other).mean())

    image = clip.frames[0].image.read()
    same = difference(image)
    assert same < 1.5
    assert same < 0.5 * min(difference(np.roll(image, (v, u), (0, 1))) for v, u in ((0, 1), (0, -1), (1, 0), (-1, 0)))
    assert difference(raw) > 5 * same

    depth, truth = clip.frames[0].depth, world.ground_truth(clip.camera, T).depth
    assert depth is not None
    both = (depth.read() > 0) & (truth > 0)
    errors = np.abs(depth.read() - truth)[both] / truth[both]
    assert np.median(errors) < 0.01
    assert np.quantile(errors, 0.9) < 0.05
    assert ((depth.read() > 0) != (truth > 0)).mean() < 0.02


def test_a_pixel_without_a_ray_is_refused() -> None:
    drive = Drive(Recipe(frames=1, baseline=None, scanner=None), 0)
    with pytest.raises(ValueError, match="without a ray"):
        drive.world(0)[0].image(RAW, drive.ego.pose(0, 0.0), BrownConrady(-1.0))
