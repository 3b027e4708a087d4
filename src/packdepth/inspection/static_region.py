"""Static region: the part of the image that never moves while the camera does, such as a hood, a logo or a date.

The part of it that shows the camera's own vehicle is also known as the ego mask.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from packdepth.data.optical_flow import pooled

# The thresholds are chosen by eye: with them a logo and a hood are found as a whole, and nothing is found if everything
# moves (tests/inspection/test_static_region.py).
MIN_IMAGES = 12  # images; with fewer, edges of the world do not average out
CELL = 4  # pixels: side of the cells that the region consists of
MIN_PERSISTENCE = 0.9  # gradient of the mean image divided by mean gradient: share of an edge that remains
MAX_DEVIATION = 0.02  # gray in [0, 1]: standard deviation over time of the cell's pixel that changes least
MIN_GRADIENT = 0.015  # gray in [0, 1] per pixel: mean gradient of a cell; below, the cell has no edge
MIN_NEIGHBORS = 2  # number of static cells among the eight neighbors of a static cell; below, the cell is noise
MIN_HOOD_WIDTH = 0.6  # share of the image width that the edge of a hood spans at least
MIN_SHARE = 0.002  # share of the image area: a smaller region is noise (a cell is 0.0005 of an image of 320x96 pixels)


def static_region(images: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mask of the region that is static in all images: [H, W] bool.

    Averaging images over time blurs the edges of the world and keeps the edges that are fixed to the camera. A cell is
    static if it has an edge, if the gradient of the mean image is nearly the mean of the gradients, and if at least one
    of its pixels hardly changes its brightness. If there are static cells in the lower half of most columns, they are
    the edge of a hood, and everything below them belongs to the region. The region is extended by one cell.

    Args:
        images: [H, W] each, gray in [0, 1], between which the camera moves. With fewer than `MIN_IMAGES` the mask is
            empty, because they are not enough for the average.

    >>> moving = [np.roll(np.eye(96), 7 * i, axis=1) for i in range(24)]
    >>> bool(static_region(moving).any())
    False
    """
    height, width = images[0].shape if images else (0, 0)
    mask = np.zeros((height, width), dtype=bool)
    if len(images) < MIN_IMAGES:
        return mask
    stack = np.stack(images)
    gradients = np.mean([_gradient(image) for image in stack], axis=0)
    persistent, mean = pooled(_gradient(stack.mean(0)), CELL), pooled(gradients, CELL)
    steady = _cell_minimum(stack.std(0)) < MAX_DEVIATION
    cells = (mean > MIN_GRADIENT) & (persistent > MIN_PERSISTENCE * mean) & steady
    cells &= _neighbors(cells) >= MIN_NEIGHBORS
    cells = _with_hood(cells)
    if cells.mean() < MIN_SHARE:
        return mask
    grown = cells | (_neighbors(cells) > 0)
    mask[: grown.shape[0] * CELL, : grown.shape[1] * CELL] = grown.repeat(CELL, 0).repeat(CELL, 1)
    return mask


def _gradient(image: np.ndarray) -> np.ndarray:
    """Return the length of the gradient of an image [H, W] at each pixel."""
    down, across = np.gradient(image)
    return np.asarray(np.hypot(down, across))


def _cell_minimum(image: np.ndarray) -> np.ndarray:
    """Return the minimum of an image [H, W] in each cell: [H // CELL, W // CELL]."""
    height, width = image.shape[0] // CELL, image.shape[1] // CELL
    cut = image[: height * CELL, : width * CELL]
    return np.asarray(cut.reshape(height, CELL, width, CELL).min((1, 3)))


def _neighbors(cells: np.ndarray) -> np.ndarray:
    """Return for each cell the number of its eight neighbors that are set."""
    padded = np.pad(cells.astype(int), 1)
    height, width = cells.shape
    rows = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    return np.asarray(sum(rows))


def _with_hood(cells: np.ndarray) -> np.ndarray:
    """Return the cells with everything below the edge of a hood: set cells in the lower half of most columns."""
    height, width = cells.shape
    lower = cells.copy()
    lower[: height // 2] = False
    columns = lower.any(0)
    if columns.mean() < MIN_HOOD_WIDTH:
        return cells
    tops = np.interp(np.arange(width), np.flatnonzero(columns), lower.argmax(0)[columns])
    return np.asarray(cells | (np.arange(height)[:, None] >= tops))
