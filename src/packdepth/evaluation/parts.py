"""Parts of an image that are judged on their own: ranges of distance, depth edges, what moves, classes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.city.classes import Label
from packdepth.records import Frame

LEAST_PIXELS = 30  # of an image, for it to count in a part
EDGE_RADIUS = 2  # pixels
EDGE_RATIO = 1.25  # of the farthest to the nearest truth within that radius


def range_names(bounds: Sequence[float]) -> list[str]:
    """The names of the ranges of distance between these bounds, metres."""
    return [f"{low:g} to {high:g} m" for low, high in pairwise(bounds)]


def range_masks(truth: Tensor, bounds: Sequence[float]) -> dict[str, Tensor]:
    """Where truth (metres) lies in each range, its lower bound included; the same shape, bool."""
    masks = ((truth >= low) & (truth < high) for low, high in pairwise(bounds))
    return dict(zip(range_names(bounds), masks, strict=True))


def edge_mask(truth: Tensor) -> Tensor:
    """Where depth jumps: known pixels around which (5x5) the farthest truth is 1.25 times the nearest or more.

    Args:
        truth: [H, W] metres, NaN where unknown.

    Returns:
        [H, W] bool.
    """
    known = ~truth.isnan()
    side = 2 * EDGE_RADIUS + 1
    log = truth.log()[None, None]
    far = F.max_pool2d(log.nan_to_num(-torch.inf), side, stride=1, padding=EDGE_RADIUS)
    near = -F.max_pool2d((-log).nan_to_num(-torch.inf), side, stride=1, padding=EDGE_RADIUS)
    jumps = (far - near)[0, 0] >= float(np.log(EDGE_RATIO))
    return known & jumps


def part_names(bounds: Sequence[float], classes: Sequence[str]) -> list[str]:
    """All parts that there can be, in the order of reports."""
    return [*range_names(bounds), "edges", "moving", *classes]


def part_masks(truth: Tensor, frame: Frame, bounds: Sequence[float], classes: Sequence[str]) -> dict[str, Tensor]:
    """The parts of a frame by name, each [H, W] bool and at least 30 pixels large.

    Args:
        truth: [H, W] metres, NaN where it does not count.
        frame: whose `moving` and `semantic` (Cityscapes' train ids) are used where it has them.
        bounds: of the ranges of distance, metres.
        classes: names of the classes to judge.
    """
    masks = range_masks(truth, bounds) | {"edges": edge_mask(truth)}
    if frame.moving is not None:
        masks["moving"] = torch.from_numpy(np.ascontiguousarray(frame.moving.read()))
    if classes and frame.semantic is not None:
        ids = torch.from_numpy(np.ascontiguousarray(frame.semantic.read()))
        masks |= {label.words: ids == label for label in Label if label.words in classes}
    known = ~truth.isnan()
    masks = {name: mask & known for name, mask in masks.items()}
    return {name: mask for name, mask in masks.items() if mask.sum() >= LEAST_PIXELS}
