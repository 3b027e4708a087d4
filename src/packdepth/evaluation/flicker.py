"""Flicker: how much depth of the same points of the scene changes from frame to frame for no reason."""

from __future__ import annotations

import numpy as np

from packdepth.data.optical_flow import sampled
from packdepth.geometry.camera import Camera
from packdepth.geometry.pinhole import projected

SEEN_AGAIN = 0.05  # difference of log depth from the ground truth of the other frame: more means that a point is hidden


def flicker(
    inv_depth: np.ndarray,
    points: np.ndarray,
    other: np.ndarray,
    T_other_current: np.ndarray,
    camera: Camera,
    other_truth: np.ndarray | None = None,
) -> float:
    """Return the flicker of a frame: the median change of the error of log depth, over static points of the scene.

    The error of a point is the logarithm of predicted over true depth. Whatever is wrong in the same way in both
    frames, such as the scale, is no flicker.

    Args:
        inv_depth: predicted inverse depth of the frame, [H, W].
        points: points [N, 3] of its ground truth, in the camera frame, in any unit that the poses have.
        other: predicted inverse depth of the frame before, [H, W].
        T_other_current: motion [4, 4] of points from the frame to the one before.
        camera: the camera of both.
        other_truth: ground truth of the depth of the frame before, [H, W], 0 where unknown; with it, points that are
            hidden there, or that move, are left out.

    Returns:
        The median; 0.02 means that depth changes by 2 % from frame to frame. NaN if no point is seen in both frames.

    >>> camera = Camera.from_fov(90, width=4, height=4)
    >>> points = np.array([[0.1, 0.2, 4.0], [-0.3, 0.1, 5.0]])
    >>> near, far = np.full((4, 4), 0.22), np.full((4, 4), 0.2)
    >>> round(flicker(near, points, far, np.eye(4), camera), 4)  # log of 0.22 / 0.2
    0.0953
    """
    moved = points @ T_other_current[:3, :3].T + T_other_current[:3, 3]
    (places, inside), (before, inside_before) = projected(points, camera), projected(moved, camera)
    seen = inside & inside_before
    if other_truth is not None and seen.any():
        columns, rows = before[seen].round().astype(int).T
        with np.errstate(divide="ignore"):
            difference = np.log(other_truth[rows, columns] / moved[seen, 2])
        seen[np.flatnonzero(seen)[np.abs(difference) >= SEEN_AGAIN]] = False
    if not seen.any():
        return float("nan")
    error = np.log(sampled(inv_depth, places[seen]) * points[seen, 2])
    error_before = np.log(sampled(other, before[seen]) * moved[seen, 2])
    return float(np.median(np.abs(error - error_before)))
