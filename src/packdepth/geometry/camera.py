"""The pinhole camera.

Pixel centers are integers: the image spans [-0.5, W - 0.5] x [-0.5, H - 0.5], its first pixel is (0, 0).
This module imports without torch, because sources parse cameras from disk without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Camera:
    """Pinhole intrinsics, in pixels of an image of `width` x `height`.

    One camera holds floats; a batch of cameras holds tensors of shape [B]. All methods work for both, on any device
    and dtype, and are differentiable in the intrinsics.
    """

    fx: float | Tensor
    fy: float | Tensor
    cx: float | Tensor
    cy: float | Tensor
    width: int
    height: int

    @classmethod
    def from_matrix(cls, matrix: np.ndarray | Tensor, width: int, height: int) -> Camera:
        """Camera of a calibration matrix K: one [3, 3] array gives floats, a tensor [B, 3, 3] gives tensors [B]."""
        entries: list[Any] = [matrix[..., 0, 0], matrix[..., 1, 1], matrix[..., 0, 2], matrix[..., 1, 2]]
        fx, fy, cx, cy = map(float, entries) if matrix.ndim == 2 else entries
        return cls(fx, fy, cx, cy, width, height)

    @classmethod
    def from_fov(cls, fov: float, width: int, height: int) -> Camera:
        """The camera of square pixels, centerd, that sees `fov` degrees from the left border to the right one."""
        focal = width / 2 / math.tan(math.radians(fov) / 2)
        return cls(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)

    def fov(self) -> float:
        """Degrees that one camera (floats) sees from the left border to the right one."""
        left, right = (self.cx + 0.5) / self.fx, (self.width - 0.5 - self.cx) / self.fx
        return math.degrees(math.atan(left) + math.atan(right))

    def matrix(self) -> Tensor:
        """K as a tensor: [3, 3] (float64) for one camera, [B, 3, 3] for a batch."""
        import torch

        fx, fy, cx, cy = (
            torch.as_tensor(value, dtype=None if isinstance(value, torch.Tensor) else torch.float64)
            for value in (self.fx, self.fy, self.cx, self.cy)
        )
        zero, one = torch.zeros_like(fx), torch.ones_like(fx)
        rows = (fx, zero, cx), (zero, fy, cy), (zero, zero, one)
        return torch.stack([torch.stack(row, -1) for row in rows], -2)

    def map(self, function: Callable[[Any], Any]) -> Camera:
        """The camera with `function` applied to each of its four intrinsics."""
        return replace(self, fx=function(self.fx), fy=function(self.fy), cx=function(self.cx), cy=function(self.cy))

    def resized(self, height: int, width: int) -> Camera:
        """The camera of the image resized to `height` x `width` pixels (half-pixel exact)."""
        sx, sy = width / self.width, height / self.height
        return Camera(
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5,
            cy=(self.cy + 0.5) * sy - 0.5,
            width=width,
            height=height,
        )

    def pooled(self, factor: int) -> Camera:
        """The camera of the image averaged over windows of `factor` x `factor` pixels, the last of which may be cut."""
        return Camera(
            fx=self.fx / factor,
            fy=self.fy / factor,
            cx=(self.cx + 0.5) / factor - 0.5,
            cy=(self.cy + 0.5) / factor - 0.5,
            width=-(-self.width // factor),
            height=-(-self.height // factor),
        )

    def cropped(self, top: int, left: int, height: int, width: int) -> Camera:
        """The camera of the window of `height` x `width` pixels whose first pixel is (`left`, `top`)."""
        return replace(self, cx=self.cx - left, cy=self.cy - top, width=width, height=height)

    def flipped(self) -> Camera:
        """The camera of the image mirrored left to right."""
        return replace(self, cx=self.width - 1 - self.cx)

    def unproject(self, depth: Tensor) -> Tensor:
        """Points [B, 3, H, W] in the camera frame (metres) of a z-depth map [B, 1, H, W] of the camera's size."""
        import torch

        v, u = torch.meshgrid(
            torch.arange(self.height, dtype=depth.dtype, device=depth.device),
            torch.arange(self.width, dtype=depth.dtype, device=depth.device),
            indexing="ij",
        )
        return self._lift(u, v, depth)

    def lift(self, pixels: Tensor, depth: Tensor) -> Tensor:
        """Points [B, 3, ...] in the camera frame (metres) seen at pixels [B, 2, ...] (u, v) at z-depth [B, 1, ...]."""
        return self._lift(pixels[:, 0:1], pixels[:, 1:2], depth)

    def _lift(self, u: Tensor, v: Tensor, depth: Tensor) -> Tensor:
        import torch

        x = (u - _spread(self.cx, depth)) / _spread(self.fx, depth) * depth
        y = (v - _spread(self.cy, depth)) / _spread(self.fy, depth) * depth
        return torch.cat([x, y, depth], dim=1)

    def project(self, points: Tensor, min_depth: float = 1e-3) -> tuple[Tensor, Tensor]:
        """Pixels and z-depth of points in the camera frame.

        Args:
            points: [B, 3, ...] metres.
            min_depth: metres; nearer points (and those behind the camera) are projected as if at this depth, so
                that values and gradients stay finite: compare the returned depth with it to tell them.

        Returns:
            pixels [B, 2, ...] as (u, v), and z-depth [B, 1, ...] in metres.
        """
        import torch

        x, y, z = points[:, 0:1], points[:, 1:2], points[:, 2:3]
        safe = z.clamp(min=min_depth)
        u = _spread(self.fx, points) * x / safe + _spread(self.cx, points)
        v = _spread(self.fy, points) * y / safe + _spread(self.cy, points)
        return torch.cat([u, v], dim=1), z


def _spread(value: float | Tensor, like: Tensor) -> float | Tensor:
    """An intrinsic of shape [B] shaped [B, 1, ...] to meet a tensor of `like`'s rank; a float as it is."""
    return value if isinstance(value, (int, float)) else value.reshape(-1, *[1] * (like.ndim - 1))
