"""Supervision of ego-motion by measured poses."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveFloat
from torch import Tensor

from packdepth.objectives.measured_motion import MeasuredMotion
from packdepth.objectives.pose_consistency import pose_consistency
from packdepth.records import Batch, Outputs


class Poses(MeasuredMotion):
    """Supervision by poses: difference between the ego-motion and the measured motion, with its direction and rotation.

    The poses of a headset, of visual-inertial odometry or of a survey give more than the distance traveled, which is
    all that `velocity` uses. A camera that is carried turns fast, and an ego-motion network that has not yet learned
    how it turns teaches depth nothing. Errors of the poses become errors of depth, if they are imposed.

    >>> Poses(impose=True).metric_from
    'distance'
    """

    kind: Literal["poses"] = "poses"
    lever: PositiveFloat = 10.0
    """Metres per radian: the distance at which the displacement of points by a rotation error is measured."""

    needs: ClassVar[tuple[str, ...]] = ("distance", "motion")

    def imposed(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the measured motion: T_context_target [B, N, 4, 4]."""
        assert batch.motion is not None
        return batch.motion.to(outputs.T_context_target)

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean difference between predicted and measured motion, a scalar, metres."""
        return pose_consistency(outputs.T_context_target, self.imposed(outputs, batch), self.lever)
