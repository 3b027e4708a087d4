"""Motion of the camera between two small images with depth, by direct alignment in numpy.

`packdepth.geometry.align` does the same in torch, which live prediction from exported files does without.
"""

from __future__ import annotations

import numpy as np

from packdepth.data.optical_flow import pooled, sampled
from packdepth.geometry.camera import Camera
from packdepth.geometry.pinhole import points_of, projected

MIN_SIDE = 16  # pixels, of the shorter side of the coarsest level
ROUNDS = 4  # Gauss-Newton steps on each level
MIN_NOISE = 0.01  # gray in [0, 1]: smallest noise that is assumed
OUTLIER = 2.0  # standard deviations at which Geman and McClure's weight is a quarter: moving objects and occlusions
DEVIATION = 1.4826  # standard deviation of normal noise, over the median of its absolute value
# Standard deviations of the prior about the first guess, which decides only where the images say nothing
TRANSLATION = 0.1  # in harmonic mean depths
ROTATION = 0.03  # radians
EXPOSURE = 0.3  # of the gain (a factor) and of the offset (gray in [0, 1])


def aligned_motion(
    image: np.ndarray, other: np.ndarray, inv_depth: np.ndarray, camera: Camera, guess: np.ndarray
) -> np.ndarray:
    """Return the motion that leads from an image with depth to another one, by Gauss-Newton steps, coarse to fine.

    Gain and offset of the other image are estimated, too, and weights are robust.
    Source: direct alignment as in DSO (Engel et al., PAMI 2018, section 2.1), of two frames and with fixed depth.

    Args:
        image: [H, W] gray in [0, 1].
        other: [H, W] gray of the other image.
        inv_depth: inverse depth [H, W] of the image, in 1/metres or another unit.
        camera: the camera of both, of floats.
        guess: T_other_image [4, 4] to start from.

    Returns:
        T_other_image [4, 4] float64, in the unit of depth.

    >>> image, camera = np.full((32, 32), 0.5), Camera.from_fov(90, 32, 32)
    >>> bool(np.array_equal(aligned_motion(image, image, np.full((32, 32), 0.1), camera, np.eye(4)), np.eye(4)))
    True
    """
    levels = [(image, other, inv_depth, camera)]
    while min(levels[-1][0].shape) >= 2 * MIN_SIDE:
        *maps, K = levels[-1]
        levels.append((*(pooled(each, 2) for each in maps), K.pooled(2)))  # type: ignore[arg-type]
    T = guess.astype(np.float64)
    exposure = np.array([0.0, 0.0])  # logarithm of the gain, and offset
    deviations = np.array([TRANSLATION / float(inv_depth.mean())] * 3 + [ROTATION] * 3 + [EXPOSURE] * 2)
    strayed = np.zeros(8)  # from the guess
    for one, two, inverse, K in reversed(levels):
        points = points_of(inverse, K)
        down, across = np.gradient(two)
        for _ in range(ROUNDS):
            moved = points @ T[:3, :3].T + T[:3, 3]
            places, inside = projected(moved, K)
            seen = sampled(two, places)
            rest = np.where(inside, (1 + exposure[0]) * one + exposure[1] - seen, 0)
            noise = max(DEVIATION * float(np.median(np.abs(rest[inside]))), MIN_NOISE) if inside.any() else MIN_NOISE
            weight = inside / (1 + (rest / (OUTLIER * noise)) ** 2) ** 2 / noise**2
            slopes = _slopes(sampled(across, places) * float(K.fx), sampled(down, places) * float(K.fy), moved)
            rows = np.concatenate([slopes, -one[..., None], -np.ones_like(one)[..., None]], axis=-1).reshape(-1, 8)
            weighted = rows * weight.reshape(-1, 1)
            normal = weighted.T @ rows + np.diag(deviations**-2)
            step = np.linalg.solve(normal, weighted.T @ rest.ravel() - strayed / deviations**2)
            T, exposure, strayed = exponential(step[:6]) @ T, exposure + step[6:], strayed + step
    return T


def _slopes(across: np.ndarray, down: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the change of gray [H, W, 6] with a translation and a rotation of points, from that with x/z and y/z."""
    x, y = points[..., 0] / points[..., 2], points[..., 1] / points[..., 2]
    along = -(across * x + down * y)
    shift = np.stack([across, down, along], axis=-1) / points[..., 2:]
    return np.concatenate([shift, np.cross(points, shift)], axis=-1)


def exponential(twist: np.ndarray) -> np.ndarray:
    """Return a small motion T [4, 4] of a translation and a rotation vector.

    Args:
        twist: [6], the translation and then the rotation in radians, which is applied first.

    >>> exponential(np.array([1.0, 2.0, 3.0, 0.0, 0.0, 0.0]))[:3, 3].tolist()
    [1.0, 2.0, 3.0]
    """
    angle = float(np.linalg.norm(twist[3:]))
    x, y, z = twist[3:] / max(angle, 1e-12)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    T = np.eye(4)
    T[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    T[:3, 3] = twist[:3]
    return T
