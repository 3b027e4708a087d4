"""Trajectories against measured ones: pure functions of poses T_world_camera [N, 4, 4] (float64, metres).

Predicted and true poses belong to the same N frames, in order; their worlds may differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

SNIPPET = 5  # frames
LENGTHS = (100, 200, 300, 400, 500, 600, 700, 800)  # metres of KITTI's segments
SEGMENT_STEP = 10  # frames between the starts of KITTI's segments
STRETCH = 50.0  # metres, over which the scale is looked at


def chained(motions: Iterable[np.ndarray]) -> np.ndarray:
    """Poses T_first_current [N + 1, 4, 4] of N motions T_next_current between consecutive frames."""
    poses = [np.eye(4)]
    for T_next_current in motions:
        poses.append(poses[-1] @ np.linalg.inv(T_next_current))
    return np.stack(poses)


def from_first(poses: np.ndarray) -> np.ndarray:
    """The same trajectory in the frame of its first camera: T_first_current [N, 4, 4]."""
    return np.asarray(np.linalg.inv(poses[0]) @ poses)


def stretched(poses: np.ndarray, scale: float) -> np.ndarray:
    """The trajectory with all its translations times a factor."""
    result = poses.copy()
    result[:, :3, 3] *= scale
    return result


def distances(poses: np.ndarray) -> np.ndarray:
    """Metres traveled from the first frame to each, [N]."""
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


# --- absolute trajectory error ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Similarity:
    """A rotation [3, 3], a translation [3] (metres) and a scale."""

    rotation: np.ndarray
    translation: np.ndarray
    scale: float

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Points [N, 3], moved."""
        return np.asarray(self.scale * points @ self.rotation.T + self.translation)


def umeyama(source: np.ndarray, target: np.ndarray, with_scale: bool) -> Similarity:
    """The motion of points [N, 3] that brings them nearest to others in least squares (Umeyama, PAMI 1991, eq. 40-43).

    The scale is 1 if none is asked for, or if the points are one and the same.
    """
    from_mean, to_mean = source - source.mean(0), target - target.mean(0)
    U, singular, Vt = np.linalg.svd(to_mean.T @ from_mean / len(source))
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(U) * np.linalg.det(Vt))])
    rotation = U @ np.diag(signs) @ Vt
    variance = np.square(from_mean).sum(1).mean()
    scale = float(singular @ signs / variance) if with_scale and variance > 0 else 1.0
    return Similarity(rotation, target.mean(0) - scale * rotation @ source.mean(0), scale)


def ate(predicted: np.ndarray, true: np.ndarray, alignment: Literal["se3", "sim3"]) -> float:
    """Absolute trajectory error: RMSE of the positions in metres, after the best rigid motion, or similarity.

    Source: Sturm et al., IROS 2012.
    """
    source, target = predicted[:, :3, 3], true[:, :3, 3]
    moved = umeyama(source, target, with_scale=alignment == "sim3")(source)
    return float(np.sqrt(np.square(moved - target).sum(1).mean()))


def snippet_ate(predicted: np.ndarray, true: np.ndarray, scaled: bool, length: int = SNIPPET) -> np.ndarray:
    """Absolute trajectory error of each snippet of `length` frames, [N - length + 1] metres.

    Both sides of a snippet begin at its first pose; `scaled` multiplies the predicted one by the factor of least
    squares. The error is the root of the summed squares over the number of frames, not over its root: so in the code
    of SfMLearner (Zhou et al., CVPR 2017), and so in the tables since.
    """
    errors = []
    for start in range(len(true) - length + 1):
        p, t = (from_first(poses[start : start + length])[:, :3, 3] for poses in (predicted, true))
        power = np.square(p).sum()
        scale = (p * t).sum() / power if scaled and power > 0 else 1.0
        errors.append(np.linalg.norm(scale * p - t) / length)
    return np.array(errors)


# --- relative errors --------------------------------------------------------------------------------------------


