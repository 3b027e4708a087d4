"""Pose consistency: a film and the same film run backward show the same ego-motion."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from packdepth.geometry import se3
from packdepth.objectives.term import NonNegative, Term
from packdepth.records import Batch, Outputs


def pose_consistency(T: Tensor, reversed_T: Tensor, lever: float) -> Tensor:
    """Mean of |t| + `lever` 2 sin(a / 2), t the translation (metres) and a the angle by which two motions differ.

    Args:
        T: [..., 4, 4].
        reversed_T: [..., 4, 4], another estimate of it.
        lever: metres that a radian counts as.

    Returns:
        a scalar, metres.
    """
    difference = se3.compose(se3.inverse(reversed_T), T)
    translation = torch.linalg.vector_norm(difference[..., :3, 3], dim=-1)
    turn = difference[..., :3, :3] - torch.eye(3, dtype=T.dtype, device=T.device)
    chord = torch.linalg.matrix_norm(turn) / math.sqrt(2)  # 2 sin(a / 2), smooth where a is not
    loss: Tensor = (translation + lever * chord).mean()
    return loss


class PoseConsistency(Term):
    """Ego-motion from frames in the order of time against ego-motion from the same frames in reverse order.

    Pose networks look at pairs in the order of time, and take motion back in time as the inverse of motion forward:
    that agreement is built in. This term shows them each pair in reverse order too, where they have to see the inverse.
    """

    kind: Literal["pose_consistency"] = "pose_consistency"
    weight: NonNegative = 0.1
    lever: PositiveFloat = 10.0
    """Metres that a radian counts as: the distance ahead of the points whose displacement is to be small."""

    needs: ClassVar[tuple[str, ...]] = ("T_context_target_reversed",)
    needs_context: ClassVar[bool] = True
    sees_prepared: ClassVar[bool] = False

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """A scalar, metres."""
        assert outputs.T_context_target_reversed is not None
        return pose_consistency(outputs.T_context_target, outputs.T_context_target_reversed, self.lever)
