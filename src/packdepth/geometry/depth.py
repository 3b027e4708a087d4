"""Inverse depth and depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MIN_INV_DEPTH = 1e-6  # 1/metres: 1000 km. Depth stays finite where the sigmoid of a head underflows to zero


def depth_from_inverse(inv_depth: Tensor) -> Tensor:
    """Return depth in metres from inverse depth in 1/metres, of any shape: at most 1 / `MIN_INV_DEPTH`.

    >>> import torch
    >>> depth_from_inverse(torch.tensor([0.5, 0.0])).tolist()
    [2.0, 1000000.0]
    """
    return 1 / inv_depth.clamp(min=MIN_INV_DEPTH)
