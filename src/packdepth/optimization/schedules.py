"""Schedules of the learning rate."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from packdepth.optimization.blocks import Schedule


class Constant(Schedule):
    """A constant learning rate.

    >>> Constant().multiplier(step=7, steps=10, epochs=1)
    1.0
    """

    kind: Literal["constant"] = "constant"

    def multiplier(self, step: int, steps: int, epochs: int) -> float:
        """Return 1."""
        return 1.0


class Step(Schedule):
    """A learning rate that is multiplied by `factor` every `epochs` epochs (as published: 0.5 every 40).

    >>> Step(epochs=2, factor=0.5).multiplier(step=50, steps=100, epochs=8)
    0.25
    """

    kind: Literal["step"] = "step"
    epochs: PositiveInt = 40
    """Number of epochs between two changes."""
    factor: PositiveFloat = 0.5
    """Factor of each change."""

    def multiplier(self, step: int, steps: int, epochs: int) -> float:
        """Return `factor` to the power of the number of changes so far."""
        return self.factor ** (step * epochs // steps // self.epochs)


class Cosine(Schedule):
    """A learning rate that rises linearly for `warmup` steps, stays, and falls along a cosine to `final` of itself.

    >>> Cosine(warmup=10).multiplier(step=4, steps=100, epochs=1)
    0.5
    """

    kind: Literal["cosine"] = "cosine"
    warmup: Annotated[int, Field(ge=0)] = 0
    """Number of steps of the linear rise."""
    hold: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the steps after the warm-up before the learning rate begins to fall."""
    final: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Multiplier at the end."""

    def multiplier(self, step: int, steps: int, epochs: int) -> float:
        """Return the multiplier at a step, between 0 and 1."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        share = (step - self.warmup) / max(steps - self.warmup, 1)
        fallen = min(max((share - self.hold) / (1 - self.hold), 0), 1)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * fallen)) / 2
