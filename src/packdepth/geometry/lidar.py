"""Depth maps of LiDAR scans."""

from __future__ import annotations

import torch
from torch import Tensor

from packdepth.geometry.camera import MIN_DEPTH, Camera


def depth_map(points: Tensor, camera: Camera, min_depth: float = MIN_DEPTH) -> Tensor:
    """Return the sparse depth map of a scan. Where several returns fall on one pixel, the nearest is kept.

    Args:
        points: points [N, 3] in the camera frame, in metres.
        camera: one camera (floats); the map has its size.
        min_depth: metres. Returns that are not farther than this, or behind the camera, are left out.

    Returns:
        z-depth [1, H, W] in metres, 0 where there is no return.

    >>> camera = Camera(fx=1.0, fy=1.0, cx=0.0, cy=0.0, width=2, height=1)
    >>> depth_map(torch.tensor([[0.0, 0.0, 5.0], [0.0, 0.0, 3.0]]), camera)
    tensor([[[3., 0.]]])
    """
    pixels, z = camera.project(points.T[None], min_depth=min_depth)
    u, v = pixels[0].round().long()
    z = z[0, 0]
    visible = (z > min_depth) & (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    flat = torch.full((camera.height * camera.width,), torch.inf, dtype=points.dtype, device=points.device)
    flat.scatter_reduce_(0, v[visible] * camera.width + u[visible], z[visible], reduce="amin")
    return torch.where(flat.isinf(), 0, flat).view(1, camera.height, camera.width)
