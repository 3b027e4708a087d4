"""Infinite depth: frames in which something is predicted far below the ground.

A car at the camera's own speed looks the same in each frame; without motion between them it is predicted to be
infinitely far. Where it stands it hides the road: its pixels then lie below the ground.
"""

from __future__ import annotations

import torch
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.plane import fit_ground

MARGIN = 0.5  # a pixel is significantly below the ground if it lies more than 1 + this times as far as the ground
REACH = 20.0  # camera heights: where the ground is farther than this, a small error of its slope looks like a depth
THRESHOLD = 10  # pixels: a frame with more of them is dropped


def pixels_below_ground(depth: Tensor, camera: Camera, margin: float = MARGIN) -> Tensor | None:
    """The pixels that are predicted significantly below the ground.

    A pixel's depth is compared with that of the ground on the same ray. Both have the same unit, so that nothing
    needs to be metric: `margin` is the distance below the ground in camera heights just as well.

    Args:
        depth: [H, W] z-depth, in any unit.
        camera: of the size of the map.
        margin: a pixel counts if it lies more than 1 + margin times as far as the ground.

    Returns:
        [H, W] bool; None where no ground is found.

    Source: Guizilini et al., ICLR 2020, section 4; what "significantly" means it does not say.
    """
    points = camera.unproject(depth[None, None].double())[0]  # [3, H, W]
    lower = points[:, points[1] > 0].mT  # below the camera
    ground = fit_ground(lower)
    if ground is None:
        return None
    times = ground.times_farther(points)
    reached = times * REACH * ground.height > points.norm(dim=0)  # the ground's distance is that of the point / times
    below: Tensor = torch.logical_and(times > 1 + margin, reached)
    return below
