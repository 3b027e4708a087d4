"""Sparse optical flow between two frames: pyramidal Lucas-Kanade on a grid of points, in numpy.

Training uses it to leave out frames in which the camera stands; `packdepth.inspection` uses it to check data.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue (ITU-R BT.601)
MAX_WIDTH = 320  # pixels, of the images that flow is computed on: finds a motion of 1/416 of the width, and is fast
SPACING = 16  # pixels between grid points: about 120 points in an image of 320x96 pixels
RADIUS = 5  # pixels, of the window around a point; chosen by eye
MIN_LEVEL_SIDE = 12  # pixels, of the shorter side of the coarsest level: one window is 11 pixels wide
ITERATIONS = 4  # Gauss-Newton steps on each level; chosen by eye
MIN_GRADIENT = 0.01  # gray in [0, 1] per pixel: below it a window has no texture; compared with the root of the smaller
# eigenvalue of the mean structure tensor (Shi and Tomasi, CVPR 1994); chosen by eye
MAX_RESIDUAL = 0.06  # gray in [0, 1]: root mean square difference of two windows that show the same; chosen by eye
DAMPING = 1e-6  # squared gray per squared pixel: makes the structure tensor of a flat window invertible; a hundredth of
# MIN_GRADIENT squared
MIN_POINTS = 5  # points: a mean over fewer says nothing
MIN_FOUND_SHARE = 0.05  # of the grid points: if fewer are found, the two frames hardly overlap; chosen by eye
BORDER = 1.001  # pixels: keeps the right and lower neighbor of a bilinear sample inside the image


@dataclass(frozen=True, eq=False)
class Flow:
    """Motion of a grid of points from one image to another."""

    points: np.ndarray  # [N, 2] as (u, v), pixels of the first image
    vectors: np.ndarray  # [N, 2] pixels
    found: np.ndarray  # [N] bool: the point's window has texture in all directions and matches in the second image


def small_gray(image: np.ndarray) -> np.ndarray:
    """Return the luma of an RGB image, small enough for optical flow.

    The image is averaged over blocks of whole pixels, so that it is at most `MAX_WIDTH` pixels wide.

    Args:
        image: [H, W, 3] uint8, RGB.

    Returns:
        [h, w] float32 in [0, 1].

    >>> small_gray(np.full((96, 640, 3), 255, dtype=np.uint8)).shape
    (48, 320)
    """
    gray = image.astype(np.float32) @ np.array(LUMA, dtype=np.float32) / 255
    return pooled(gray, -(-image.shape[1] // MAX_WIDTH))


def pooled(image: np.ndarray, factor: int) -> np.ndarray:
    """Average an image over blocks of `factor` x `factor` pixels.

    Args:
        image: [H, W]. Rows and columns at the bottom and right that fill no block are cut off.
        factor: height and width of a block, in pixels.

    >>> pooled(np.array([[1.0, 3.0, 9.0], [5.0, 7.0, 9.0]]), 2)
    array([[4.]])
    """
    height, width = image.shape[0] // factor, image.shape[1] // factor
    cut = image[: height * factor, : width * factor].astype(np.result_type(image, np.float32), copy=False)
    rows = reduce(np.add, [cut[row::factor] for row in range(factor)])  # ten times as fast as the mean over blocks
    return np.asarray(reduce(np.add, [rows[:, column::factor] for column in range(factor)]) / factor**2)


def optical_flow(first: np.ndarray, second: np.ndarray) -> Flow:
    """Compute the motion of a grid of points from one gray image to another, coarse to fine.

    The mean of each window is subtracted before windows are compared, so that a change of exposure is no motion.
    Sources: Lucas and Kanade, IJCAI 1981; Bouguet, 2001, for the pyramid.

    Args:
        first: [H, W] gray in [0, 1].
        second: [H, W], the following frame.
    """
    height, width = first.shape
    u = np.arange(RADIUS + (width - 1 - 2 * RADIUS) % SPACING // 2, width - RADIUS, SPACING)
    v = np.arange(RADIUS + (height - 1 - 2 * RADIUS) % SPACING // 2, height - RADIUS, SPACING)
    points = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2).astype(np.float32)
    levels = [(first, second)]
    while min(levels[-1][0].shape) >= 2 * MIN_LEVEL_SIDE:
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
    """Return the mean length of the flow as a share of the image's width; NaN if too few points were found.

    Args:
        flow: optical flow between two frames.
        width: width of these frames, in pixels.

    >>> moved = np.full((8, 2), [3.0, 4.0])
    >>> mean_motion(Flow(np.zeros((8, 2)), moved, np.ones(8, dtype=bool)), width=100)
    0.05
    """
    if flow.found.sum() < max(MIN_POINTS, MIN_FOUND_SHARE * len(flow.found)):
        return float("nan")
    return float(np.linalg.norm(flow.vectors[flow.found], axis=-1).mean() / width)


def _refined(
    first: np.ndarray, second: np.ndarray, points: np.ndarray, vectors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Refine flow on one level of the pyramid.

    Args:
        first: [H, W], the first image on this level.
        second: [H, W], the second image on this level.
        points: [N, 2] as (u, v), pixels of this level.
        vectors: [N, 2], the flow that the coarser level has found, in pixels of this level.

    Returns:
        The refined flow [N, 2], and whether each point's window was found [N].
    """
    down, across = np.gradient(first)
    slopes = np.stack([_windows(across, points), _windows(down, points)], axis=1)  # [N, 2, P]
    slopes -= slopes.mean(-1, keepdims=True)
    template = _centered(_windows(first, points))
    tensor = np.einsum("nip,njp->nij", slopes, slopes) / slopes.shape[-1]  # [N, 2, 2]
    steps = np.linalg.inv(tensor + DAMPING * np.eye(2, dtype=np.float32)) @ slopes / slopes.shape[-1]
    for _ in range(ITERATIONS):
        difference = template - _centered(_windows(second, points + vectors))
        vectors = vectors + np.einsum("nip,np->ni", steps, difference).clip(-RADIUS, RADIUS)
    difference = template - _centered(_windows(second, points + vectors))
    textured = np.linalg.eigvalsh(tensor)[:, 0] > MIN_GRADIENT**2
    return vectors, textured & ((difference**2).mean(1) < MAX_RESIDUAL**2)


