"""The ground before a camera: a plane through points, whatever their scale."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TRIALS = 256  # planes through three points
POINTS = 2000  # that vote on them
TOLERANCE = 0.05  # of the camera's height: how far from the plane a point may lie that belongs to it
TILT = 30.0  # degrees that the ground may be inclined against the camera's horizontal plane
LEAST = 0.1  # of the points: how many must belong to it
REFINEMENTS = 3  # least squares through the points that belong to the plane


@dataclass(frozen=True)
class Plane:
    """The points p with normal . p = height, in the camera's frame."""

    normal: Tensor  # [3] float64, of length one, away from the camera: downwards
    height: float  # of the camera above it, in the unit of the points; positive

    def times_farther(self, points: Tensor) -> Tensor:
        """How many times farther than the plane points [3, ...] lie, each on its ray: [...].

        Above 1 below the plane, whatever the unit; at most 0 on rays that do not meet it.
        """
        shares: Tensor = torch.tensordot(self.normal.to(points), points, dims=1) / self.height
        return shares


def fit_ground(points: Tensor, seed: int = 0) -> Plane | None:
    """The ground among points, by RANSAC with a tolerance relative to the camera's height, and least squares.

    The result is the same for the same points and seed, and scales with the points.

    Args:
        points: [N, 3] in the camera's frame (x right, y down, z forward), in any unit.
        seed: of the random choices.

    Returns:
        The plane below the camera, inclined by at most 30 degrees, that most points belong to; None if no plane
        holds a tenth of them.
    """
    if len(points) < 3:
        return None
    generator = torch.Generator().manual_seed(seed)
    points = points.double().cpu()
    voters = points[torch.randperm(len(points), generator=generator)[:POINTS]]
    a, b, c = voters[torch.randint(len(voters), (3, TRIALS), generator=generator)]  # [TRIALS, 3] each
    normals = torch.linalg.cross(b - a, c - a)
    normals = normals / normals.norm(dim=1, keepdim=True).clamp(min=1e-300)
    normals = normals * normals[:, 1:2].sign()
    heights = (normals * a).sum(1)
    level = torch.cos(torch.deg2rad(torch.tensor(TILT, dtype=torch.float64)))
    possible = (normals[:, 1] >= level) & (heights > 0)
    if not possible.any():
        return None
    votes = _belongs(voters, normals, heights).sum(1) * possible
    best = int(votes.argmax())
    normal, height = normals[best], heights[best]
    for _ in range(REFINEMENTS):
        members = points[_belongs(points, normal[None], height[None])[0]]
        if len(members) < max(3, LEAST * len(points)):
            return None
        normal = torch.linalg.svd(members - members.mean(0), full_matrices=False).Vh[2]
        normal = normal * normal[1].sign()
        height = normal @ members.mean(0)
        if normal[1] < level or height <= 0:
            return None
    return Plane(normal, float(height))


def _belongs(points: Tensor, normals: Tensor, heights: Tensor) -> Tensor:
    """Which points [N, 3] lie on which planes (normals [M, 3], heights [M]): [M, N] bool."""
    return (normals @ points.mT - heights[:, None]).abs() < TOLERANCE * heights.abs()[:, None]
