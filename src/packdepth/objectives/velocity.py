"""Velocity supervision: the distance traveled gives depth and ego-motion a metric scale."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from packdepth.geometry.se3 import with_length
from packdepth.objectives.measured_motion import MeasuredMotion
from packdepth.objectives.term import NonNegative
from packdepth.records import Batch, Outputs


def velocity_loss(T_context_target: Tensor, distance: Tensor) -> Tensor:
    """Return the mean | ||t|| - distance | in metres.

    Source: PackNet, CVPR 2020, eq. 6.

    Args:
        T_context_target: predicted ego-motion [B, N, 4, 4].
        distance: [B, N], metres traveled between the target and each context frame: speed times time.

    Returns:
        A scalar.

    >>> velocity_loss(torch.eye(4).expand(1, 2, 4, 4), torch.tensor([[1.0, 2.0]]))
    tensor(1.5000)
    """
    error: Tensor = torch.linalg.vector_norm(T_context_target[..., :3, 3], dim=-1) - distance
    return error.abs().mean()


class Velocity(MeasuredMotion):
    """Velocity supervision: mean difference in metres between the length of the ego-motion and the distance traveled.

    Source: PackNet, CVPR 2020, eq. 6.

    >>> Velocity(weight=0, impose=True).metric_from
    'distance'
    """

    kind: Literal["velocity"] = "velocity"
    weight: NonNegative = 0.05
    """Factor of the term in the objective."""

    needs: ClassVar[tuple[str, ...]] = ("distance",)
    zero_means: ClassVar[str | None] = "neither its speeds or poses nor the predicted camera move at all"

    def imposed(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the ego-motion with the distance traveled as its length: T_context_target [B, N, 4, 4]."""
        assert batch.distance is not None
        return with_length(outputs.T_context_target, batch.distance)

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean absolute difference between predicted and measured distance, a scalar, metres."""
        assert batch.distance is not None
        return velocity_loss(outputs.T_context_target, batch.distance)
