"""Common base of the terms that compare the ego-motion with measured motion."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar

from torch import Tensor

from packdepth.objectives.term import NonNegative, Term
from packdepth.records import Batch, Outputs


class MeasuredMotion(Term):
    """A term that compares the ego-motion with measured motion, and may put the measured one in its place."""

    weight: NonNegative = 0.1
    """Factor of the term in the objective."""
    impose: bool = False
    """Replace what is measured of the ego-motion for all other terms: its length by `velocity`, all of it by `poses`.

    Depth then has its metric scale from the first step on. The ego-motion network learns what is replaced from this
    term alone.
    """

    needs_context: ClassVar[bool] = True
    metric_field: ClassVar[str | None] = "distance"
    sees_prepared: ClassVar[bool] = False

    @property
    def metric_from(self) -> str | None:
        """The field "distance" if the weight is positive or `impose` is set; otherwise None."""
        return self.metric_field if self.weight > 0 or self.impose else None

    def prepare(self, outputs: Outputs, batch: Batch) -> Outputs:
        """Return the outputs; if `impose` is set, with the measured motion."""
        return replace(outputs, T_context_target=self.imposed(outputs, batch)) if self.impose else outputs

    @abstractmethod
    def imposed(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the ego-motion with what is measured of it: T_context_target [B, N, 4, 4].

        Args:
            outputs: the predictions of the networks for the batch.
            batch: the batch, with the measurements.
        """
