"""Trajectories of a camera: pure functions of poses T_world_camera [N, 4, 4] (float64)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, repeat

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


def between_neighbors(motions: Iterable[np.ndarray], step: int, broken: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the N - 1 motions between neighboring frames, by motions between frames that are `step` apart.

    Each motion over `step` frames is divided into `step` equal motions; the motion between two neighbors is the mean of
    those of all pairs of frames around them. This is exact for a constant motion.

    >>> two_frames = np.eye(4)
    >>> two_frames[2, 3] = -3.0
    >>> [T[2, 3].item() for T in between_neighbors([two_frames, two_frames], 2, np.zeros(3, dtype=bool))]
    [-1.5, -1.5, -1.5]

    Args:
        motions: N - step motions, each [4, 4]: from each frame to the one that is `step` frames later. Their rotations
            are less than half a turn.
        step: number of frames.
        broken: whether nobody has seen the motion between two neighbors, [N - 1] bool. A pair of frames around such a
            place counts only for neighbors without any other pair around them.
    """
    seen = (not broken[first : first + step].any() for first in range(len(broken)))
    parts = ((_part(T, step), is_seen) for T, is_seen in zip(motions, seen, strict=False))
    around: deque[tuple[np.ndarray, bool] | None] = deque(maxlen=step)  # the pairs around the neighbors, if there
    for part in chain(parts, repeat(None, step - 1)):
        around.append(part)
        pairs = [pair for pair in around if pair is not None]
        yield _from_vector(np.mean([vector for vector, is_seen in pairs if is_seen] or [pairs[0][0]], axis=0))


def _part(T: np.ndarray, count: int) -> np.ndarray:
    """Return the motion that makes up a motion when it is repeated `count` times, as translation and rotation vector.

    All of them are turns about the same axis (a screw motion).
    """
    R = T[:3, :3].astype(np.float64)
    sine = np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]]) / 2  # times the axis
    length = np.linalg.norm(sine)
    angle = np.arctan2(length, (np.trace(R) - 1) / 2)
    rotation = sine * (angle / length if length > 0 else 1.0) / count
    turn = _from_vector(np.concatenate([np.zeros(3), rotation]))[:3, :3]
    turns = sum(np.linalg.matrix_power(turn, index) for index in range(count))  # of `count` translations, in the end
    return np.concatenate([np.linalg.solve(turns, T[:3, 3]), rotation])


def _from_vector(vector: np.ndarray) -> np.ndarray:
    """Return the motion [4, 4] of a translation and a rotation vector, as `se3.from_vector` does in torch."""
    x, y, z = vector[3:]
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    share = np.linalg.norm(vector[3:]) / np.pi  # of half a turn
    T = np.eye(4)
    T[:3, :3] += np.sinc(share) * skew + np.sinc(share / 2) ** 2 / 2 * skew @ skew  # Rodrigues
    T[:3, 3] = vector[:3]
    return T


def from_first(poses: np.ndarray) -> np.ndarray:
    """Return a trajectory relative to its first camera: T_first_current [N, 4, 4].

    Args:
        poses: T_world_camera [N, 4, 4].
    """
    return np.asarray(np.linalg.inv(poses[0]) @ poses)
