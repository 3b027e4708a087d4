"""Rigid motions as files store them: rotation and translation, or position and quaternion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from packdepth.errors import InputError

RIGID_TOLERANCE = 1e-2  # of the entries of R R^T: far above the rounding of text files; chosen by eye
LENGTH_TOLERANCE = 0.01  # of a quaternion's length 1: two decimals, as files round their numbers


def rigid(rotation: np.ndarray | None = None, translation: np.ndarray | None = None) -> np.ndarray:
    """Return the matrix [4, 4] of a rigid motion.

    Args:
        rotation: [3, 3]; None for no rotation.
        translation: [3]; None for no translation.

    >>> rigid(translation=np.array([1.0, 2.0, 3.0]))[:, 3]
    array([1., 2., 3., 1.])
    """
    T = np.eye(4)
    if rotation is not None:
        T[:3, :3] = rotation
    if translation is not None:
        T[:3, 3] = translation
    return T


def is_rigid(T: np.ndarray) -> bool:
    """Return whether a matrix is a rigid motion: a rotation without reflection, a translation, and 0, 0, 0, 1 below.

    Args:
        T: [4, 4].

    >>> is_rigid(np.eye(4)), is_rigid(np.diag([1.0, 1.0, -1.0, 1.0]))
    (True, False)
    """
    if T.shape != (4, 4) or not np.isfinite(T).all():
        return False
    R = T[:3, :3]
    with np.errstate(over="ignore", invalid="ignore"):
        rotates = np.allclose(R @ R.T, np.eye(3), atol=RIGID_TOLERANCE) and np.linalg.det(R) > 0
    return bool(rotates and np.allclose(T[3], [0, 0, 0, 1]))


def pose(place: Sequence[float], where: str) -> np.ndarray:
    """Return the pose [4, 4] of a position and a quaternion.

    Args:
        place: x, y, z in metres, and a unit quaternion qx, qy, qz, qw.
        where: file and line that the message of an InputError begins with. It is raised for a number that is not
            finite and for a quaternion of another length.

    >>> pose([1, 2, 3, 0, 0, 0, 1], "frames.csv: line 2")[:3, 3]
    array([1., 2., 3.])
    """
    if not np.isfinite(place).all():
        raise InputError(f"{where}: its pose holds a number that is not finite; write one, or leave the pose out")
    quaternion = np.array(place[3:])
    length = np.linalg.norm(quaternion)
    if not 1 - LENGTH_TOLERANCE < length < 1 + LENGTH_TOLERANCE:
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


def scalar_first(T: np.ndarray) -> np.ndarray:
    """Return the pose that is meant if the quaternion of a pose was written qw, qx, qy, qz and read qx, qy, qz, qw.

    Args:
        T: [4, 4] pose as it was read.

    >>> bool(np.allclose(scalar_first(pose([1, 2, 3, 1, 0, 0, 0], "")), pose([1, 2, 3, 0, 0, 0, 1], "")))
    True
    """
    return pose([*T[:3, 3], *np.roll(quaternion(T[:3, :3]), -1)], "")


def quaternion(R: np.ndarray) -> np.ndarray:
    """Return the unit quaternion qx, qy, qz, qw of a rotation, with qw >= 0.

    It is the eigenvector of the largest eigenvalue of Bar-Itzhack's matrix (Bar-Itzhack, 2000).

    Args:
        R: [3, 3] rotation matrix.

    >>> quaternion(np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))[2:].round(4)
    array([0.7071, 0.7071])
    """
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
