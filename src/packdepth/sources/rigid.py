"""Rigid motions as files write them: a rotation and a translation, or a place and a quaternion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from packdepth.errors import InputError


def rigid(rotation: np.ndarray | None = None, translation: np.ndarray | None = None) -> np.ndarray:
    """The motion [4, 4] of a rotation [3, 3] and a translation [3]; what is left out is none."""
    T = np.eye(4)
    if rotation is not None:
        T[:3, :3] = rotation
    if translation is not None:
        T[:3, 3] = translation
    return T


def pose(place: Sequence[float], where: str) -> np.ndarray:
    """T_world_camera [4, 4] of x, y, z in metres and a unit quaternion qx, qy, qz, qw.

    Raises InputError, beginning with `where`, for a number that is not finite and a quaternion of another length.
    """
    if not np.isfinite(place).all():
        raise InputError(f"{where}: its pose holds a number that is not finite; write one, or leave the pose out")
    quaternion = np.array(place[3:])
    length = np.linalg.norm(quaternion)
    if not 0.99 < length < 1.01:
        raise InputError(f"{where}: qx, qy, qz, qw have length {length:.4f}; a rotation needs a quaternion of length 1")
    x, y, z, w = quaternion / length
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    return rigid(rotation, np.array(place[:3]))


def quaternion(R: np.ndarray) -> np.ndarray:
    """qx, qy, qz, qw of a rotation [3, 3]: the eigenvector of the largest eigenvalue of Bar-Itzhack's matrix."""
    (a, b, c), (d, e, f), (g, h, i) = R
    K = np.array(
        [
            [a - e - i, b + d, c + g, h - f],
            [b + d, e - a - i, f + h, c - g],
            [c + g, f + h, i - a - e, d - b],
            [h - f, c - g, d - b, a + e + i],
        ]
    )
    q = np.linalg.eigh(K)[1][:, -1]
    return np.asarray(q * (1.0 if q[3] >= 0 else -1.0))
