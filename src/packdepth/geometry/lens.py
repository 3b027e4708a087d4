"""Lenses: distortion between the pinhole projection and the image that a camera records.

A lens maps normalized pinhole coordinates (x / z, y / z) of a point to distorted normalized coordinates; the camera's
intrinsics then give the pixel: u = fx x_d + cx. Both models are OpenCV's, with its order of coefficients:

* Brown-Conrady (D. C. Brown, "Decentering distortion of lenses", 1966; A. E. Conrady, 1919), also called radtan or
  plumb_bob, with the rational radial part of 8 coefficients;
* Kannala-Brandt (J. Kannala and S. S. Brandt, "A generic camera model and calibration method for conventional,
  wide-angle, and fish-eye lenses", 2006), also called fisheye or equidistant, with 4 coefficients.

A polynomial stops growing at some radius, beyond which two rays would fall on one pixel. Rays from there on are
invalid: `undistort` never returns them, and no pinhole image shows them.

This module imports without torch, because sources read lenses from disk without it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from packdepth.geometry.camera import Camera

if TYPE_CHECKING:
    from torch import Tensor

MAX_ANGLE = 89.0  # degrees to the optical axis: normalized coordinates grow without bound toward 90
MAX_FOV = 120.0  # degrees of a pinhole image along a side: at its border, a pixel spans 1/4 of the central one's angle
RADIAL_STEPS = 60  # iterations at most of the radial inversion; halving alone then reaches float64's resolution
STEPS = 20  # Newton iterations at most of the full inversion; tangential distortion is small, so that 3 to 5 suffice
TOLERANCE = 1e-9  # largest residual of an inversion in float64, in normalized coordinates: 1e-6 pixels
REAL = 1e-9  # share of a computed root's magnitude that its imaginary part may have by rounding
TINY = 1e-30  # squared radius that stands for 0 in divisors and square roots
MAX_TANGENTIAL = 0.05  # p1 and p2: lenses have at most 0.006 (TUM, KITTI, phones), bad calibrations 0.02
FOCAL_RANGE = 0.02, 50.0  # factors between the focal lengths of the pinhole image and of the lens that are searched
FOCAL_STEPS = 60  # bisections of that range: to float64's resolution


@dataclass(frozen=True)
class Lens(ABC):
    """Distortion of a lens. Coefficients are floats, or scalar tensors to differentiate in them.

    All methods take coordinates of any shape [..., 2], and are differentiable in them and in the coefficients.
    """

    name: ClassVar[str]  # name of the model, such as "brown_conrady"

    @property
    def coefficients(self) -> tuple[float | Tensor, ...]:
        """All coefficients, in OpenCV's order."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @abstractmethod
    def distort(self, x: Tensor) -> Tensor:
        """Return the distorted coordinates of pinhole coordinates, also beyond the valid radius (see `is_valid`).

        Args:
            x: normalized pinhole coordinates [..., 2].

        Returns:
            Distorted normalized coordinates [..., 2].
        """

    @abstractmethod
    def jacobian(self, x: Tensor) -> Tensor:
        """Return the derivatives of `distort` in closed form.

        Args:
            x: normalized pinhole coordinates [..., 2].

        Returns:
            Jacobians [..., 2, 2]; rows are distorted coordinates, columns pinhole coordinates.
        """

    @abstractmethod
    def first_guess(self, distorted: Tensor) -> Tensor:
        """Return the exact inverse of the radial part within the valid radius, from which Newton's method starts.

        Args:
            distorted: distorted normalized coordinates [..., 2].

        Returns:
            Normalized pinhole coordinates [..., 2].
        """

    @abstractmethod
    def angle(self, distorted: Tensor) -> Tensor:
        """Return the angle between the ray of distorted coordinates and the optical axis.

        Args:
            distorted: distorted normalized coordinates [..., 2].

        Returns:
            Angles [...], in radians; the angle at which the model ends for coordinates that no ray reaches.
        """

    @property
    @abstractmethod
    def max_radius(self) -> float:
        """The radius of pinhole coordinates at which the distorted radius stops growing; tan(`MAX_ANGLE`) at most."""

    def is_valid(self, x: Tensor) -> Tensor:
        """Return whether pinhole coordinates lie where the model is one to one.

        Args:
            x: normalized pinhole coordinates [..., 2].

        Returns:
            Mask [...] bool: the radius is below `max_radius`, and the determinant of the Jacobian is positive.
        """
        J = self.jacobian(x)
        determinant = J[..., 0, 0] * J[..., 1, 1] - J[..., 0, 1] * J[..., 1, 0]
        return ((x * x).sum(-1) < self.max_radius**2) & (determinant > 0)

    def undistort(self, distorted: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pinhole coordinates of distorted coordinates, by Newton's method.

        The result is verified by distorting it. Gradients are those of the implicit function.

        Args:
            distorted: distorted normalized coordinates [..., 2].

        Returns:
            Normalized pinhole coordinates [..., 2], NaN where invalid, and the mask [...] bool of valid ones: those
            that a ray within the valid radius reaches (see `is_valid`).

        >>> import torch
        >>> lens = BrownConrady(-0.3)  # reaches 0.70 at most
        >>> x, valid = lens.undistort(torch.tensor([[0.5, 0.0], [5.0, 0.0]], dtype=torch.float64))
        >>> valid.tolist()
        [True, False]
        >>> round(float(x[0, 0]), 4)
        0.5499
        """
        import torch

        tolerance = max(TOLERANCE, 64 * torch.finfo(distorted.dtype).eps)
        with torch.no_grad():
            x = self.first_guess(distorted.detach())
            for _ in range(STEPS):
                residual = self.distort(x) - distorted
                if not bool((residual.abs() > tolerance / 64).any()):
                    break
                x = x - _solve(self.jacobian(x), residual).nan_to_num(0.0, 0.0, 0.0)
            error = (self.distort(x) - distorted).abs().amax(-1)
            valid = self.is_valid(x) & (error < tolerance * (1 + distorted.abs().amax(-1)))
            x = torch.where(valid[..., None], x, 0.0)  # a point with a regular Jacobian, for finite gradients
            J = self.jacobian(x)
        x = x - _solve(J, self.distort(x) - distorted)  # for the gradient; the value hardly changes
        return torch.where(valid[..., None], x, torch.nan), valid

    def field_of_view(self, camera: Camera) -> tuple[float, float]:
        """Return the horizontal and the vertical field of view of the distorted image, in degrees.

        They are measured along the row and the column through the principal point, from border to border.

        Args:
            camera: the intrinsics of the distorted image, floats.

        >>> round(KannalaBrandt().field_of_view(Camera.from_fov(90, 640, 480))[0], 1)  # 2 rad at f = W / 2
        114.6
        """
        import torch

        fx, fy, cx, cy = _floats(camera)
        ends = [
            [(-0.5 - cx) / fx, 0.0],
            [(camera.width - 0.5 - cx) / fx, 0.0],
            [0.0, (-0.5 - cy) / fy],
            [0.0, (camera.height - 0.5 - cy) / fy],
        ]
        left, right, top, bottom = self.angle(torch.tensor(ends, dtype=torch.float64)).tolist()
        return math.degrees(left + right), math.degrees(top + bottom)


@dataclass(frozen=True)
class BrownConrady(Lens):
    """Brown-Conrady distortion with 4, 5 or 8 coefficients in OpenCV's order; those that are left out are 0.

    >>> import torch
    >>> BrownConrady(0.5).distort(torch.tensor([0.5, 0.0])).tolist()  # 0.5 (1 + 0.5 x 0.25)
    [0.5625, 0.0]
    """

    name: ClassVar[str] = "brown_conrady"

    k1: float | Tensor = 0.0  # radial, of r^2
    k2: float | Tensor = 0.0  # radial, of r^4
    p1: float | Tensor = 0.0  # tangential, of 2 x y in x
    p2: float | Tensor = 0.0  # tangential, of r^2 + 2 x^2 in x
    k3: float | Tensor = 0.0  # radial, of r^6
    k4: float | Tensor = 0.0  # radial, of r^2 in the denominator
    k5: float | Tensor = 0.0  # radial, of r^4 in the denominator
    k6: float | Tensor = 0.0  # radial, of r^6 in the denominator

    def _radial(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """Return the radial factor of a squared radius, and its derivative with respect to the squared radius."""
        over = 1 + s * (self.k1 + s * (self.k2 + s * self.k3))
        under = 1 + s * (self.k4 + s * (self.k5 + s * self.k6))
        d_over = self.k1 + s * (2 * self.k2 + 3 * s * self.k3)
        d_under = self.k4 + s * (2 * self.k5 + 3 * s * self.k6)
        factor = over / under
        return factor, (d_over - factor * d_under) / under

    def distort(self, x: Tensor) -> Tensor:
        """See `Lens.distort`."""
        import torch

        a, b = x[..., 0], x[..., 1]
        s, ab = a * a + b * b, a * b
        factor, _ = self._radial(s)
        return torch.stack(
            [
                a * factor + 2 * self.p1 * ab + self.p2 * (s + 2 * a * a),
                b * factor + self.p1 * (s + 2 * b * b) + 2 * self.p2 * ab,
            ],
            dim=-1,
        )

    def jacobian(self, x: Tensor) -> Tensor:
        """See `Lens.jacobian`."""
        import torch

        a, b = x[..., 0], x[..., 1]
        factor, slope = self._radial(a * a + b * b)
        mixed = 2 * (a * b * slope + self.p1 * a + self.p2 * b)
        rows = [
            torch.stack([factor + 2 * a * a * slope + 2 * self.p1 * b + 6 * self.p2 * a, mixed], -1),
            torch.stack([mixed, factor + 2 * b * b * slope + 6 * self.p1 * b + 2 * self.p2 * a], -1),
        ]
        return torch.stack(rows, dim=-2)

    @property
    def max_radius(self) -> float:
        """See `Lens.max_radius`."""
        k1, k2, _, _, k3, k4, k5, k6 = map(_float, self.coefficients)
        over, under = np.array([k3, k2, k1, 1.0]), np.array([k6, k5, k4, 1.0])  # polynomials of the squared radius
        slope: np.ndarray = np.polysub(np.polymul(np.polyder(over), under), np.polymul(over, np.polyder(under)))
        growth = np.polyadd(np.polymul(over, under), np.polymul([2.0, 0.0], slope))
        return min(math.sqrt(min(_first_root(growth), _first_root(under))), math.tan(math.radians(MAX_ANGLE)))

    def first_guess(self, distorted: Tensor) -> Tensor:
        """See `Lens.first_guess`."""

        def radius(r: Tensor) -> tuple[Tensor, Tensor]:
            factor, slope = self._radial(r * r)
            return r * factor, factor + 2 * r * r * slope

        target = (distorted * distorted).sum(-1).clamp(min=TINY).sqrt()
        inverse = _increasing_inverse(radius, target, self.max_radius)
        return distorted * (inverse / target)[..., None]

    def angle(self, distorted: Tensor) -> Tensor:
        """See `Lens.angle`."""
        x, _ = self.undistort(distorted)
        return (x * x).sum(-1).sqrt().nan_to_num(self.max_radius).atan()


@dataclass(frozen=True)
class KannalaBrandt(Lens):
    """Kannala-Brandt distortion of fisheye lenses: r_d = t + k1 t^3 + k2 t^5 + k3 t^7 + k4 t^9, t the ray's angle.

    Without coefficients it is the equidistant lens, not a pinhole.

    >>> import torch
    >>> round(float(KannalaBrandt().distort(torch.tensor([1.0, 0.0]))[0]), 4)  # 45 degrees
    0.7854
    """

    name: ClassVar[str] = "kannala_brandt"

    k1: float | Tensor = 0.0  # of the third power of the angle
    k2: float | Tensor = 0.0  # of the fifth power
    k3: float | Tensor = 0.0  # of the seventh power
    k4: float | Tensor = 0.0  # of the ninth power

    def _radius(self, angle: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distorted radius of an angle (radians), and its derivative."""
        s = angle * angle
        radius = angle * (1 + s * (self.k1 + s * (self.k2 + s * (self.k3 + s * self.k4))))
        slope = 1 + s * (3 * self.k1 + s * (5 * self.k2 + s * (7 * self.k3 + s * 9 * self.k4)))
        return radius, slope

    @property
    def max_angle(self) -> float:
        """The angle at which the distorted radius stops growing, in radians; 180 degrees at most."""
        k1, k2, k3, k4 = map(_float, self.coefficients)
        return min(math.sqrt(_first_root(np.array([9 * k4, 7 * k3, 5 * k2, 3 * k1, 1.0]))), math.pi)

    @property
    def max_radius(self) -> float:
        """See `Lens.max_radius`."""
        return math.tan(min(self.max_angle, math.radians(MAX_ANGLE)))

    def distort(self, x: Tensor) -> Tensor:
        """See `Lens.distort`."""
        r = (x * x).sum(-1).clamp(min=TINY).sqrt()
        return x * (self._radius(r.atan())[0] / r)[..., None]

    def jacobian(self, x: Tensor) -> Tensor:
        """See `Lens.jacobian`."""
        import torch

        r = (x * x).sum(-1).clamp(min=TINY).sqrt()
        radius, slope = self._radius(r.atan())
        across = (radius / r)[..., None, None]  # along the circle
        along = (slope / (1 + r * r))[..., None, None]  # away from the axis
        u = x / r[..., None]
        outer = u[..., :, None] * u[..., None, :]
        return across * torch.eye(2, dtype=x.dtype, device=x.device) + (along - across) * outer

    def first_guess(self, distorted: Tensor) -> Tensor:
        """See `Lens.first_guess`."""
        target = (distorted * distorted).sum(-1).clamp(min=TINY).sqrt()
        angle = _increasing_inverse(self._radius, target, min(self.max_angle, math.radians(MAX_ANGLE)))
        return distorted * (angle.tan() / target)[..., None]

    def angle(self, distorted: Tensor) -> Tensor:
        """See `Lens.angle`."""
        target = (distorted * distorted).sum(-1).clamp(min=TINY).sqrt()
        return _increasing_inverse(self._radius, target, self.max_angle)


def _first_root(polynomial: np.ndarray) -> float:
    """Return the smallest positive root of a polynomial that is 1 at 0; infinity if there is none.

    Args:
        polynomial: its coefficients, the highest power first.
    """
    inverse = np.roots(polynomial[::-1])  # of the reciprocals: their leading coefficient is 1, however small others are
    real = inverse.real[(np.abs(inverse.imag) <= REAL * np.abs(inverse)) & (inverse.real > 0)]
    return float(1 / real.max()) if len(real) else math.inf


def _increasing_inverse(function: Callable[[Tensor], tuple[Tensor, Tensor]], target: Tensor, upper: float) -> Tensor:
    """Return the arguments in [0, upper] at which an increasing function takes given values; a bound where none does.

    Newton's method, with halving of the interval where it would leave it.

    Args:
        function: returns value and derivative; 0 at 0, and increasing up to `upper`.
        target: the values [...].
        upper: the largest argument.
    """
    import torch

    low, high = torch.zeros_like(target), torch.full_like(target, upper)
    x = target.clamp(max=upper)
    for _ in range(RADIAL_STEPS):
        value, slope = function(x)
        below = value < target
        low, high = torch.where(below, x, low), torch.where(below, high, x)
        step = x - (value - target) / slope
        new = torch.where((step > low) & (step < high), step, (low + high) / 2)
        if not bool(((new - x).abs() > 1e-15 * (1 + x)).any()):
            break
        x = new
    return x


def _solve(J: Tensor, residual: Tensor) -> Tensor:
    """Return the solution y of J y = residual, for J [..., 2, 2] and residual [..., 2]."""
    import torch

    a, b, c, d = J[..., 0, 0], J[..., 0, 1], J[..., 1, 0], J[..., 1, 1]
    p, q = residual[..., 0], residual[..., 1]
    return torch.stack([d * p - b * q, a * q - c * p], -1) / (a * d - b * c)[..., None]


def _float(value: float | Tensor) -> float:
    """Return a number that may be a tensor as a float."""
    return float(value) if isinstance(value, (int, float)) else float(value.detach())


def _floats(camera: Camera) -> tuple[float, float, float, float]:
    """Return fx, fy, cx and cy of one camera as floats."""
    return _float(camera.fx), _float(camera.fy), _float(camera.cx), _float(camera.cy)


# --- images -------------------------------------------------------------------------------------------------------


def source_pixels(camera: Camera, lens: Lens, ideal: Camera, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return where pixels of the pinhole image lie in the distorted image.

    Args:
        camera: the intrinsics of the distorted image.
        lens: its lens.
        ideal: the camera of the pinhole image.
        pixels: pixels [..., 2] as (u, v) of the pinhole image.

    Returns:
        Pixels [..., 2] of the distorted image, and the mask [...] bool of valid ones, which lie in the valid radius of
        the lens and between the centers of the distorted image's outer pixels.
    """
    fx, fy, cx, cy = _floats(ideal)
    focal, center = pixels.new_tensor([fx, fy]), pixels.new_tensor([cx, cy])
    x = (pixels - center) / focal
    fx, fy, cx, cy = _floats(camera)
    found = lens.distort(x) * pixels.new_tensor([fx, fy]) + pixels.new_tensor([cx, cy])
    limit = pixels.new_tensor([camera.width - 1, camera.height - 1])
    return found, lens.is_valid(x) & ((found >= 0) & (found <= limit)).all(-1)


def _border(width: int, height: int) -> Tensor:
    """Return the outer pixels of an image: [2 W + 2 H, 2] as (u, v)."""
    import torch

    u, v = torch.arange(width, dtype=torch.float64), torch.arange(height, dtype=torch.float64)
    sides = [(u, 0 * u), (u, 0 * u + height - 1), (0 * v, v), (0 * v + width - 1, v)]
    return torch.cat([torch.stack(side, -1) for side in sides])


def ideal_camera(camera: Camera, lens: Lens) -> Camera | None:
    """Return the pinhole camera to undistort to, for which every pixel of the pinhole image is known.

    Size, principal point and the ratio of the focal lengths stay. The focal length is the shortest one for which the
    border of the pinhole image lies in the distorted image and in the valid radius of the lens, and the fields of view
    are at most `MAX_FOV`.

    Args:
        camera: the intrinsics of the distorted image, floats.
        lens: its lens.

    Returns:
        The camera; None if no focal length within `FOCAL_RANGE` times the lens's will do: the coefficients are not
        those of a lens for this image.

    >>> camera = Camera.from_fov(90, 640, 480)
    >>> ideal_camera(camera, BrownConrady(-0.2)).fov() > 90
    True
    """
    border = _border(camera.width, camera.height)

    def zoomed(factor: float) -> Camera:
        return replace(camera, fx=camera.fx * factor, fy=camera.fy * factor)

    def fits(factor: float) -> bool:
        view = zoomed(factor)
        return max(fields_of_view(view)) <= MAX_FOV and bool(source_pixels(camera, lens, view, border)[1].all())

    low, high = FOCAL_RANGE
    if not fits(high):
        return None
    for _ in range(FOCAL_STEPS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if fits(middle) else (middle, high)
    return zoomed(high)


def fields_of_view(camera: Camera) -> tuple[float, float]:
    """Return the horizontal and the vertical field of view of a pinhole camera, in degrees from border to border.

    Args:
        camera: the camera, floats.

    >>> [round(angle, 1) for angle in fields_of_view(Camera.from_fov(90, 640, 320))]
    [90.0, 53.1]
    """
    turned = Camera(camera.fy, camera.fx, camera.cy, camera.cx, camera.height, camera.width)
    return camera.fov(), turned.fov()


def make_lens(kind: str, coefficients: tuple[float, ...]) -> Lens:
    """Return the lens of a model's name and its coefficients in OpenCV's order.

    Args:
        kind: "brown_conrady" or "kannala_brandt".
        coefficients: 4, 5 or 8 of the first, 4 of the second. Raises ValueError, half a sentence, for another number
            of them, for what is no number, for an order in which no lens has them, and for another name.

    >>> make_lens("kannala_brandt", (0.1, 0.0, 0.0, 0.0)).k1
    0.1
    """
    models: dict[str, tuple[Any, tuple[int, ...]]] = {
        BrownConrady.name: (BrownConrady, (4, 5, 8)),
        KannalaBrandt.name: (KannalaBrandt, (4,)),
    }
    if kind not in models:
        raise ValueError(f"'{kind}' is no lens model; valid ones are {', '.join(models)}")
    model, counts = models[kind]
    if len(coefficients) not in counts:
        valid = " or ".join(map(str, counts))
        raise ValueError(f"{kind} has {valid} coefficients (found {len(coefficients)}): k1, k2, ... in OpenCV's order")
    if not all(map(math.isfinite, coefficients)):
        raise ValueError(f"coefficients: hold {next(c for c in coefficients if not math.isfinite(c))}, no number")
    tangential = coefficients[2:4] if kind == BrownConrady.name else ()
    if max(map(abs, tangential), default=0) > MAX_TANGENTIAL:
        raise ValueError(
            f"coefficients: p1 and p2 are {tangential[0]:g} and {tangential[1]:g}, and no lens is this far off its "
            f"axis; write k1, k2, p1, p2, k3 in this order (others write k1, k2, k3, p1, p2), or kannala_brandt if "
            f"they are a fisheye's k1, k2, k3, k4"
        )
    lens: Lens = model(*coefficients)
    return lens
