"""Fine details: how far the boundaries of predicted depth lie from those of the truth, and the other way round.

A boundary is where depth jumps. Both maps are searched by one detector, Canny's, on the logarithm of depth, so that a
jump is a ratio and a boundary does not depend on the scale of the depth. Of the two errors

    dbe_acc   mean distance from a predicted boundary pixel to the nearest true one,
    dbe_comp  mean distance from a true boundary pixel to the nearest predicted one,

each in pixels, the first says how sharp and well placed boundaries are, the second how many are found.

Source: Koch et al., ECCV workshops 2018 (IBims-1), depth boundary errors, with their distance of 10 pixels at most: a
predicted boundary pixel that lies farther from any true one is left out of dbe_acc, a true one counts as 10 in
dbe_comp. There, people drew the true boundaries; here the same detector finds them.
"""

from __future__ import annotations

import math
from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SIGMA = 1.0  # pixels, of the smoothing
RADIUS = 3  # pixels that it reaches
HIGH = 0.39 * math.log(1.25)  # per pixel: a jump by the ratio 1.25, smoothed, is a little steeper
LOW = HIGH / 2  # where a boundary that is that steep somewhere goes on
FARTHEST = 10  # pixels


class BoundaryErrors(NamedTuple):
    """Both errors, pixels."""

    dbe_acc: float
    dbe_comp: float


def boundary_errors(depth: Tensor, truth: Tensor) -> BoundaryErrors:
    """How well the boundaries of predicted depth fit those of the truth.

    Args:
        depth: [H, W] predicted, positive, in any unit.
        truth: [H, W] dense, NaN where unknown. Boundaries within 4 pixels of such pixels, or of the border of the
            image, are not judged.

    Returns:
        Errors in pixels: both NaN if the truth has no boundary, both 10 if none is predicted within 10 pixels of one.
    """
    unknown = truth.isnan()
    true = boundaries(truth.masked_fill(unknown, 1.0), unknown)
    if not true.any():
        return BoundaryErrors(math.nan, math.nan)
    predicted = boundaries(depth, unknown)
    to_true = distance_to(true)[predicted]
    near = to_true[to_true < FARTHEST]
    to_predicted = distance_to(predicted)[true]
    return BoundaryErrors(float(near.mean()) if len(near) else float(FARTHEST), float(to_predicted.mean()))


def boundaries(depth: Tensor, unknown: Tensor) -> Tensor:
    """Where depth [H, W] jumps: lines a pixel wide, [H, W] bool, away from unknown pixels [H, W] bool and the border.

    Canny's detector on log depth: slopes of the smoothed map, thinned to their ridges; those above HIGH, and those
    above LOW that are connected to them. A slope is that of four pixels, and belongs to the upper left one.
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
    """Where a slope [H, W] is the steepest along its own direction, which is rounded to 45 degrees."""
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
    """The pixels of a mask [H, W] that are connected to seeds in it, by sides or corners."""
    grown, before = seeds, torch.zeros_like(seeds)
    while not torch.equal(grown, before):
        before = grown
        grown = (F.max_pool2d(grown[None, None].float(), 3, 1, 1)[0, 0] > 0) & mask
    return grown


def distance_to(mask: Tensor) -> Tensor:
    """The Euclidean distance [H, W] (pixels, float64) of each pixel to the nearest one of a mask, 10 at most."""
    height, width = mask.shape
    reach = range(-FARTHEST, FARTHEST + 1)
    padded = F.pad(mask, [FARTHEST] * 4)
    nearest = torch.full((height, width), float(FARTHEST), dtype=torch.float64, device=mask.device)
    for row, column in product(reach, reach):
        length = math.hypot(row, column)
        if length < FARTHEST:
            there = padded[FARTHEST + row :, FARTHEST + column :][:height, :width]
            nearest = torch.where(there, nearest.clamp(max=length), nearest)
    return nearest
