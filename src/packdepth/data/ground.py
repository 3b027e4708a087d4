"""Detection of infinite depth: pixels that are predicted far below the ground.

A car that drives at the camera's own speed looks the same in each frame. A network trained on video then predicts it
to be infinitely far away. The car hides the road, so the predicted points lie below the ground.
"""

from __future__ import annotations

import torch
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.plane import fit_ground

MARGIN = 0.5  # of the ground's distance: a pixel is below the ground if it is farther by more than this; chosen by eye
REACH = 20.0  # camera heights: farther away, a small error of the ground's slope moves it by a large distance
THRESHOLD = 10  # pixels below the ground: a frame with more of them is dropped (Guizilini et al., ICLR 2020)


def pixels_below_ground(depth: Tensor, camera: Camera, margin: float = MARGIN) -> Tensor | None:
    """Return which pixels are predicted significantly below the ground.

    The depth of a pixel is compared with the depth of the ground on the same ray. Only their ratio matters, so depth
    need not be metric. The margin is also the distance below the ground in camera heights.

    Args:
        depth: [H, W] z-depth, in any unit.
        camera: camera of the depth map, for its size.
        margin: a pixel counts if it lies more than 1 + margin times as far as the ground.

    Returns:
        [H, W] bool; None if no ground is found.

    Source: Guizilini et al., ICLR 2020, section 4, which does not define "significantly".
    """
    points = camera.unproject(depth[None, None].double())[0]  # [3, H, W]
    lower = points[:, points[1] > 0].mT  # below the camera
    ground = fit_ground(lower)
    if ground is None:
        return None
    times = ground.times_farther(points)
    reached = times * REACH * ground.height > points.norm(dim=0)  # the ground lies at the point's distance / times
    below: Tensor = torch.logical_and(times > 1 + margin, reached)
    return below
