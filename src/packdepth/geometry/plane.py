"""The ground in front of a camera: a plane through points of any scale."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TRIALS = 256  # candidate planes, each through three points: if 30 % of the points are inliers, 0.1 % of searches fail
VOTERS = 2000  # random points that vote for the candidates: the share of inliers is then exact to about 1 %
TOLERANCE = 0.05  # largest distance of an inlier, over the camera height: 8 cm on a car, less than a curb
MAX_TILT = 30.0  # degrees between the ground and the camera's horizontal plane; steeper planes are walls or roofs
MIN_INLIERS = 0.1  # share of the points that must be inliers; chosen: less than a tenth is no ground
REFINEMENTS = 3  # least-squares fits through the inliers; more change the plane little
MIN_NORM = 1e-300  # keeps the normal of three collinear points finite in float64


@dataclass(frozen=True)
class Plane:
    """The points p with normal . p = height, in the camera frame.

    >>> ground = Plane(torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64), height=1.5)
    >>> ground.times_farther(torch.tensor([[0.0], [3.0], [10.0]]))
    tensor([2.])
    """

    normal: Tensor  # [3] float64, unit normal that points away from the camera, downwards
    height: float  # camera height above the plane, in the unit of the points; positive

    def times_farther(self, points: Tensor) -> Tensor:
        """Return how many times farther than the plane points lie, each on its ray.

        The number is above 1 below the plane, in any unit, and at most 0 on rays that do not meet the plane.

        Args:
            points: [3, ...] in the camera frame, in the unit of the plane.

        Returns:
            [...].
        """
        shares: Tensor = torch.tensordot(self.normal.to(points), points, dims=1) / self.height
        return shares


def fit_ground(points: Tensor, seed: int = 0) -> Plane | None:
    """Return the ground plane among points by RANSAC and least squares, with a tolerance relative to the camera height.

    The result is the same for the same points and seed, and scales with the points.

    Args:
        points: points [N, 3] in the camera frame (x right, y down, z forward), in any unit.
        seed: seed of the random choices.

    Returns:
        The plane below the camera, inclined by at most 30 degrees, that has the most inliers; None if every such plane
        has less than a tenth of the points as inliers.

    >>> points = torch.tensor([[x, 1.5, z] for x in (-2.0, 0.0, 2.0) for z in (5.0, 6.0, 7.0)])
    >>> round(fit_ground(points).height, 6)
    1.5
    """
    if len(points) < 3:
        return None
    generator = torch.Generator().manual_seed(seed)
    points = points.double().cpu()
    voters = points[torch.randperm(len(points), generator=generator)[:VOTERS]]
    a, b, c = voters[torch.randint(len(voters), (3, TRIALS), generator=generator)]  # [TRIALS, 3] each
    normals = torch.linalg.cross(b - a, c - a)
    normals = normals / normals.norm(dim=1, keepdim=True).clamp(min=MIN_NORM)
    normals = normals * normals[:, 1:2].sign()
    heights = (normals * a).sum(1)
    min_cosine = torch.cos(torch.deg2rad(torch.tensor(MAX_TILT, dtype=torch.float64)))
    possible = (normals[:, 1] >= min_cosine) & (heights > 0)
    if not possible.any():
        return None
    votes = _inliers(voters, normals, heights).sum(1) * possible
    best = int(votes.argmax())
    normal, height = normals[best], heights[best]
    for _ in range(REFINEMENTS):
        inliers = points[_inliers(points, normal[None], height[None])[0]]
        if len(inliers) < max(3, MIN_INLIERS * len(points)):
            return None
        normal = torch.linalg.svd(inliers - inliers.mean(0), full_matrices=False).Vh[2]
        normal = normal * normal[1].sign()
        height = normal @ inliers.mean(0)
        if normal[1] < min_cosine or height <= 0:
            return None
    return Plane(normal, float(height))


def _inliers(points: Tensor, normals: Tensor, heights: Tensor) -> Tensor:
    """Return the inliers among points [N, 3] of planes with normals [M, 3] and heights [M], as a mask [M, N] bool."""
    return (normals @ points.mT - heights[:, None]).abs() < TOLERANCE * heights.abs()[:, None]
