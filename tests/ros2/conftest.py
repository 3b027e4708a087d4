"""The ROS 2 package, with a predictor that needs no network, and stand-ins for ROS."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from packdepth.checkpoint import Meta, TrainedCamera
from packdepth.geometry.camera import Camera
from packdepth.inference.base import BasePredictor, Image, ImageMaps

PACKAGE = Path(__file__).parents[2] / "ros2" / "packdepth_ros"
sys.path.insert(0, str(PACKAGE))

TRAINED = TrainedCamera(width=40, height=12, fx=30.0, fy=30.0, cx=19.5, cy=5.5)


class Ramp(BasePredictor):
    """A predictor whose depth is 1 m plus the brightness of the red channel in metres, of 255."""

    def __init__(self, metric: bool = True) -> None:
        self.meta = Meta(
            packdepth="0.1.0",
            created="2026-11-26",
            epoch=1,
            step=1,
            metric=metric,
            scale_source="velocity (speed)" if metric else "none",
            clips=["a"],
            frames=1,
            trained_cameras=[TRAINED],
        )

    image_size = (12, 40)
    label_classes = None
    has_confidence = False
    pose_offsets = ()

    def image_maps(
        self, images: Sequence[np.ndarray], labels: Sequence[np.ndarray | None], flip: bool
    ) -> list[ImageMaps]:
        return [ImageMaps(1 / (1 + 255 * image[..., 0]), None, None) for image in images]

    def network_inv_depth(self, image: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        raise NotImplementedError

    def motions(self, images: Iterable[Image], camera: Camera | None = None, step: int = 1) -> Iterator[np.ndarray]:
        raise NotImplementedError


@pytest.fixture
def ramp() -> Any:
    """The class of predictors `Ramp`."""
    return Ramp