def _windows(image: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Sample the windows around points bilinearly; outside, the border of the image is repeated.

    Args:
        image: [H, W].
        centers: [N, 2] as (u, v), in pixels.

    Returns:
        [N, P], row by row. All pixels of a window share the fractions, because they are whole pixels apart.
    """
    whole = np.floor(centers).astype(np.int32)
    right, low = (centers - whole).astype(image.dtype).T[..., None, None]
    u, v = (whole[:, :, None] + np.arange(-RADIUS, RADIUS + 2)).transpose(1, 0, 2)  # [N, 2 * RADIUS + 2] each
    index = v.clip(0, image.shape[0] - 1)[:, :, None] * image.shape[1] + u.clip(0, image.shape[1] - 1)[:, None]
    pixels = image.ravel().take(index)
    rows = pixels[:, :-1] * (1 - low) + pixels[:, 1:] * low
    return np.asarray(rows[..., :-1] * (1 - right) + rows[..., 1:] * right).reshape(len(centers), -1)


def _centered(windows: np.ndarray) -> np.ndarray:
    """Subtract from each window [N, P] its mean."""
    return np.asarray(windows - windows.mean(1, keepdims=True))


def sampled(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Sample an image bilinearly; outside, its border is repeated.

    Args:
        image: [H, W].
        places: [..., 2] as (u, v), in pixels.

    >>> float(sampled(np.array([[1.0, 3.0], [1.0, 3.0]]), np.array([0.25, 0.0])))
    1.5
    """
    height, width = image.shape
    u, v = places[..., 0].clip(0, width - BORDER), places[..., 1].clip(0, height - BORDER)
    left, top = u.astype(np.int32), v.astype(np.int32)
    right, low = u - left, v - top
    flat, index = image.ravel(), top * width + left
    above = flat[index] * (1 - right) + flat[index + 1] * right
    below = flat[index + width] * (1 - right) + flat[index + width + 1] * right
    return np.asarray(above * (1 - low) + below * low)
