"""Resizing of images, depth maps and label maps as arrays. Measurements and labels are moved, never averaged."""

from __future__ import annotations

import numpy as np
import torch

from packdepth.geometry.resize import resize_image


def resized_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize an image in the way that training does.

    Args:
        image: [H, W, 3] uint8, RGB.
        height: height of the result, in pixels.
        width: width of the result, in pixels.

    >>> resized_image(np.full((4, 8, 3), 7, dtype=np.uint8), 2, 4).shape
    (2, 4, 3)
    """
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
    small = (resize_image(pixels, height, width)[0] * 255).round().byte()
    return small.permute(1, 2, 0).numpy()


def resized_depth(depth: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a depth map. Each measurement moves to the pixel that it falls into; of several, the nearest is kept.

    Args:
        depth: [H, W] metres, 0 where unknown.
        height: height of the result, in pixels.
        width: width of the result, in pixels.

    >>> resized_depth(np.array([[5.0, 0.0, 0.0, 0.0], [3.0, 0.0, 0.0, 0.0]]), 1, 2)
    array([[3., 0.]])
    """
    rows, columns = np.nonzero(depth > 0)
    small = np.full((height, width), np.inf, dtype=depth.dtype)
    places = (2 * rows + 1) * height // (2 * depth.shape[0]), (2 * columns + 1) * width // (2 * depth.shape[1])
    np.minimum.at(small, places, depth[rows, columns])
    return np.where(np.isinf(small), 0, small)


def resized_labels(labels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a label map. Each pixel of the result takes the label at its center.

    Args:
        labels: [..., H, W], of any type.
        height: height of the result, in pixels.
        width: width of the result, in pixels.

    >>> resized_labels(np.array([[1, 1, 2], [1, 1, 2], [3, 3, 4]]), 1, 1)
    array([[1]])
    """
    rows = (2 * np.arange(height) + 1) * labels.shape[-2] // (2 * height)
    columns = (2 * np.arange(width) + 1) * labels.shape[-1] // (2 * width)
    taken: np.ndarray = labels[..., rows[:, None], columns]
    return taken
