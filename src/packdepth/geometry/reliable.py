"""Pixels whose predicted depth can be trusted, judged from the image and the prediction alone, without labels.

The thresholds were chosen on rendered city drives with exact depth. The borders of the image are kept: pixels in the
outermost 2 % of the width were hardly worse than others (35 and 41 % of them were wrong).
"""

from __future__ import annotations

import numpy as np

from packdepth.geometry.camera import Camera

# Measured on 80 frames of 4 drives (packdepth city --split val --seed 32), predicted by two networks, of which 28 and
# 29 % of the pixels are wrong: sky, or 30 % off. Precision is the share of the cut pixels that are wrong.
SKY_ROWS = 100  # brightness is compared over 1/100 of the height, so that the size of the image does not matter
SKY_STEP = 0.02  # largest step of brightness in the sky, of 1: cuts 82 % of the sky, with a precision of 0.91
SKY_DEPTH = 1.5  # smallest depth of the sky, over the typical depth of the lower third of the image: six trainings put
# the nearest 5 % of it at 1.7 to 3.5; with 2, one of them kept a third of its sky; below 1.5, ceilings are at risk
FAR = 6.0  # depth over the typical depth of the lower third from which nothing is reliable: precision 0.44 and 0.54
SLOPE = 15.0  # depth gained for each step sideways, in the same unit: precision 0.78 and 0.67; a wall 3 m away: at 45 m
DISAGREEMENT = 0.1  # relative difference from the mirrored image's prediction: precision 0.41 and 0.57


def reliable_pixels(
    inv_depth: np.ndarray, image: np.ndarray, camera: Camera, disagreement: np.ndarray | None = None
) -> np.ndarray:
    """Return the mask [H, W] (bool) of the pixels that are neither sky, nor far, nor between a near and a far surface.

    Args:
        inv_depth: inverse depth [H, W], in any unit.
        image: the image [H, W, 3] uint8, RGB.
        camera: its camera, of the size of the image.
        disagreement: relative difference [H, W] from the prediction of the mirrored image; None if it is not known.

    Raises InputError if the camera is for another size.

    >>> camera = Camera.from_fov(60, width=100, height=50)
    >>> inv_depth = np.full((50, 100), 0.1)
    >>> inv_depth[:, :50] = 0.05  # an edge in the middle
    >>> mask = reliable_pixels(inv_depth, np.zeros((50, 100, 3), np.uint8), camera)
    >>> np.flatnonzero(~mask[0]).tolist()
    [49, 50]
    """
    height, width = inv_depth.shape
    camera.check_size(height, width, "depth map")
    typical = np.median(inv_depth[height * 2 // 3 :])
    kept: np.ndarray = inv_depth * FAR > typical
    kept &= ~sky(inv_depth, image)
    kept &= sideways_slope(inv_depth, camera) < SLOPE
    if disagreement is not None:
        kept &= disagreement < DISAGREEMENT
    return kept


def sky(inv_depth: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return the mask [H, W] (bool) of the sky: smooth and bright from the upper border down, and not near.

    Args:
        inv_depth: inverse depth [H, W], in any unit.
        image: the image [H, W, 3] uint8, RGB.

    >>> image = np.full((30, 8, 3), 200, np.uint8)
    >>> image[10:] = 50
    >>> sky(np.where(np.arange(30) < 20, 0.01, 0.1)[:, None].repeat(8, axis=1), image).sum(axis=0)[0]
    np.int64(10)
    """
    gray = image.mean(axis=-1, dtype=np.float32) / 255
    height = len(gray)
    stride = max(1, round(height / SKY_ROWS))
    step = np.zeros_like(gray)
    step[:, stride:] = np.abs(gray[:, stride:] - gray[:, :-stride])
    step[stride:] = np.maximum(step[stride:], np.abs(gray[stride:] - gray[:-stride]))
    smooth = ~np.logical_or.accumulate(step > SKY_STEP, axis=0)
    typical = np.median(inv_depth[height * 2 // 3 :])
    return np.asarray(smooth & (gray > np.median(gray)) & (inv_depth * SKY_DEPTH < typical))


def sideways_slope(inv_depth: np.ndarray, camera: Camera) -> np.ndarray:
    """Return how much depth changes for each step to the side, in the same unit: [H, W], at least 0.

    Depth that was blurred across the edge of an object has a steep slope there, and surfaces beside the road have not.
    Slopes downwards do not matter: the road itself is steep in that direction.

    Args:
        inv_depth: inverse depth [H, W], in any unit.
        camera: the camera.

    >>> camera = Camera(fx=100.0, fy=100.0, cx=0.0, cy=0.0, width=3, height=1)
    >>> sideways_slope(np.array([[0.1, 0.11, 0.12]]), camera).round(1).tolist()
    [[10.0, 9.1, 8.3]]
    """
    return np.asarray(np.abs(np.gradient(inv_depth, axis=1)) * float(camera.fx) / inv_depth)
