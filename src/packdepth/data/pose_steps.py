"""Steps of measured poses that no motion makes: faster than a vehicle, or none while the image moves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from packdepth.data.agreement import IMPOSSIBLE_SPEED
from packdepth.data.disagreement import Disagreement, evenly_spread, moving_flow
from packdepth.data.targets import gaps
from packdepth.records import Clip

SOME_REPEATED = 0.1  # share of the steps: fewer are drops of a tracker, and change little
CHECKED = 6  # repeated poses whose images are looked at, evenly spread
SURELY = 0.5  # share of these between which the image moves: a robot that stands has repeated poses, too


def pace_fault(clip: Clip) -> Disagreement | None:
    """Return that the poses of a clip are faster than any road vehicle, so that they are in another unit; else None.

    Args:
        clip: the clip.
    """
    steps = pose_steps(clip)
    lengths = [np.linalg.norm(pose_of(clip, i + 1)[:3, 3] - pose_of(clip, i)[:3, 3]) for i in steps]
    times = [clip.frames[i + 1].time - clip.frames[i].time for i in steps]
    usual = float(np.median(np.array(lengths) / np.array(times))) if steps else 0.0
    if usual <= IMPOSSIBLE_SPEED:
        return None
    return Disagreement(
        "poses",
        f"its poses move at {usual:.4g} m/s, and no road vehicle is this fast",
        "Write positions in metres, not in centimetres or millimetres, and times in seconds.",
    )


def repeated_fault(clip: Clip) -> Disagreement | None:
    """Return that poses of a clip repeat the ones before while the image moves; None if they do not.

    A tracker that is slower than the camera, or has not started, leaves such poses behind.

    Args:
        clip: the clip. Raises InputError for an image that cannot be read.
    """
    steps = pose_steps(clip)
    repeated = [i for i in steps if np.array_equal(pose_of(clip, i), pose_of(clip, i + 1))]
    if not repeated or len(repeated) <= SOME_REPEATED * len(steps):
        return None
    moving = [moving_flow(clip, index) is not None for index in evenly_spread(repeated, CHECKED)]
    if np.mean(moving) < SURELY:
        return None
    names = clip.frames[repeated[0]].name, clip.frames[repeated[0] + 1].name
    return Disagreement(
        "poses",
        f"{len(repeated)} of its {len(steps)} poses repeat the one before although the image moves, such as those of "
        f"{names[0]} and {names[1]}",
        "Interpolate poses of a slower sensor to the times of the frames, or leave repeated ones empty.",
    )


def pose_steps(clip: Clip) -> list[int]:
    """Return the indices of the frames that have a pose and a next frame with one, without a gap between them.

    Args:
        clip: the clip.
    """
    if clip.independent:
        return []
    posed = [frame.pose is not None and later.pose is not None for frame, later in pairwise(clip.frames)]
    return np.flatnonzero(~gaps(clip) & np.array(posed, dtype=bool)).tolist()


def pose_of(clip: Clip, index: int) -> np.ndarray:
    """Return the pose [4, 4] of a frame that has one.

    Args:
        clip: the clip.
        index: index of the frame.
    """
    pose = clip.frames[index].pose
    assert pose is not None
    return pose
