"""A predictor without a network: the brighter, the nearer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from described import described

from packdepth.checkpoint import TrainedCamera
from packdepth.geometry.camera import Camera
from packdepth.inference.base import BasePredictor, Image, ImageMaps

META = described(
    created="2026-11-26",
    step=20,
    clips=[],
    frames=100,
    trained_cameras=[TrainedCamera(width=96, height=48, fx=60, fy=58, cx=46, cy=22.5)],
)


class FlatPredictor(BasePredictor):
    """Inverse depth is 0.01 plus the mean of red, green and blue, times a factor.

    Args:
        factor: the factor of each prediction, by its number.
        label_classes: number of classes of the label maps that it asks for.
        changes: changes of the description.
    """

    def __init__(
        self, factor: Callable[[int], float] = lambda number: 1.0, label_classes: int | None = None, **changes: Any
    ) -> None:
        self.meta = META.model_copy(update=changes)
        self._factor, self._classes, self.count = factor, label_classes, 0

    @property
    def image_size(self) -> tuple[int, int]:
        return (48, 96)

    @property
    def label_classes(self) -> int | None:
        return self._classes

    @property
    def has_confidence(self) -> bool:
        return False

    @property
    def pose_offsets(self) -> tuple[int, ...]:
        return ()

    def image_maps(
        self, images: Sequence[np.ndarray], labels: Sequence[np.ndarray | None], flip: bool
    ) -> list[ImageMaps]:
        self.count += 1
        factor = np.float32(self._factor(self.count))
        return [ImageMaps(factor * (image.mean(-1) + np.float32(0.01)), None, None) for image in images]

    def network_inv_depth(self, image: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        raise NotImplementedError

    def motions(self, images: Iterable[Image], camera: Camera | None = None, step: int = 1) -> Iterator[np.ndarray]:
        raise NotImplementedError
