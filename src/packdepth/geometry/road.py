"""The road in front of a camera, as seen in its image: where to look for the ground plane."""

from __future__ import annotations

import torch
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.plane import Plane, fit_ground

NEAREST = 2.5  # camera heights ahead: nearer, an image shows the vehicle's own hood rather than the road; chosen
HALF_WIDTH = 2.0  # camera heights to each side of the camera: 3.3 m from a car, a lane and a half
MAX_POINTS = 4000  # points per image; RANSAC's votes are exact to a percent with half of them


def road_rays(rays: Tensor) -> Tensor:
    """Return which rays meet a level road in front of the camera, whatever the height of the camera.

    The road is at least `NEAREST` and at most infinitely many camera heights ahead, and at most `HALF_WIDTH` to the
    sides. A camera that is inclined sees other parts of the road there, nearer or farther ones.

    Args:
        rays: [..., 3, H, W], points at depth 1 in the camera frame.

    Returns:
        [..., H, W] bool.

    >>> road_rays(torch.tensor([0.0, 0.1, 1.0])[:, None, None])
    tensor([[True]])
    """
    x, y, z = rays.unbind(-3)
    return (y > 0) & (y * NEAREST < z) & (x.abs() < HALF_WIDTH * y)


def road_plane(depth: Tensor, camera: Camera) -> Plane | None:
    """Return the plane of the road in front of a camera, in the unit of depth.

    Args:
        depth: z-depth [H, W], in any unit.
        camera: camera of the depth map, for its size.

    Returns:
        The plane; None if no ground is found.

    >>> camera = Camera.from_fov(90, width=64, height=48)
    >>> y = camera.unproject(torch.ones(1, 1, 48, 64))[0, 1]
    >>> round(road_plane(1.5 / y.clamp(min=0.01), camera).height, 4)
    1.5
    """
    depth = depth.double()
    rays = camera.unproject(torch.ones_like(depth)[None, None])[0]
    points = (rays * depth)[:, road_rays(rays)].mT
    step = max(1, len(points) // MAX_POINTS)
    return fit_ground(points[::step])
