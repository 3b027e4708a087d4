"""The height of a camera above the road that it drives along, from depth and motion."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera

NEAREST = 2.5  # camera heights ahead: nearer, an image shows the vehicle's own hood rather than the road; chosen
HALF_WIDTH = 2.0  # camera heights to each side of the camera: 3.3 m from a car, a lane and a half
TOLERANCE = 0.07  # half the width of the interval of heights that counts as road: less than a curb; 10 cm on a car
MIN_SHARE = 0.35  # of the points in that interval: a wall has 0.24 (0.31 in 24 rows), a road more unless a car hides it
MAX_ROLL = 5  # degrees that a camera may roll, searched in steps of one degree
LEAST_POINTS = 20  # points of an image: any few lie in one interval by chance; chosen
MAX_POINTS = 2000  # points of an image that are used; the median is then exact to a fraction of a percent
MIN_LENGTH = 1e-6  # lengths below it, which lie above the camera's horizon, are no height
MIN_MOTION = 0.05  # camera heights: a shorter motion has no direction to speak of; 8 cm on a car


def road_rays(rays: Tensor) -> Tensor:
    """Return which rays meet a level road in front of the camera, whatever the height of the camera.

    The road is at least `NEAREST` camera heights ahead, without an end, and at most `HALF_WIDTH` to the sides. A camera
    that is inclined sees other parts of the road there, nearer or farther ones.

    Args:
        rays: [..., 3, H, W], points in front of the camera, at any depth.

    Returns:
        [..., H, W] bool.

    >>> road_rays(torch.tensor([0.0, 0.1, 1.0])[:, None, None])
    tensor([[True]])
    """
    x, y, z = rays.unbind(-3)
    return (y > 0) & (y * NEAREST < z) & (x.abs() < HALF_WIDTH * y)


def road_points(depth: Tensor, camera: Camera) -> Tensor:
    """Return the points of depth where the road is expected.

    Args:
        depth: z-depth [H, W], in any unit.
        camera: one camera, of the size of the depth map.

    Returns:
        Points [N, 3] in the camera frame.

    >>> camera = Camera.from_fov(90, width=64, height=48)
    >>> points = road_points(torch.ones(48, 64), camera)
    >>> bool((points[:, 1] > 0).all())
    True
    """
    points = camera.unproject(depth[None, None])[0]
    return points[:, road_rays(points)].mT


def road_height(points: Tensor, T: Tensor) -> float | None:
    """Return the height of a camera above the road that it drives along, in the unit of the points.

    The camera moves along the road, so the road's normal is perpendicular to the motion. Of these normals, which differ
    in the roll of the camera, the one is taken that makes the heights of points along it most alike: the shortest
    interval, by ratio, that holds `MIN_SHARE` of the points is the road. A plane that is fitted to predicted depth
    without the motion would be inclined by the errors of depth, and one degree moves its height by 10 %.

    Args:
        points: points of `road_points`, [N, 3].
        T: motion [4, 4] to another frame, from the frame of the points, in the same unit.

    Returns:
        The median height of the points within `TOLERANCE` about that interval's middle. It scales with points and
        motion. None if the interval is wider than the tolerance, the motion is shorter than `MIN_MOTION`, or there are
        fewer points than `LEAST_POINTS`.

    >>> T = torch.eye(4)
    >>> T[2, 3] = -1.0  # one metre ahead
    >>> points = torch.tensor([[x, 1.5, z] for x in (-2.0, -1.0, 0.0, 1.0, 2.0) for z in range(5, 12)])
    >>> round(road_height(points, T), 6)
    1.5
    """
    ahead = se3.inverse(T.double())[:3, 3]  # the other camera's position
    length = float(ahead.norm())
    if len(points) < LEAST_POINTS or length == 0:
        return None
    points = points[:: max(1, len(points) // MAX_POINTS)].double()
    logs = (points @ road_normals(ahead / length).mT).clamp(min=MIN_LENGTH).log().sort(dim=0).values  # [N, rolls]
    count = max(1, round(MIN_SHARE * len(points)))
    starts, ends = logs[: len(logs) - count + 1], logs[count - 1 :]
    widths = torch.where(starts > log(MIN_LENGTH), ends - starts, torch.inf)
    place, roll = divmod(int(widths.argmin()), widths.shape[1])
    if widths[place, roll] > 2 * TOLERANCE:
        return None
    middle, best = (ends[place, roll] + starts[place, roll]) / 2, logs[:, roll]
    height = float(best[(best - middle).abs() <= TOLERANCE].median().exp())
    return height if length > MIN_MOTION * height else None


def road_normals(ahead: Tensor) -> Tensor:
    """Return the normals of roads along a direction, of cameras that roll by up to `MAX_ROLL` to either side.

    Args:
        ahead: direction of the motion [3] in the camera frame, a unit vector.

    Returns:
        Unit vectors [rolls, 3] that point downwards.

    >>> normals = road_normals(torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    >>> normals.shape, normals[5]
    (torch.Size([11, 3]), tensor([0., 1., 0.], dtype=torch.float64))
    """
    rolls = torch.deg2rad(torch.arange(-MAX_ROLL, MAX_ROLL + 1, dtype=ahead.dtype, device=ahead.device))
    down = torch.stack([rolls.sin(), rolls.cos(), torch.zeros_like(rolls)], dim=1)
    normals = down - (down @ ahead)[:, None] * ahead
    units: Tensor = normals / normals.norm(dim=1, keepdim=True)
    return units
