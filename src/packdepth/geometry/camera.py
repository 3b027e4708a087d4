"""The pinhole camera.

The centers of pixels are integers: the image spans [-0.5, W - 0.5] x [-0.5, H - 0.5], and its first pixel is (0, 0).
This module imports without torch, because sources read cameras from disk without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

from packdepth.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

MIN_DEPTH = 1e-3  # metres: points nearer than 1 mm are projected as if at this depth, so that values stay finite
MAX_SKEW = 0.01  # pixels, of a matrix K: a smaller skew moves no point of the image by more than about that
ROUNDING = 1e-6  # largest difference of the last row of a matrix K from 0 0 1


@dataclass(frozen=True, eq=False)
class Camera:
    """Pinhole intrinsics, in pixels of an image of `width` x `height`.

    One camera holds floats; a batch of cameras holds tensors of shape [B]. All methods work for both, on any device
    and dtype, and are differentiable in the intrinsics. The values of tensors are not checked.

    Args:
        fx: focal length along x, in pixels.
        fy: focal length along y, in pixels.
        cx: x of the principal point, in pixels; 0 is the center of the first column.
        cy: y of the principal point, in pixels; 0 is the center of the first row.
        width: width of the image, in pixels.
        height: height of the image, in pixels.

    Raises InputError for focal lengths that are not positive, for floats that are not finite, and for a width or a
    height that is not a whole positive number.

    >>> camera = Camera(fx=100.0, fy=100.0, cx=49.5, cy=24.5, width=100, height=50)
    >>> camera.resized(height=25, width=50)
    Camera(fx=50.0, fy=50.0, cx=24.5, cy=12.0, width=50, height=25)
    """

    fx: float | Tensor
    fy: float | Tensor
    cx: float | Tensor
    cy: float | Tensor
    width: int
    height: int

    def __post_init__(self) -> None:
        for name, low in {"fx": 0.0, "fy": 0.0, "cx": -math.inf, "cy": -math.inf}.items():
            value = getattr(self, name)
            if isinstance(value, Real) and not low < float(value) < math.inf:
                raise InputError(f"a camera's {name} is {value:g}; give a number of pixels, above 0 if a focal length")
        if not (self.width >= 1 and self.height >= 1 and self.width % 1 == self.height % 1 == 0):
            raise InputError(f"a camera is for {self.width}x{self.height} pixels; give whole numbers, at least 1")

    @classmethod
    def from_matrix(cls, matrix: np.ndarray | Tensor | Sequence[Sequence[float]], width: int, height: int) -> Camera:
        """Return the camera of a calibration matrix K.

        Args:
            matrix: one array [3, 3] gives a camera of floats; a tensor [B, 3, 3] gives a batch of cameras, whose values
                are not checked.
            width: width of the image, in pixels.
            height: height of the image, in pixels.

        Raises InputError for another shape, and for what a pinhole camera cannot hold: skew, and a last row that is
        not 0 0 1.
        """
        import numpy as np

        shape, K = list(np.shape(matrix)), cast("Any", matrix)
        if len(shape) == 3 and shape[1:] == [3, 3] and not isinstance(matrix, (np.ndarray, Sequence)):
            return cls(K[:, 0, 0], K[:, 1, 1], K[:, 0, 2], K[:, 1, 2], width, height)
        if shape != [3, 3]:
            raise InputError(f"a camera matrix K is an array [3, 3], or a tensor [B, 3, 3] for a batch; found {shape}")
        (fx, skew, cx), (shear, fy, cy), last = ([float(value) for value in row] for row in K)
        if not all(abs(value - expected) <= ROUNDING for value, expected in zip(last, (0, 0, 1), strict=True)):
            found = " ".join(f"{value:g}" for value in last)
            raise InputError(f"the last row of a camera matrix K is 0 0 1; found {found}; divide K by K[2, 2]")
        if not max(abs(skew), abs(shear)) <= MAX_SKEW:
            raise InputError(
                f"a pinhole camera has no skew, but K[0, 1] is {skew:g} and K[1, 0] {shear:g}; rectify the images, or "
                f"set both to 0"
            )
        return cls(fx, fy, cx, cy, width, height)

    @classmethod
    def from_fov(cls, fov: float, width: int, height: int) -> Camera:
        """Return the camera with square pixels, a centered principal point and a horizontal field of view.

        Args:
            fov: degrees from the left border of the image to the right one.
            width: width of the image, in pixels.
            height: height of the image, in pixels.

        Raises InputError for a field of view that no pinhole camera has.
        """
        if not 0 < fov < 180:
            raise InputError(f"a camera's field of view is {fov:g} degrees; give degrees above 0 and below 180")
        focal = width / 2 / math.tan(math.radians(fov) / 2)
        return cls(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)

    def fov(self) -> float:
        """Return the horizontal field of view of one camera (floats), in degrees from border to border."""
        left, right = (self.cx + 0.5) / self.fx, (self.width - 0.5 - self.cx) / self.fx
        return math.degrees(math.atan(left) + math.atan(right))

    def matrix(self) -> Tensor:
        """Return K as a tensor: [3, 3] (float64) for one camera, [B, 3, 3] for a batch."""
        import torch

        fx, fy, cx, cy = (
            torch.as_tensor(value, dtype=None if isinstance(value, torch.Tensor) else torch.float64)
            for value in (self.fx, self.fy, self.cx, self.cy)
        )
        zero, one = torch.zeros_like(fx), torch.ones_like(fx)
        rows = (fx, zero, cx), (zero, fy, cy), (zero, zero, one)
        return torch.stack([torch.stack(row, -1) for row in rows], -2)

    def map(self, function: Callable[[Any], Any]) -> Camera:
        """Return the camera with a function applied to each of its four intrinsics.

        Args:
            function: the function of one intrinsic, a float or a tensor [B].
        """
        return replace(self, fx=function(self.fx), fy=function(self.fy), cx=function(self.cx), cy=function(self.cy))

    def resized(self, height: int, width: int) -> Camera:
        """Return the camera of the resized image (exact to half a pixel).

        Args:
            height: height of the resized image, in pixels.
            width: width of the resized image, in pixels.
        """
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
        """Return the camera of the image averaged over windows of `factor` x `factor` pixels.

        Args:
            factor: side of a window, in pixels. The last windows may be cut by the border.
        """
        return Camera(
            fx=self.fx / factor,
            fy=self.fy / factor,
            cx=(self.cx + 0.5) / factor - 0.5,
            cy=(self.cy + 0.5) / factor - 0.5,
            width=-(-self.width // factor),
            height=-(-self.height // factor),
        )

    def cropped(self, top: int, left: int, height: int, width: int) -> Camera:
        """Return the camera of a window of the image.

        Args:
            top: row of the window's first pixel.
            left: column of the window's first pixel.
            height: height of the window, in pixels.
            width: width of the window, in pixels.
        """
        return replace(self, cx=self.cx - left, cy=self.cy - top, width=width, height=height)

    def flipped(self) -> Camera:
        """Return the camera of the image mirrored left to right."""
        return replace(self, cx=self.width - 1 - self.cx)

    def single(self) -> Camera:
        """Return one camera whose intrinsics are floats: itself, or that of tensors which hold one number each.

        Raises InputError for a batch of cameras.
        """
        if all(isinstance(value, Real) for value in (self.fx, self.fy, self.cx, self.cy)):
            return self
        try:
            return self.map(float)
        except (TypeError, ValueError, RuntimeError):  # of numpy and of torch
            shapes = [list(getattr(value, "shape", ())) for value in (self.fx, self.fy, self.cx, self.cy)]
            raise InputError(
                f"one camera holds a number for each of fx, fy, cx and cy; found tensors of the shapes {shapes}; give "
                f"the cameras of a batch one by one, such as camera.map(lambda value: value[0])"
            ) from None

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """fx, fy, cx and cy of one camera as floats."""
        return float(self.fx), float(self.fy), float(self.cx), float(self.cy)

    def check_size(self, height: int, width: int, content: str) -> None:
        """Raise InputError if the camera is for another size than that of an image or a map.

        Args:
            height: height of the image, in pixels.
            width: width of the image, in pixels.
            content: what has this size, such as "image", for the message.
        """
        if (self.height, self.width) != (height, width):
            raise InputError(
                f"the camera is for {self.width}x{self.height} pixels, but the {content} has {width}x{height}; "
                f"give the camera of this {content}, or camera.resized({height}, {width}) if the {content} was resized"
            )

    def unproject(self, depth: Tensor) -> Tensor:
        """Return the points of all pixels of a depth map, in the camera frame.

        Args:
            depth: z-depth [B, 1, H, W] of the camera's size, in metres.

        Returns:
            Points [B, 3, H, W] in metres.

        Raises InputError for depth of another shape or size.
        """
        import torch

        if depth.ndim != 4 or depth.shape[1] != 1:
            raise InputError(
                f"depth has shape [B, 1, H, W]; found {list(depth.shape)}; of one map [H, W], give depth[None, None]"
            )
        self.check_size(depth.shape[2], depth.shape[3], "depth map")
        v, u = torch.meshgrid(
            torch.arange(self.height, dtype=depth.dtype, device=depth.device),
            torch.arange(self.width, dtype=depth.dtype, device=depth.device),
            indexing="ij",
        )
        return self._lift(u, v, depth)

    def lift(self, pixels: Tensor, depth: Tensor) -> Tensor:
        """Return the points of given pixels, in the camera frame.

        Args:
            pixels: [B, 2, ...] as (u, v).
            depth: z-depth [B, 1, ...] of the points, in metres.

        Returns:
            Points [B, 3, ...] in metres.
        """
        return self._lift(pixels[:, 0:1], pixels[:, 1:2], depth)

    def _lift(self, u: Tensor, v: Tensor, depth: Tensor) -> Tensor:
        import torch

        x = (u - _spread(self.cx, depth)) / _spread(self.fx, depth) * depth
        y = (v - _spread(self.cy, depth)) / _spread(self.fy, depth) * depth
        return torch.cat([x, y, depth], dim=1)

    def project(self, points: Tensor, min_depth: float = MIN_DEPTH) -> tuple[Tensor, Tensor]:
        """Return the pixels and the z-depth of points in the camera frame.

        Args:
            points: [B, 3, ...] in metres.
            min_depth: metres. Nearer points, and those behind the camera, are projected as if at this depth, so that
                values and gradients stay finite; the returned depth shows which points these are.

        Returns:
            Pixels [B, 2, ...] as (u, v), and z-depth [B, 1, ...] in metres.
        """
        import torch

        x, y, z = points[:, 0:1], points[:, 1:2], points[:, 2:3]
        safe = z.clamp(min=min_depth)
        u = _spread(self.fx, points) * x / safe + _spread(self.cx, points)
        v = _spread(self.fy, points) * y / safe + _spread(self.cy, points)
        return torch.cat([u, v], dim=1), z


def _spread(value: float | Tensor, like: Tensor) -> float | Tensor:
    """Return an intrinsic of shape [B] as [B, 1, ...], with as many axes as `like`; a float is returned unchanged."""
    return value if isinstance(value, (int, float)) else value.reshape(-1, *[1] * (like.ndim - 1))