def relative_errors(predicted: np.ndarray, true: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """How far the motion between pairs of frames [M] is off: [M, 2] metres and radians."""
    p, t = (np.linalg.inv(poses[first]) @ poses[last] for poses in (predicted, true))
    error = np.linalg.inv(p) @ t
    cosine = (np.trace(error[:, :3, :3], axis1=1, axis2=2) - 1) / 2
    return np.stack([np.linalg.norm(error[:, :3, 3], axis=1), np.arccos(cosine.clip(-1, 1))], axis=1)


def rpe(predicted: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Relative pose error from frame to frame: RMSE in metres and in degrees. Source: Sturm et al., IROS 2012."""
    frames = np.arange(len(true))
    metres, radians = np.sqrt(np.square(relative_errors(predicted, true, frames[:-1], frames[1:])).mean(0))
    return float(metres), float(np.degrees(radians))


@dataclass(frozen=True)
class SegmentErrors:
    """KITTI's errors over segments of 100 to 800 metres; NaN where no segment is that long."""

    t_rel: float
    """Metres that the end of a segment is off, as a percentage of its length."""
    r_rel: float
    """Degrees that it is turned, for 100 metres."""
    segments: int
    """How many there are."""


def segment_errors(predicted: np.ndarray, true: np.ndarray) -> SegmentErrors:
    """The errors of the KITTI odometry benchmark (Geiger et al., CVPR 2012), as its development kit computes them.

    Segments start at every tenth frame and end at the first frame that is farther than their length along the true
    path. The mean is over all segments of all lengths.
    """
    traveled = distances(true)
    starts = np.arange(0, len(true), SEGMENT_STEP)
    first, length = (grid.ravel() for grid in np.meshgrid(starts, LENGTHS, indexing="ij"))
    last = np.searchsorted(traveled, traveled[first] + length, side="right")
    whole = last < len(true)
    if not whole.any():
        return SegmentErrors(t_rel=np.nan, r_rel=np.nan, segments=0)
    errors = relative_errors(predicted, true, first[whole], last[whole]) / length[whole][:, None]
    metres, radians = errors.mean(0)
    return SegmentErrors(100 * float(metres), 100 * float(np.degrees(radians)), int(whole.sum()))


# --- drift ------------------------------------------------------------------------------------------------------


def drift(predicted: np.ndarray, true: np.ndarray) -> float:
    """How far the end is off when both begin at one pose, as a percentage of the distance; NaN without motion."""
    off = np.linalg.norm(from_first(predicted)[-1, :3, 3] - from_first(true)[-1, :3, 3])
    traveled = distances(true)[-1]
    return float(100 * off / traveled) if traveled > 0 else np.nan


def scale_drift(predicted: np.ndarray, true: np.ndarray) -> float:
    """How much the scale changes along the way, per cent: 0 if it is held, whatever it is.

    The standard deviation, over stretches of 50 metres, of the predicted length over the true one, as a percentage of
    its mean. NaN for less than two stretches.
    """
    traveled, steps = distances(true), distances(predicted)
    ends = np.searchsorted(traveled, STRETCH * np.arange(int(traveled[-1] // STRETCH) + 1))
    if len(ends) < 3:
        return np.nan
    ratios = np.diff(steps[ends]) / np.diff(traveled[ends])
    return float(100 * ratios.std() / ratios.mean()) if ratios.mean() > 0 else np.nan


# --- everything -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OdometryErrors:
    """All errors of one trajectory. Those of lengths are in metres and NaN where the trajectory is too short."""

    frames: int
    distance: float
    """Metres traveled in truth."""
    scale: float
    """The factor of the best similarity, from predicted to true."""
    ate: float
    """After the best rigid motion."""
    ate_scaled: float
    """After the best similarity."""
    snippet_ate: float
    """Mean over snippets of five frames, not scaled."""
    snippet_ate_std: float
    snippet_ate_scaled: float
    """The same, each snippet scaled: the number of the tables."""
    snippet_ate_scaled_std: float
    rpe_translation: float
    """From frame to frame, metres."""
    rpe_rotation: float
    """From frame to frame, degrees."""
    t_rel: float
    """Per cent, over segments of 100 to 800 m."""
    r_rel: float
    """Degrees for 100 m."""
    t_rel_scaled: float
    """As t_rel, of the trajectory times `scale`."""
    segments: int
    drift: float
    """Per cent of the distance that the end is off."""
    scale_drift: float
    """Per cent by which the scale varies along the way."""


def odometry_errors(predicted: np.ndarray, true: np.ndarray) -> OdometryErrors:
    """All errors of predicted poses against true ones, both T_world_camera [N, 4, 4], N >= 2."""
    scale = umeyama(predicted[:, :3, 3], true[:, :3, 3], with_scale=True).scale
    snippets = [snippet_ate(predicted, true, scaled) for scaled in (False, True)]
    (mean, std), (mean_scaled, std_scaled) = (
        (float(errors.mean()), float(errors.std())) if len(errors) else (np.nan, np.nan) for errors in snippets
    )
    segments = segment_errors(predicted, true)
    translation, rotation = rpe(predicted, true)
    return OdometryErrors(
        frames=len(true),
        distance=float(distances(true)[-1]),
        scale=scale,
        ate=ate(predicted, true, "se3"),
        ate_scaled=ate(predicted, true, "sim3"),
        snippet_ate=mean,
        snippet_ate_std=std,
        snippet_ate_scaled=mean_scaled,
        snippet_ate_scaled_std=std_scaled,
        rpe_translation=translation,
        rpe_rotation=rotation,
        t_rel=segments.t_rel,
        r_rel=segments.r_rel,
        t_rel_scaled=segment_errors(stretched(from_first(predicted), scale), true).t_rel,
        segments=segments.segments,
        drift=drift(predicted, true),
        scale_drift=scale_drift(predicted, true),
    )
