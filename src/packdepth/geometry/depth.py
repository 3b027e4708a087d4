"""Conversions between inverse depth, depth and points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera

if TYPE_CHECKING:
    from torch import Tensor

MIN_INV_DEPTH = 1e-6
"""1/metres: it keeps depth finite (at most 1000 km) where the output of a network underflows to zero."""


def depth_from_inverse(inv_depth: Tensor) -> Tensor:
    """Return the depth of an inverse depth that is clamped to `MIN_INV_DEPTH` from below.

    Args:
        inv_depth: inverse depth of any shape, in 1/metres.

    Returns:
        Depth of the same shape, in metres, at most 1 / `MIN_INV_DEPTH`.

    >>> import torch
    >>> depth_from_inverse(torch.tensor([0.5, 0.0]))
    tensor([2.0000e+00, 1.0000e+06])
    """
    return 1 / inv_depth.clamp(min=MIN_INV_DEPTH)


def points_from_depth(depth: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of all pixels that have a depth, row by row.

    Args:
        depth: z-depth [H, W]; pixels that are not finite or not positive have none.
        camera: the camera of the depth map, of its size.

    Returns:
        Points [N, 3] in the camera's frame (x right, y down, z forward) in the unit of `depth`, and the mask [H, W]
        (bool) of their pixels.

    Raises InputError for depth of another shape or size.

    >>> camera = Camera(fx=1.0, fy=1.0, cx=0.0, cy=0.0, width=2, height=1)
    >>> points, known = points_from_depth(np.array([[0.0, 5.0]], dtype=np.float32), camera)
    >>> points.tolist(), known.tolist()
    ([[5.0, 0.0, 5.0]], [[False, True]])
    """
    if depth.ndim != 2:
        raise InputError(f"a depth map has shape [H, W]; found {list(depth.shape)}; give one map at a time")
    camera.check_size(depth.shape[0], depth.shape[1], "depth map")
    v, u = np.indices(depth.shape, dtype=depth.dtype)
    x, y = (u - camera.cx) / camera.fx * depth, (v - camera.cy) / camera.fy * depth
    points = np.stack([x, y, depth], axis=-1)
    known = np.isfinite(depth) & (depth > 0)
    return points[known], known
