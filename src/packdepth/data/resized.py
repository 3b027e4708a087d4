"""What belongs to an image, at the size of a resized one: measurements are moved, never mixed."""

from __future__ import annotations

import numpy as np
import torch

from packdepth.geometry.resize import resize_image


def resized_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Image [H, W, 3] uint8 at another size, as training resizes it."""
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
    small = (resize_image(pixels, height, width)[0] * 255).round().byte()
    return small.permute(1, 2, 0).numpy()


def resized_depth(depth: np.ndarray, height: int, width: int) -> np.ndarray:
    """Depth [H, W] (metres, 0 where unknown) at another size.

    Each measurement goes to the pixel that it falls into; of several the nearest is kept, as of a scan.
    """
    rows, columns = np.nonzero(depth > 0)
    small = np.full((height, width), np.inf, dtype=depth.dtype)
    places = (2 * rows + 1) * height // (2 * depth.shape[0]), (2 * columns + 1) * width // (2 * depth.shape[1])
    np.minimum.at(small, places, depth[rows, columns])
    return np.where(np.isinf(small), 0, small)


def resized_labels(labels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Labels [..., H, W] at another size: each pixel has the label that lies at its center."""
    rows = (2 * np.arange(height) + 1) * labels.shape[-2] // (2 * height)
    columns = (2 * np.arange(width) + 1) * labels.shape[-1] // (2 * width)
    taken: np.ndarray = labels[..., rows[:, None], columns]
    return taken
