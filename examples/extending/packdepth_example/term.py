"""Metric scale from the height of the camera above the road."""

from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from packdepth.objectives import Term
from packdepth.records import Batch, Outputs


class LevelRoad(Term):
    """The road in front of a level camera lies on a plane below it, at the height of the camera.

    The road is taken to fill the lowest quarter and the middle third of the image.
    """

    kind: Literal["level_road"] = "level_road"
    weight: NonNegativeFloat = 0.05
    height: PositiveFloat = 1.65
    """Height of the camera above the road, in metres."""

    metric_field: ClassVar[str | None] = "camera height"

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean difference between the logarithms of inverse depth and of the plane's, a scalar."""
        inv_depth = outputs.inv_depths[0]  # [B, 1, H, W], 1/metres
        height, width = inv_depth.shape[-2:]
        rows = torch.arange(height * 3 // 4, height, device=inv_depth.device)  # [h]
        K = batch.camera.matrix()  # [B, 3, 3], pixels
        below_horizon = (rows - K[:, 1, 2, None]).clamp(min=1)  # [B, h], pixels
        plane = below_horizon / (K[:, 1, 1, None] * self.height)  # [B, h], 1/metres
        road = inv_depth[:, 0, rows, width // 3 : width * 2 // 3]  # [B, h, w]
        return (road.log() - plane.log()[..., None]).abs().mean()
