"""One measurement of a checkpoint's scale: a factor for each frame, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from packdepth.checkpoint import MAX_SPREAD, ScaleCheck
from packdepth.geometry.robust import robust_deviation

ScaleSource = Literal["points", "lidar", "depth", "speed", "poses", "stereo", "camera height"]
SOURCES: tuple[ScaleSource, ...] = ("points", "lidar", "depth", "speed", "poses", "stereo", "camera height")
"""All sources, the most direct one first: depth, then lengths of motion, then the ground plane."""

NOUNS: dict[ScaleSource, str] = {
    "points": "points of the tape measure",
    "lidar": "frames with a LiDAR scan",
    "depth": "frames with a depth map",
    "speed": "pairs of frames with a speed",
    "poses": "pairs of frames with poses",
    "stereo": "frames with a right image",
    "camera height": "frames with a visible road",
}
"""Noun for the observations of each source, for messages."""

MIN_COUNT = 5  # observations: the median of fewer has no spread to speak of; chosen
MAX_SHIFT = 0.15  # by which a third of the drive may differ from the rest; more is a scale that drifts; chosen
BLOCKS = 3  # parts in the order of time, each of which is left out once


@dataclass(frozen=True, eq=False)
class ScaleMeasurement:
    """Factors of depth, true over predicted, that one source gives: one for each frame or tape-measured point.

    >>> measurement = ScaleMeasurement("speed", tuple("abcdef"), np.array([1.9, 2.0, 2.1, 2.0, 2.0, 2.0]), tried=8)
    >>> measurement.factor, measurement.frames, measurement.problem
    (2.0, 6, None)
    """

    source: ScaleSource
    """The source."""
    names: tuple[str, ...]
    """The frame of each factor, as clip/frame, in the order of time."""
    factors: np.ndarray
    """[N] float64, true over predicted length: depth has to be multiplied by it."""
    tried: int
    """Number of frames, or points, that were looked at. Some may give no factor, such as frames without ground."""
    motion_factors: np.ndarray | None = None
    """[N], the factors of the ego-motion network's own lengths; None unless the source is a motion."""
    motionless: bool = False
    """Whether the source is a motion, and the ego-motion network predicts none at all."""

    @property
    def frames(self) -> int:
        """Number of distinct frames that give a factor."""
        return len(set(self.names))

    @property
    def factor(self) -> float:
        """The median factor; NaN without any."""
        return float(np.median(self.factors)) if len(self.factors) else np.nan

    @property
    def spread(self) -> float:
        """The relative standard deviation of the factors, robust (from the median absolute deviation); NaN if none."""
        return robust_spread(self.factors)

    @property
    def motion_factor(self) -> float | None:
        """The median factor of the ego-motion network's own lengths; None unless the source is a motion."""
        return None if self.motion_factors is None or not len(self.factors) else float(np.median(self.motion_factors))

    @property
    def left_out(self) -> np.ndarray:
        """Predicted over measured length in each third of the frames after calibration by the others, [3]; or empty."""
        if len(self.factors) < BLOCKS:
            return np.empty(0)
        blocks = np.array_split(np.arange(len(self.factors)), BLOCKS)
        return np.array(
            [np.median(np.delete(self.factors, block)) / np.median(self.factors[block]) for block in blocks]
        )

    @property
    def shift(self) -> float:
        """The largest relative deviation from 1 among `left_out`; NaN without any."""
        return float(np.abs(self.left_out - 1).max()) if len(self.left_out) else np.nan

    @property
    def problem(self) -> str | None:
        """The reason not to calibrate by this measurement, as the end of a sentence; None if there is none."""
        if self.motionless:
            return "the pose network predicts no motion"
        count = len(self.factors)
        if count < MIN_COUNT:
            return f"only {count} of {self.tried} are {NOUNS[self.source]}, but {MIN_COUNT} are needed"
        if self.spread > MAX_SPREAD:
            return f"{self._varies(self.spread)}, more than {MAX_SPREAD:.0%}: {self._cause}"
        if self.shift > MAX_SHIFT:
            other = "a third of the frames gives another one than the rest"
            return f"{self._varies(self.shift)}, more than {MAX_SHIFT:.0%} ({other}): {self._cause}"
        return None

    def _varies(self, share: float) -> str:
        """Return how much the factor varies."""
        return f"the factor varies from frame to frame by {share:.0%}"

    @property
    def _cause(self) -> str:
        """The probable reasons for a factor that varies."""
        by_height = ", or the road is not seen" if self.source == "camera height" else ""
        return f"depth is not good enough{by_height}"

    def check(self, held_out: bool) -> ScaleCheck:
        """Return the comparison of the present scale with this measurement, for `meta.json`.

        Args:
            held_out: whether the frames were not trained on.
        """
        return ScaleCheck(
            source=self.source, ratio=1 / self.factor, spread=self.spread, frames=self.frames, held_out=held_out
        )

    def check_left_out(self) -> ScaleCheck:
        """Return the comparison after calibration by this measurement: the worst of its thirds when it is left out."""
        ratio = self.left_out[np.abs(self.left_out - 1).argmax()]
        return ScaleCheck(source=self.source, ratio=ratio, spread=self.spread, frames=self.frames, held_out=True)

    def __str__(self) -> str:
        if self.motionless:
            return f"{self.source}: {self.problem}"
        if not len(self.factors):
            return f"{self.source}: none of {self.tried} are {NOUNS[self.source]}"
        shift = "" if np.isnan(self.shift) else f", within {self.shift:.1%} when a third is left out"
        own = "" if self.motion_factor is None else f"; ego-motion network's own lengths: {self.motion_factor:.3f}"
        return (
            f"{self.source}: factor {self.factor:.3f}, spread {self.spread:.1%}, from {len(self.factors)} of "
            f"{self.tried} {NOUNS[self.source]}{shift}{own}"
        )


def robust_spread(values: np.ndarray) -> float:
    """Return the robust standard deviation of positive values over their median; NaN if there are none.

    Args:
        values: [N].

    >>> robust_spread(np.array([1.0, 2.0, 3.0, 100.0, 2.0]))
    0.7413
    """
    if not len(values):
        return float("nan")
    median = np.median(values)
    return float(robust_deviation(values - median) / median)


def disagreement(one: ScaleMeasurement, other: ScaleMeasurement, tolerance: float = 0.05) -> bool:
    """Return whether the factors of two measurements differ by more than both spreads together, and than a tolerance.

    Args:
        one: a measurement.
        other: another one.
        tolerance: relative difference that is always tolerated: a camera's height is seldom known better than to 5 %.

    >>> measurements = [ScaleMeasurement("depth", tuple("abc"), np.full(3, value), 3) for value in (1.0, 1.04, 1.2)]
    >>> [disagreement(measurements[0], each) for each in measurements]
    [False, False, True]
    """
    apart = abs(np.log(one.factor / other.factor))
    return bool(apart > max(tolerance, np.hypot(one.spread, other.spread)))
