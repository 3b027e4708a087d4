"""Errors of trajectories: pure functions of poses T_world_camera [N, 4, 4] (float64, metres).

Predicted and true poses belong to the same N frames, in the same order. The two world frames may differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from packdepth.errors import InputError, check_choice
from packdepth.geometry.poses import from_first

Alignment = Literal["se3", "sim3"]
"""Alignments of predicted positions: by the best rigid motion, or by the best similarity."""
SNIPPET = 5  # frames in a snippet (Zhou et al., CVPR 2017)
LENGTHS = (100, 200, 300, 400, 500, 600, 700, 800)  # metres, lengths of segments in KITTI's development kit
SEGMENT_STEP = 10  # frames between the starts of segments in KITTI's development kit
MIN_PATH = 0.1  # metres away from the start: a camera that stays nearer stands, and its path is noise; chosen
STRETCH = 50.0  # metres; scale drift compares the scale of stretches of this length. Half of KITTI's shortest segment.


def stretched(poses: np.ndarray, scale: float) -> np.ndarray:
    """Return a trajectory with all translations multiplied by a factor, [N, 4, 4].

    Args:
        poses: T_world_camera [N, 4, 4].
        scale: the factor.
    """
    result = poses.copy()
    result[:, :3, 3] *= scale
    return result


def distances(poses: np.ndarray) -> np.ndarray:
    """Return the distances traveled from the first frame to each frame, [N] metres.

    Args:
        poses: T_world_camera [N, 4, 4], metres.
    """
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def stands(poses: np.ndarray) -> bool:
    """Return whether a camera stands by its measured poses. Errors relative to its path are NaN then.

    Args:
        poses: T_world_camera [N, 4, 4], metres.
    """
    return bool(np.linalg.norm(poses[:, :3, 3] - poses[0, :3, 3], axis=1).max() < MIN_PATH)


# --- absolute trajectory error ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Similarity:
    """A similarity transform of points."""

    rotation: np.ndarray  # [3, 3]
    translation: np.ndarray  # [3] metres
    scale: float  # factor that multiplies the points; it has no unit

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return transformed points.

        Args:
            points: [N, 3] metres.
        """
        return np.asarray(self.scale * points @ self.rotation.T + self.translation)


def umeyama(source: np.ndarray, target: np.ndarray, with_scale: bool) -> Similarity:
    """Return the transform of points that is nearest to other points in least squares (Umeyama, PAMI 1991, eq. 40-43).

    Args:
        source: the points to transform, [N, 3].
        target: the points to reach, [N, 3].
        with_scale: whether the transform has a scale. Otherwise, or if all points coincide, its scale is 1.
    """
    from_mean, to_mean = source - source.mean(0), target - target.mean(0)
    U, singular, Vt = np.linalg.svd(to_mean.T @ from_mean / len(source))
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(U) * np.linalg.det(Vt))])
    rotation = U @ np.diag(signs) @ Vt
    variance = np.square(from_mean).sum(1).mean()
    scale = float(singular @ signs / variance) if with_scale and variance > 0 else 1.0
    return Similarity(rotation, target.mean(0) - scale * rotation @ source.mean(0), scale)


def ate(predicted: np.ndarray, true: np.ndarray, alignment: Alignment) -> float:
    """Return the absolute trajectory error: RMSE of all positions after alignment, metres (Sturm et al., IROS 2012).

    Args:
        predicted: T_world_camera [N, 4, 4].
        true: T_world_camera [N, 4, 4], metres.
        alignment: "se3" aligns by the best rigid motion, "sim3" by the best similarity.

    Raises InputError for another alignment.
    """
    check_choice("alignment", alignment, get_args(Alignment))
    source, target = predicted[:, :3, 3], true[:, :3, 3]
    moved = umeyama(source, target, with_scale=alignment == "sim3")(source)
    return float(np.sqrt(np.square(moved - target).sum(1).mean()))


