"""The road in front of a camera, as seen in its image: where to look for the ground plane."""

from __future__ import annotations

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
        rays: [..., 3, H, W], points in front of the camera, at any depth.

    Returns:
        [..., H, W] bool.

    >>> import torch
    >>> road_rays(torch.tensor([0.0, 0.1, 1.0])[:, None, None])
    tensor([[True]])
    """
    x, y, z = rays.unbind(-3)
    return (y > 0) & (y * NEAREST < z) & (x.abs() < HALF_WIDTH * y)


def road_points(depth: Tensor, camera: Camera) -> Tensor:
    """Return points of predicted depth where the road is expected, at most about `MAX_POINTS` of them.

    Args:
        depth: z-depth [H, W], in any unit.
        camera: one camera, of the size of the depth map.

    Returns:
        Points [N, 3] in the camera frame, differentiable in depth and camera.

    >>> import torch
    >>> camera = Camera.from_fov(90, width=64, height=48)
    >>> points = road_points(torch.ones(48, 64), camera)
    >>> bool((points[:, 1] > 0).all())
    True
    """
    points = camera.unproject(depth[None, None])[0]
    found = points[:, road_rays(points.detach())].mT
    return found[:: max(1, len(found) // MAX_POINTS)]


def road_plane(depth: Tensor, camera: Camera) -> Plane | None:
    """Return the plane of the road in front of a camera, in the unit of depth.

    Args:
        depth: z-depth [H, W], in any unit.
        camera: one camera, of the size of the depth map.

    Returns:
        The plane; None if no ground is found.

    >>> import torch
    >>> camera = Camera.from_fov(90, width=64, height=48)
    >>> y = camera.unproject(torch.ones(1, 1, 48, 64))[0, 1]
    >>> round(road_plane(1.5 / y.clamp(min=0.01), camera).height, 4)
    1.5
    """
    return fit_ground(road_points(depth.double(), camera))
