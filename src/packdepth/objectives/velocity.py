"""Velocity supervision: the distance traveled gives depth and ego-motion a metric scale."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from packdepth.geometry.se3 import with_length
from packdepth.objectives.term import NonNegative, Term
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


class Velocity(Term):
    """Velocity supervision: mean difference in metres between the length of the ego-motion and the distance traveled.

    Source: PackNet, CVPR 2020, eq. 6.

    >>> Velocity(weight=0, impose=True).metric_from
    'distance'
    """

    kind: Literal["velocity"] = "velocity"
    weight: NonNegative = 0.05
    """Factor of the term in the objective."""
    impose: bool = False
    """Replace the length of the ego-motion by the distance traveled for all other terms.

    The other terms then train only its direction and rotation. Depth has its metric scale from the first step on. The
    ego-motion network learns the length from this term alone.
    """

    needs: ClassVar[tuple[str, ...]] = ("distance",)
    needs_context: ClassVar[bool] = True
    metric_field: ClassVar[str | None] = "distance"
    sees_prepared: ClassVar[bool] = False
    zero_means: ClassVar[str | None] = "neither its speeds or poses nor the predicted camera move at all"

    @property
    def metric_from(self) -> str | None:
        """The field "distance" if the weight is positive or `impose` is set; otherwise None."""
        return self.metric_field if self.weight > 0 or self.impose else None

    def prepare(self, outputs: Outputs, batch: Batch) -> Outputs:
        """Return the outputs; if `impose` is set, each translation has the length of the distance traveled."""
        if not self.impose:
            return outputs
        assert batch.distance is not None
        return replace(outputs, T_context_target=with_length(outputs.T_context_target, batch.distance))

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean absolute difference between predicted and measured distance, a scalar, metres."""
        assert batch.distance is not None
        return velocity_loss(outputs.T_context_target, batch.distance)
