"""Pose consistency: the ego-motion of a pair of frames is the same, whichever frame comes first."""

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
    """Return the mean of |t| + `lever` 2 sin(a / 2), where two motions differ by a translation t and an angle a.

    Args:
        T: motions [..., 4, 4], translations in metres.
        reversed_T: another estimate of the same motions, [..., 4, 4].
        lever: metres per radian: the distance at which a rotation counts as much as the displacement it causes.

    Returns:
        A scalar, metres.

    >>> T = se3.from_vector(torch.tensor([0.0, 0.0, 2.0, 0.0, 0.0, 0.0]))
    >>> pose_consistency(T, torch.eye(4), lever=10.0)
    tensor(2.)
    """
    difference = se3.compose(se3.inverse(reversed_T), T)
    translation = torch.linalg.vector_norm(difference[..., :3, 3], dim=-1)
    turn = difference[..., :3, :3] - torch.eye(3, dtype=T.dtype, device=T.device)
    chord = torch.linalg.matrix_norm(turn) / math.sqrt(2)  # 2 sin(a / 2), smooth where a is not
    loss: Tensor = (translation + lever * chord).mean()
    return loss


class PoseConsistency(Term):
    """Difference between the ego-motion from frames in the order of time and from the same frames in reverse order.

    Pose networks take pairs in the order of time, and invert the result for motion back in time, so these two always
    agree. This term gives them each pair in reverse order too, from which they have to predict the inverse motion.

    >>> PoseConsistency().needs
    ('T_context_target_reversed',)
    """

    kind: Literal["pose_consistency"] = "pose_consistency"
    weight: NonNegative = 0.1
    """Factor of the term in the objective."""
    lever: PositiveFloat = 10.0
    """Metres per radian: the distance at which the displacement of points by a rotation error is measured."""

    needs: ClassVar[tuple[str, ...]] = ("T_context_target_reversed",)
    needs_context: ClassVar[bool] = True
    sees_prepared: ClassVar[bool] = False

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean difference, a scalar, metres."""
        assert outputs.T_context_target_reversed is not None
        return pose_consistency(outputs.T_context_target, outputs.T_context_target_reversed, self.lever)