def snippet_ate(predicted: np.ndarray, true: np.ndarray, scaled: bool, length: int = SNIPPET) -> np.ndarray:
    """Return the absolute trajectory error of each snippet, [N - length + 1] metres.

    Both trajectories of a snippet begin at its first pose. The error is the root of the summed squares divided by the
    number of frames, not by its root, as in the code of SfMLearner (Zhou et al., CVPR 2017) and in the tables since.

    Args:
        predicted: T_world_camera [N, 4, 4].
        true: T_world_camera [N, 4, 4], metres.
        scaled: whether the predicted positions of each snippet are multiplied by the least-squares factor.
        length: the number of frames in a snippet.
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
    """Return the errors of the motion between pairs of frames, [M, 2]: metres and radians.

    Args:
        predicted: T_world_camera [N, 4, 4].
        true: T_world_camera [N, 4, 4], metres.
        first: the index of the first frame of each pair, [M].
        last: the index of the last frame of each pair, [M].
    """
    p, t = (np.linalg.inv(poses[first]) @ poses[last] for poses in (predicted, true))
    error = np.linalg.inv(p) @ t
    cosine = (np.trace(error[:, :3, :3], axis1=1, axis2=2) - 1) / 2
    return np.stack([np.linalg.norm(error[:, :3, 3], axis=1), np.arccos(cosine.clip(-1, 1))], axis=1)


def rpe(predicted: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Return the relative pose error from frame to frame: RMSE in metres and in degrees (Sturm et al., IROS 2012).

    Args:
        predicted: T_world_camera [N, 4, 4].
        true: T_world_camera [N, 4, 4], metres.
    """
    frames = np.arange(len(true))
    metres, radians = np.sqrt(np.square(relative_errors(predicted, true, frames[:-1], frames[1:])).mean(0))
    return float(metres), float(np.degrees(radians))


@dataclass(frozen=True)
class SegmentErrors:
    """The errors of KITTI's benchmark over segments of 100 to 800 metres; NaN without such a segment or motion."""

    t_rel: float
    """The mean error of a segment's end, per cent of its length."""
    r_rel: float
    """The mean error of a segment's rotation, degrees per 100 metres."""
    segments: int
    """The number of segments."""


def segment_errors(predicted: np.ndarray, true: np.ndarray) -> SegmentErrors:
    """Return the errors of the KITTI odometry benchmark (Geiger et al., CVPR 2012), as its development kit does.

    Segments start at every tenth frame and end at the first frame that is farther than their length along the true
    path. The mean is over all segments of all lengths.

    Args:
        predicted: T_world_camera [N, 4, 4].
        true: T_world_camera [N, 4, 4], metres.
    """
    traveled = distances(true)
    starts = np.arange(0, len(true), SEGMENT_STEP)
    first, length = (grid.ravel() for grid in np.meshgrid(starts, LENGTHS, indexing="ij"))
    last = np.searchsorted(traveled, traveled[first] + length, side="right")
    whole = last < len(true)
    if not whole.any() or stands(true):
        return SegmentErrors(t_rel=np.nan, r_rel=np.nan, segments=0)
    errors = relative_errors(predicted, true, first[whole], last[whole]) / length[whole][:, None]
    metres, radians = errors.mean(0)
    return SegmentErrors(100 * float(metres), 100 * float(np.degrees(radians)), int(whole.sum()))


# --- drift ------------------------------------------------------------------------------------------------------


def drift(predicted: np.ndarray, true: np.ndarray) -> float:
    """Return the error of the last position, per cent of the distance traveled. It is NaN if the camera stands.

    Args:
        predicted: T_world_camera [N, 4, 4]; it is moved so that it begins at the first true pose.
        true: T_world_camera [N, 4, 4], metres.
    """
    if stands(true):
        return np.nan
    off = np.linalg.norm(from_first(predicted)[-1, :3, 3] - from_first(true)[-1, :3, 3])
    return float(100 * off / distances(true)[-1])


