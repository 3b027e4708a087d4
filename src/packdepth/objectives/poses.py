"""Supervision of ego-motion by measured poses."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import PositiveFloat
from torch import Tensor

from packdepth.objectives.pose_consistency import pose_consistency
from packdepth.objectives.term import NonNegative, Term
from packdepth.records import Batch, Outputs


class Poses(Term):
    """Supervision by poses: difference between the ego-motion and the measured motion, with its direction and rotation.

    The poses of a headset, of visual-inertial odometry or of a survey give more than the distance traveled, which is
    all that `velocity` uses. A camera that is carried turns fast, and an ego-motion network that has not yet learned
    how it turns teaches depth nothing.

    >>> Poses(impose=True).metric_from
    'distance'
    """

    kind: Literal["poses"] = "poses"
    weight: NonNegative = 0.1
    """Factor of the term in the objective."""
    lever: PositiveFloat = 10.0
    """Metres per radian: the distance at which the displacement of points by a rotation error is measured."""
    impose: bool = False
    """Replace the ego-motion by the measured motion for all other terms.

    Depth then has its metric scale, and views are synthesized by the right motion, from the first step on. The
    ego-motion network learns from this term alone. Errors of the poses become errors of depth.
    """

    needs: ClassVar[tuple[str, ...]] = ("distance", "motion")
    needs_context: ClassVar[bool] = True
    metric_field: ClassVar[str | None] = "distance"
    sees_prepared: ClassVar[bool] = False

    @property
    def metric_from(self) -> str | None:
        """The field "distance" if the weight is positive or `impose` is set; otherwise None."""
        return self.metric_field if self.weight > 0 or self.impose else None

    def prepare(self, outputs: Outputs, batch: Batch) -> Outputs:
        """Return the outputs; if `impose` is set, the ego-motion is the measured motion."""
        if not self.impose:
            return outputs
        assert batch.motion is not None
        return replace(outputs, T_context_target=batch.motion.to(outputs.T_context_target))

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean difference between predicted and measured motion, a scalar, metres."""
        assert batch.motion is not None
        return pose_consistency(outputs.T_context_target, batch.motion.to(outputs.T_context_target), self.lever)
