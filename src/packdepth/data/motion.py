"""Image motion between two frames: pyramidal Lucas-Kanade on a grid of points, in numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WIDTH = 320  # pixels at most of the images that motion is measured on
SPACING = 16  # pixels between points
RADIUS = 5  # of the window about a point, pixels
SMALLEST = 12  # pixels of the shorter side of the coarsest level
ITERATIONS = 4  # on each level
LEAST_GRADIENT = 0.01  # gray in [0, 1] per pixel: root of the smaller eigenvalue of a window's mean structure tensor
MOST_RESIDUAL = 0.06  # gray: root mean square difference of two windows that show the same


@dataclass(frozen=True, eq=False)
class Flow:
    """The motion of points from one image to another."""

    points: np.ndarray  # [N, 2] as (u, v), pixels of the first image
    vectors: np.ndarray  # [N, 2] pixels
    found: np.ndarray  # [N] bool: the window has texture in all directions and was found again


def small_gray(image: np.ndarray) -> np.ndarray:
    """Luma [h, w] float32 in [0, 1] of an RGB image [H, W, 3] uint8, averaged over whole pixels to at most 320 wide."""
    gray = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32) / 255
    return pooled(gray, -(-image.shape[1] // WIDTH))


def pooled(image: np.ndarray, factor: int) -> np.ndarray:
    """Image [H, W] averaged over windows of `factor` x `factor`; a rest at the right or bottom border is cut off."""
    height, width = image.shape[0] // factor, image.shape[1] // factor
    cut = image[: height * factor, : width * factor]
    mean: np.ndarray = cut.reshape(height, factor, width, factor).mean((1, 3))
    return mean


def optical_flow(first: np.ndarray, second: np.ndarray) -> Flow:
    """The motion of a grid of points from one gray image [H, W] to another of the same size.

    Coarse to fine, with windows compared less their means, so that a change of exposure is no motion. Source: Lucas
    and Kanade, IJCAI 1981; pyramids as in Bouguet 2001.
    """
    height, width = first.shape
    u = np.arange(RADIUS + (width - 1 - 2 * RADIUS) % SPACING // 2, width - RADIUS, SPACING)
    v = np.arange(RADIUS + (height - 1 - 2 * RADIUS) % SPACING // 2, height - RADIUS, SPACING)
    points = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2).astype(np.float32)
    levels = [(first, second)]
    while min(levels[-1][0].shape) >= 2 * SMALLEST:
        levels.append((pooled(levels[-1][0], 2), pooled(levels[-1][1], 2)))
    vectors = np.zeros_like(points)
    found = np.zeros(len(points), dtype=bool)
    for level in reversed(range(len(levels))):
        places = (points + 0.5) / 2**level - 0.5
        vectors, found = _refined(*levels[level], places, vectors)
        if level:
            vectors = vectors * 2
    inside = ((points + vectors >= 0) & (points + vectors <= [width - 1, height - 1])).all(-1)
    return Flow(points, vectors, found & inside)


def mean_motion(flow: Flow, width: int) -> float:
    """Mean length of the motion of the points that were found, as a share of the image's width; NaN if too few were."""
    if flow.found.sum() < max(5, 0.05 * len(flow.found)):
        return float("nan")
    return float(np.linalg.norm(flow.vectors[flow.found], axis=-1).mean() / width)


def _refined(
    first: np.ndarray, second: np.ndarray, points: np.ndarray, vectors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Motion [N, 2] on one level, from that of the level above, and whether each window was found."""
    offsets = np.stack(np.meshgrid(*[np.arange(-RADIUS, RADIUS + 1)] * 2), axis=-1).reshape(-1, 2).astype(np.float32)
    windows = points[:, None] + offsets  # [N, P, 2]
    down, across = np.gradient(first)
    slopes = np.stack([_sampled(across, windows), _sampled(down, windows)], axis=-1)  # [N, P, 2]
    slopes -= slopes.mean(1, keepdims=True)
    template = _centerd(_sampled(first, windows))
    tensor = np.einsum("npi,npj->nij", slopes, slopes) / len(offsets)  # [N, 2, 2]
    inverse = np.linalg.inv(tensor + 1e-6 * np.eye(2, dtype=np.float32))
    for _ in range(ITERATIONS):
        difference = template - _centerd(_sampled(second, windows + vectors[:, None]))
        step = np.einsum("nij,npj,np->ni", inverse, slopes, difference, optimize=True) / len(offsets)
        vectors = vectors + step.clip(-RADIUS, RADIUS)
    difference = template - _centerd(_sampled(second, windows + vectors[:, None]))
    textured = np.linalg.eigvalsh(tensor)[:, 0] > LEAST_GRADIENT**2
    return vectors, textured & ((difference**2).mean(1) < MOST_RESIDUAL**2)


def _centerd(windows: np.ndarray) -> np.ndarray:
    return np.asarray(windows - windows.mean(1, keepdims=True))


def _sampled(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Bilinear samples [...] of an image [H, W] at places [..., 2] as (u, v); beyond its border the border goes on."""
    height, width = image.shape
    u, v = places[..., 0].clip(0, width - 1.001), places[..., 1].clip(0, height - 1.001)
    left, top = u.astype(np.int32), v.astype(np.int32)
    right, low = u - left, v - top
    flat, index = image.ravel(), top * width + left
    above = flat[index] * (1 - right) + flat[index + 1] * right
    below = flat[index + width] * (1 - right) + flat[index + width + 1] * right
    return np.asarray(above * (1 - low) + below * low)