def scale_drift(predicted: np.ndarray, true: np.ndarray) -> float:
    """Return how much the scale varies along the path, per cent. A constant scale gives 0, whatever its value.

    The ratio of predicted to true length is computed for stretches of 50 metres. The result is its standard deviation
    in per cent of its mean, and NaN for less than two stretches and if the camera stands.

    Args:
        predicted: T_world_camera [N, 4, 4].
        true: T_world_camera [N, 4, 4], metres.
    """
    traveled, steps = distances(true), distances(predicted)
    ends = np.searchsorted(traveled, STRETCH * np.arange(int(traveled[-1] // STRETCH) + 1))
    if len(ends) < 3 or stands(true):
        return np.nan
    ratios = np.diff(steps[ends]) / np.diff(traveled[ends])
    return float(100 * ratios.std() / ratios.mean()) if ratios.mean() > 0 else np.nan


# --- all errors -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OdometryErrors:
    """All errors of one trajectory. Errors are NaN if the trajectory is too short for them.

    If the camera stands by its measured poses, `scale` and all errors that are scaled or relative to the path are NaN.
    """

    frames: int
    """The number of frames."""
    distance: float
    """The measured distance traveled, metres."""
    scale: float
    """The scale of the best similarity from predicted to true positions."""
    ate: float
    """Absolute trajectory error after the best rigid motion, metres."""
    ate_scaled: float
    """Absolute trajectory error after the best similarity, metres."""
    snippet_ate: float
    """Mean absolute trajectory error of snippets of five frames, not scaled, metres."""
    snippet_ate_std: float
    """Standard deviation of that error over snippets, metres."""
    snippet_ate_scaled: float
    """Mean absolute trajectory error of snippets, each scaled, metres: the number in the literature's tables."""
    snippet_ate_scaled_std: float
    """Standard deviation of that error over snippets, metres."""
    rpe_translation: float
    """Relative pose error from frame to frame, metres."""
    rpe_rotation: float
    """Relative pose error from frame to frame, degrees."""
    t_rel: float
    """Error over segments of 100 to 800 m, per cent of their length."""
    r_rel: float
    """Error over segments of 100 to 800 m, degrees per 100 m."""
    t_rel_scaled: float
    """The error t_rel of the trajectory multiplied by `scale`, per cent."""
    segments: int
    """The number of segments."""
    drift: float
    """Error of the last position, per cent of the distance."""
    scale_drift: float
    """Variation of the scale along the path, per cent."""


def checked_poses(name: str, poses: np.ndarray) -> np.ndarray:
    """Return the poses of a trajectory as float64, after checking their shape and that they are finite.

    Args:
        name: what the poses are, for the message.
        poses: T_world_camera [N, 4, 4].

    Raises InputError for another shape, for less than two poses, and for poses that hold NaN or infinity.

    >>> checked_poses("true", np.eye(4))
    Traceback (most recent call last):
    packdepth.errors.InputError: true poses are T_world_camera [N, 4, 4] of two or more frames; found [4, 4]
    """
    poses = np.asarray(poses, dtype=np.float64)
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or len(poses) < 2:
        found = list(poses.shape)
        advice = "; append the row 0 0 0 1 to each pose" if found[1:] == [3, 4] else ""
        raise InputError(f"{name} poses are T_world_camera [N, 4, 4] of two or more frames; found {found}{advice}")
    if not np.isfinite(poses).all():
        first = np.flatnonzero(~np.isfinite(poses).all(axis=(1, 2)))[0]
        raise InputError(f"{name} poses hold NaN or infinity, first at index {first}; leave out these frames")
    return poses


def odometry_errors(predicted: np.ndarray, true: np.ndarray) -> OdometryErrors:
    """Return all errors of a trajectory.

    >>> true = np.tile(np.eye(4), (6, 1, 1))
    >>> true[:, 2, 3] = np.arange(6)  # one metre ahead per frame
    >>> odometry_errors(stretched(true, 2.0), true).scale
    0.5

    Args:
        predicted: T_world_camera [N, 4, 4], N >= 2.
        true: T_world_camera [N, 4, 4], metres.

    Raises InputError for other shapes, for poses that are not finite, and if the numbers of poses differ.
    """
    predicted, true = checked_poses("predicted", predicted), checked_poses("true", true)
    if len(predicted) != len(true):
        raise InputError(
            f"{len(predicted)} predicted poses come with {len(true)} true ones; give one of both for each frame"
        )
    standing = stands(true)
    scale = np.nan if standing else umeyama(predicted[:, :3, 3], true[:, :3, 3], with_scale=True).scale
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
        ate_scaled=np.nan if standing else ate(predicted, true, "sim3"),
        snippet_ate=mean,
        snippet_ate_std=std,
        snippet_ate_scaled=np.nan if standing else mean_scaled,
        snippet_ate_scaled_std=np.nan if standing else std_scaled,
        rpe_translation=translation,
        rpe_rotation=rotation,
        t_rel=segments.t_rel,
        r_rel=segments.r_rel,
        t_rel_scaled=segment_errors(stretched(from_first(predicted), scale), true).t_rel,
        segments=segments.segments,
        drift=drift(predicted, true),
        scale_drift=scale_drift(predicted, true),
    )
