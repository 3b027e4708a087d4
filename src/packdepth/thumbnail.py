"""Thumbnails that tell whether two images show the same scene, whatever their size and compression."""

from __future__ import annotations

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 16, 12  # pixels of a thumbnail: 192 bytes
OTHER_SCENE = 8.0  # gray levels of 255, mean difference of thumbnails (measured: JPEG up to 0.7, other clips 35 to 83)


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Return a small gray image, [12, 16] uint8, each of whose pixels is the mean of a part.

    Args:
        image: [H, W, 3] uint8, RGB.

    >>> thumbnail(np.full((30, 40, 3), 7, dtype=np.uint8)).max()
    np.uint8(7)
    """
    return np.asarray(Image.fromarray(image).convert("L").resize((WIDTH, HEIGHT), Image.Resampling.BOX))


def shows_other_scene(first: np.ndarray, second: np.ndarray) -> bool:
    """Return whether two thumbnails are of different scenes; images of one moment of a video are of one.

    Args:
        first: a thumbnail.
        second: another one.

    >>> dark = np.zeros((12, 16), np.uint8)
    >>> shows_other_scene(dark, dark + np.uint8(2)), shows_other_scene(dark, dark + np.uint8(90))
    (False, True)
    """
    return first.shape != second.shape or float(np.abs(first.astype(int) - second).mean()) > OTHER_SCENE
