"""Rotations as files write them."""

from __future__ import annotations

import numpy as np


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
