"""Trajectories of a camera: pure functions of poses T_world_camera [N, 4, 4] (float64)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def chained(motions: Iterable[np.ndarray]) -> np.ndarray:
    """Return the poses T_first_current [N + 1, 4, 4] that result from motions between consecutive frames.

    >>> step = np.eye(4)
    >>> step[2, 3] = -1.5  # points come 1.5 metres nearer with each frame
    >>> chained([step, step])[:, 2, 3].tolist()
    [0.0, 1.5, 3.0]

    Args:
        motions: N motions T_next_current, each [4, 4].
    """
    poses = [np.eye(4)]
    for T_next_current in motions:
        poses.append(poses[-1] @ np.linalg.inv(T_next_current))
    return np.stack(poses)


def from_first(poses: np.ndarray) -> np.ndarray:
    """Return a trajectory relative to its first camera: T_first_current [N, 4, 4].

    Args:
        poses: T_world_camera [N, 4, 4].
    """
    return np.asarray(np.linalg.inv(poses[0]) @ poses)
