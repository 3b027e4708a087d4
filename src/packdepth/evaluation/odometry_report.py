"""The report on a predicted trajectory, as an object, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import isnan
from typing import Any

import numpy as np

from packdepth.evaluation.odometry import MIN_PATH, OdometryErrors
from packdepth.inference.trajectory import lack_of_poses
from packdepth.progress import counted

MEANINGS = {
    "distance": "m, distance traveled as measured",
    "scale": "factor of the best similarity, from predicted to measured",
    "ate": "m, RMSE of all positions after the best rigid motion",
    "ate_scaled": "m, RMSE of all positions after the best similarity",
    "snippet_ate": "m, over snippets of five frames, not scaled",
    "snippet_ate_std": "m, standard deviation of snippet_ate",
    "snippet_ate_scaled": "m, each snippet scaled: the number in SfMLearner's tables",
    "snippet_ate_scaled_std": "m, standard deviation of snippet_ate_scaled",
    "rpe_translation": "m, RMSE from frame to frame",
    "rpe_rotation": "degrees, RMSE from frame to frame",
    "t_rel": "%, KITTI's, over segments of 100 to 800 m",
    "r_rel": "degrees per 100 m, KITTI's",
    "t_rel_scaled": "%, t_rel of the trajectory multiplied by scale",
    "drift": "% of the distance, error of the last position",
    "scale_drift": "%, variation of the scale over stretches of 50 m",
}


@dataclass(frozen=True, eq=False)
class OdometryReport:
    """A predicted trajectory and its errors."""

    checkpoint: str
    """The path of the checkpoint; for a predictor, its `repr`."""
    source: str
    """The path of the source or, if it holds several clips, the name of the clip."""
    metric: bool
    """Whether the trajectory is in metres."""
    scale_source: str
    """The origin of the scale, such as "velocity (speed)"."""
    scale: str
    """The scale in words, with the lengths that it was compared with."""
    frames: int
    """The number of frames."""
    posed: int
    """The number of frames with a measured pose."""
    distance: float
    """The length of the predicted trajectory, in metres if `metric`, otherwise up to a factor."""
    measured: float | None
    """The measured length in metres, by poses or else by speeds; None if frames lack both."""
    errors: OdometryErrors | None
    """The errors; None if at least one frame has no measured pose."""
    times: Sequence[float] = field(repr=False)
    """The times of the frames, seconds."""
    poses: np.ndarray = field(repr=False)
    """The predicted trajectory, T_first_current [N, 4, 4] float64."""

    def to_json(self) -> dict[str, Any]:
        """Return the report without the trajectory, for JSON. Errors that a short trajectory does not have are NaN."""
        return {name: value for name, value in asdict(self).items() if name not in ("times", "poses")}

    @property
    def stands(self) -> bool:
        """Whether the camera stands by what was measured, so that nothing can be said relative to its path."""
        by_poses = self.errors is not None and isnan(self.errors.drift)
        return by_poses or (self.measured is not None and self.measured < MIN_PATH)

    def length(self) -> str:
        """Return the length of the trajectory beside the measured one, one clause."""
        length = f"length {self.distance:.2f} {'m' if self.metric else 'units'}"
        if self.measured is None:
            return length
        share = f" ({self.distance / self.measured:.0%})" if self.metric and not self.stands else ""
        return f"{length}, measured {self.measured:.2f} m{share}"

    def text(self) -> str:
        """Return the report without the trajectory, as text."""
        lines = [
            f"{counted(self.frames, 'frame')} of {self.source}",
            f"checkpoint {self.checkpoint}: the trajectory is {self.scale}",
            self.length(),
        ]
        if self.errors is None:
            return "\n".join([*lines, f"{lack_of_poses(self.posed, self.frames)}, so no errors"])
        if self.stands:
            lines.append("the camera stands by its poses, so no errors that are scaled or relative to its path")
        values = asdict(self.errors)
        rows = (f"{name:<24}{values[name]:>12.4f}  {meaning}" for name, meaning in MEANINGS.items())
        return "\n".join([*lines, "", *rows])
