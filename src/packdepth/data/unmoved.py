"""What never moves in a moving camera's images: a hood, a logo, a date burnt into the video."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from packdepth.data.motion import pooled

FEWEST = 12  # images, below which edges of the world have not averaged out
CELL = 4  # pixels: masks are made of cells of this size
PERSISTENT = 0.9  # share of an edge that survives averaging over time
STEADY = 0.02  # gray in [0, 1]: standard deviation over time of the steadiest pixel of a cell, at most
EDGE = 0.015  # gray per pixel: least mean gradient of a cell that shows something
LEAST_SHARE = 0.002  # of the image: what is smaller is chance


def unmoved(images: Sequence[np.ndarray]) -> np.ndarray:
    """The mask [H, W] bool of what never moves, of gray images [H, W] in [0, 1] among which the camera moved.

    Edges of the world blur when images are averaged, edges that are fixed to the camera stay: cells where the gradient
    of the mean is nearly the mean of the gradients, and that are partly steady in brightness. If such an edge spans
    most of the image's lower half, it is a hood's, and all below it belongs to it. Too few images tell nothing.
    """
    height, width = images[0].shape if images else (0, 0)
    mask = np.zeros((height, width), dtype=bool)
    if len(images) < FEWEST:
        return mask
    stack = np.stack(images)
    gradients = np.mean([_gradient(image) for image in stack], axis=0)
    persistent, mean = pooled(_gradient(stack.mean(0)), CELL), pooled(gradients, CELL)
    cells = (mean > EDGE) & (persistent > PERSISTENT * mean) & (_least(stack.std(0)) < STEADY)
    cells &= _neighbors(cells) >= 2
    cells = _with_hood(cells)
    if cells.mean() < LEAST_SHARE:
        return mask
    grown = cells | (_neighbors(cells) > 0)
    mask[: grown.shape[0] * CELL, : grown.shape[1] * CELL] = grown.repeat(CELL, 0).repeat(CELL, 1)
    return mask


def _gradient(image: np.ndarray) -> np.ndarray:
    down, across = np.gradient(image)
    return np.asarray(np.hypot(down, across))


def _least(image: np.ndarray) -> np.ndarray:
    """The least value in each cell."""
    height, width = image.shape[0] // CELL, image.shape[1] // CELL
    cut = image[: height * CELL, : width * CELL]
    return np.asarray(cut.reshape(height, CELL, width, CELL).min((1, 3)))


def _neighbors(cells: np.ndarray) -> np.ndarray:
    """How many of the eight cells around each are set."""
    padded = np.pad(cells.astype(int), 1)
    height, width = cells.shape
    rows = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    return np.asarray(sum(rows))


def _with_hood(cells: np.ndarray) -> np.ndarray:
    """The cells, with all below an edge in the lower half that spans most columns."""
    height, width = cells.shape
    lower = cells.copy()
    lower[: height // 2] = False
    columns = lower.any(0)
    if columns.mean() < 0.6:
        return cells
    tops = np.interp(np.arange(width), np.flatnonzero(columns), lower.argmax(0)[columns])
    return np.asarray(cells | (np.arange(height)[:, None] >= tops))
