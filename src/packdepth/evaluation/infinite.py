"""Infinite depth: how much of something is predicted far too far away."""

from __future__ import annotations

import torch
from torch import Tensor

FACTOR = 1.5  # a pixel is too far if it is predicted more than this many times as far as it is


def too_far(depth: Tensor, truth: Tensor) -> Tensor:
    """Where depth is predicted more than 1.5 times as far as it is; two maps of one shape and unit to bool."""
    return depth > FACTOR * truth


def share_too_far(depth: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """The share of pixels that are predicted more than 1.5 times too far, a scalar; NaN if there is none.

    Args:
        depth: predicted z-depth, any shape.
        truth: z-depth in the same unit, the same shape, 0 or NaN where it is unknown.
        mask: where to look, the same shape, bool, such as on moving objects.
    """
    judged = mask & (truth > 0)
    return too_far(depth[judged], truth[judged]).to(torch.float64).mean()
