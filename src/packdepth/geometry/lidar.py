"""LiDAR points to depth maps."""

from __future__ import annotations

import torch
from torch import Tensor

from packdepth.geometry.camera import Camera


def depth_map(points: Tensor, camera: Camera, min_depth: float = 1e-3) -> Tensor:
    """The sparse depth map of a scan; where several returns share a pixel, the nearest is kept.

    Args:
        points: [N, 3] in the camera frame, metres.
        camera: one camera (floats); its size is the map's.
        min_depth: metres; nearer returns and those behind the camera are left out.

    Returns:
        [1, H, W] z-depth in metres, 0 where no return falls.
    """
    pixels, z = camera.project(points.T[None], min_depth=min_depth)
    u, v = pixels[0].round().long()
    z = z[0, 0]
    seen = (z > min_depth) & (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    flat = torch.full((camera.height * camera.width,), torch.inf, dtype=points.dtype, device=points.device)
    flat.scatter_reduce_(0, v[seen] * camera.width + u[seen], z[seen], reduce="amin")
    return torch.where(flat.isinf(), 0, flat).view(1, camera.height, camera.width)
