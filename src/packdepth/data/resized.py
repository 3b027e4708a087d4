"""Resizing of images, depth maps and label maps as arrays. Measurements and labels are moved, never averaged.

Importing this module does not import torch.
"""

from __future__ import annotations

import numpy as np
from PIL import Image


def resized_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize an image in the way that training does.

    Args:
        image: [H, W, 3] uint8, RGB.
        height: height of the result, in pixels.
        width: width of the result, in pixels.

    >>> resized_image(np.full((4, 8, 3), 7, dtype=np.uint8), 2, 4).shape
    (2, 4, 3)
    """
    import torch

    from packdepth.geometry.resize import resize_image

    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
    small = (resize_image(pixels, height, width)[0] * 255).round().byte()
    return small.permute(1, 2, 0).numpy()


def resized_pixels(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize an image of floats, without torch, to what `packdepth.geometry.resize_image` returns up to rounding.

    Args:
        pixels: [H, W, 3] float32, RGB in [0, 1].
        height: height of the result, in pixels.
        width: width of the result, in pixels.

    >>> resized_pixels(np.full((4, 8, 3), 0.5, dtype=np.float32), 2, 4).shape
    (2, 4, 3)
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    channels = [
        np.asarray(Image.fromarray(channel).resize((width, height), Image.Resampling.BILINEAR))
        for channel in np.ascontiguousarray(pixels.transpose(2, 0, 1))
    ]
    return np.stack(channels, axis=-1).clip(0, 1)


def resized_inv_depth(inv_depth: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize inverse depth, without torch, to what `packdepth.geometry.resize_inv_depth` returns up to rounding.

    Args:
        inv_depth: [h, w] float32.
        height: height of the result, in pixels.
        width: width of the result, in pixels.

    >>> resized_inv_depth(np.array([[1.0, 3.0]], dtype=np.float32), 1, 4)
    array([[1. , 1.5, 2.5, 3. ]], dtype=float32)
    """
    for axis, size in enumerate((height, width)):
        last = inv_depth.shape[axis] - 1
        place = ((np.arange(size) + 0.5) * (last + 1) / size - 0.5).clip(0, last)
        before = place.astype(int)
        share = (place - before).astype(np.float32)
        share = share[:, None] if axis == 0 else share
        near, far = inv_depth.take(before, axis), inv_depth.take(np.minimum(before + 1, last), axis)
        inv_depth = near + share * (far - near)
    return inv_depth


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
    places = (2 * rows + 1) * height // (2 * depth.shape[0]), (2 * columns + 1) * width // (2 * depth.shape[1])
    return _nearest(depth[rows, columns], places, (height, width))


def enlarged_depth(depth: np.ndarray, start: tuple[float, float], share: tuple[float, float]) -> np.ndarray:
    """Enlarge a window of a depth map to the size of the map. Each measurement moves to the pixel that it falls into.

    Args:
        depth: [H, W] metres, 0 where unknown.
        start: row and column of the window's first corner, as shares of H and W.
        share: height and width of the window, as shares of H and W.

    >>> enlarged_depth(np.array([[5.0, 0.0, 3.0, 4.0]]), (0, 0.5), (1, 0.5))
    array([[0., 3., 0., 4.]])
    """
    known = np.nonzero(depth > 0)
    places = [
        np.floor((index + 0.5 - first * side) / part).astype(int)
        for index, first, part, side in zip(known, start, share, depth.shape, strict=True)
    ]
    inside = np.all([(place >= 0) & (place < side) for place, side in zip(places, depth.shape, strict=True)], axis=0)
    rows, columns = (place[inside] for place in places)
    return _nearest(depth[known][inside], (rows, columns), depth.shape)


def _nearest(depths: np.ndarray, places: tuple[np.ndarray, np.ndarray], size: tuple[int, ...]) -> np.ndarray:
    """Return the depth map [H, W] of measurements [N] at pixels, 0 elsewhere; of several, the nearest is kept."""
    found = np.full(size, np.inf, dtype=depths.dtype)
    np.minimum.at(found, places, depths)
    return np.where(np.isinf(found), 0, found)


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
