"""Resizing: what networks see and what comes back. Training and inference share these, so they see the same pixels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resize_image(image: Tensor, height: int, width: int) -> Tensor:
    """Image [B, C, H, W] in [0, 1] at `height` x `width` pixels, bilinear with antialiasing; clamped to [0, 1].

    `Camera.resized` is the camera of the result.
    """
    resized = F.interpolate(image, (height, width), mode="bilinear", align_corners=False, antialias=True)
    return resized.clamp(0, 1)


def resize_inv_depth(inv_depth: Tensor, height: int, width: int) -> Tensor:
    """Inverse depth [B, 1, H, W] at `height` x `width` pixels, bilinear; the unit (1/metres) stays.

    Inverse depth is linear over a plane's image, depth is not: interpolate this one.
    """
    return F.interpolate(inv_depth, (height, width), mode="bilinear", align_corners=False)
