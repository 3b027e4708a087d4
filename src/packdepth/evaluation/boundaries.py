"""Depth boundary errors: distances between the boundaries of predicted depth and those of the ground truth.

A boundary is where depth jumps. One detector, Canny's, finds boundaries in both maps. It works on the logarithm of
depth, so that a jump is a ratio and boundaries do not depend on the scale of the depth. There are two errors, in
pixels:

    dbe_acc   mean distance from a predicted boundary pixel to the nearest true one: how sharp and well placed
              predicted boundaries are,
    dbe_comp  mean distance from a true boundary pixel to the nearest predicted one: how many boundaries are found.

Source: Koch et al., ECCV workshops 2018 (IBims-1). Distances are limited to 10 pixels, as there: a predicted boundary
pixel that lies farther from any true one is left out of dbe_acc, and a true one counts as 10 in dbe_comp. IBims-1 has
true boundaries that people drew; here the same detector finds them.
"""

from __future__ import annotations

import math
from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SIGMA = 1.0  # pixels, standard deviation of the Gaussian that smooths log depth; Canny's usual value
RADIUS = 3  # pixels, radius of the Gaussian: three standard deviations
HIGH = 0.39 * math.log(1.25)  # log depth per pixel; a jump by the ratio 1.25 is a little steeper after smoothing
LOW = HIGH / 2  # log depth per pixel, along a boundary that is steeper than HIGH somewhere; Canny's usual half
MAX_DISTANCE = 10  # pixels; the limit of Koch et al.


class BoundaryErrors(NamedTuple):
    """The two depth boundary errors, in pixels."""

    dbe_acc: float  # mean distance from predicted boundary pixels to the nearest true one
    dbe_comp: float  # mean distance from true boundary pixels to the nearest predicted one


def boundary_errors(depth: Tensor, truth: Tensor) -> BoundaryErrors:
    """Return the depth boundary errors of a prediction.

    >>> columns = torch.arange(40).expand(30, 40)
    >>> depth, truth = (torch.where(columns < place, 10.0, 20.0) for place in (23, 20))
    >>> boundary_errors(depth, truth)  # every boundary pixel is off by three columns
    BoundaryErrors(dbe_acc=3.0, dbe_comp=3.0)

    Args:
        depth: predicted depth [H, W], positive, in any unit.
        truth: dense ground truth [H, W], NaN where unknown. Boundaries within 4 pixels of such pixels, or of the border
            of the image, are not evaluated.

    Returns:
        Errors in pixels. Both are NaN if the ground truth has no boundary, and 10 if no boundary is predicted within
        10 pixels of a true one.
    """
    unknown = truth.isnan()
    true = boundaries(truth.masked_fill(unknown, 1.0), unknown)
    if not true.any():
        return BoundaryErrors(math.nan, math.nan)
    predicted = boundaries(depth, unknown)
    to_true = distance_to(true)[predicted]
    near = to_true[to_true < MAX_DISTANCE]
    to_predicted = distance_to(predicted)[true]
    return BoundaryErrors(float(near.mean()) if len(near) else float(MAX_DISTANCE), float(to_predicted.mean()))


def boundaries(depth: Tensor, unknown: Tensor) -> Tensor:
    """Return the boundaries of a depth map, lines one pixel wide, [H, W] bool.

    This is Canny's detector on log depth: the slopes of the smoothed map are thinned to their ridges; kept are the
    ridges above HIGH, and those above LOW that are connected to them. A slope is computed from four pixels and assigned
    to the upper left one.

    Args:
        depth: [H, W], positive, in any unit.
        unknown: pixels of unknown depth, [H, W] bool. There are no boundaries near them, nor near the border.
    """
    log = depth.double().log()[None, None]
    taps = torch.exp(-0.5 * (torch.arange(-RADIUS, RADIUS + 1, dtype=log.dtype, device=log.device) / SIGMA) ** 2)
    taps = taps / taps.sum()
    padded = F.pad(log, [RADIUS, RADIUS + 1] * 2, mode="replicate")
    smooth = F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1))[0, 0]  # [H + 1, W + 1]
    across, down = smooth.diff(dim=1), smooth.diff(dim=0)
    across, down = (across[1:] + across[:-1]) / 2, (down[:, 1:] + down[:, :-1]) / 2
    slope = torch.hypot(across, down)  # [H, W], per pixel
    outside = F.pad(unknown, [RADIUS + 1] * 4, value=True)[None, None]
    touched = F.max_pool2d(outside.float(), 2 * RADIUS + 3, 1)[0, 0] > 0
    weak = _ridges(slope, across, down) & (slope >= LOW) & ~touched
    return _connected(weak & (slope >= HIGH), weak)


def _ridges(slope: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Return the pixels where a slope is the steepest along its direction, [H, W] bool.

    Args:
        slope: [H, W], the norm of the slope.
        across: [H, W], the slope along the rows.
        down: [H, W], the slope along the columns. The direction is rounded to 45 degrees.
    """
    octant = (torch.atan2(down, across) / (math.pi / 4)).round().long() % 4
    padded = F.pad(slope, [1] * 4)
    height, width = slope.shape

    def neighbor(row: int, column: int) -> Tensor:
        return padded[1 + row : 1 + row + height, 1 + column : 1 + column + width]

    ridges = torch.zeros_like(slope, dtype=torch.bool)
    for index, (row, column) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        steepest = (slope > neighbor(row, column)) & (slope >= neighbor(-row, -column))
        ridges |= (octant == index) & steepest
    return ridges


def _connected(seeds: Tensor, mask: Tensor) -> Tensor:
    """Return the pixels of a mask [H, W] that are connected to seeds [H, W] by sides or corners."""
    grown, before = seeds, torch.zeros_like(seeds)
    while not torch.equal(grown, before):
        before = grown
        grown = (F.max_pool2d(grown[None, None].float(), 3, 1, 1)[0, 0] > 0) & mask
    return grown


def distance_to(mask: Tensor) -> Tensor:
    """Return the Euclidean distance of each pixel to the nearest pixel of a mask, at most 10: [H, W] float64, pixels.

    Args:
        mask: [H, W] bool.
    """
    height, width = mask.shape
    reach = range(-MAX_DISTANCE, MAX_DISTANCE + 1)
    padded = F.pad(mask, [MAX_DISTANCE] * 4)
    nearest = torch.full((height, width), float(MAX_DISTANCE), dtype=torch.float64, device=mask.device)
    for row, column in product(reach, reach):
        length = math.hypot(row, column)
        if length < MAX_DISTANCE:
            there = padded[MAX_DISTANCE + row :, MAX_DISTANCE + column :][:height, :width]
            nearest = torch.where(there, nearest.clamp(max=length), nearest)
    return nearest
