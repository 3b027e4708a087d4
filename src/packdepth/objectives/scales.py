"""Inverse depth and images of one scale, brought to one size."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from packdepth.objectives.term import Convention

Scales = Literal["full", "own"]
"""Each scale at full resolution, upsampled, or at its own."""
Comparison = Literal["full", "own", "pyramid"]
"""Resolutions at which images are compared: as `Scales`, or at each scale's own and the coarsest once more at half."""


def enlarged(inv_depth: Tensor, scale: int, height: int, width: int, convention: Convention = "packdepth") -> Tensor:
    """Inverse depth [B, 1, h, w] of scale s, h = H / 2^s rounded up or full already, at full size: [B, 1, H, W].

    Bilinear about pixel centers; by the reference's convention each value is repeated.
    """
    if inv_depth.shape[-2:] != (height, width):
        mode, aligned = ("nearest", None) if convention == "reference" else ("bilinear", False)
        inv_depth = F.interpolate(inv_depth, scale_factor=2**scale, mode=mode, align_corners=aligned)
    return inv_depth[..., :height, :width]


def reduced(images: Tensor, scale: int, convention: Convention = "packdepth") -> Tensor:
    """Images [B, ..., C, H, W] at scale s: [B, ..., C, h, w], h = H / 2^s rounded up; `Camera.pooled` is their camera.

    Averaged over windows of 2^s x 2^s pixels, the last of which may be cut; by the reference's convention bilinear with
    aligned corners.
    """
    if scale == 0:
        return images
    flat, factor = images.flatten(0, -4), 2**scale
    if convention == "reference":
        size = [-(-length // factor) for length in images.shape[-2:]]
        flat = F.interpolate(flat, size, mode="bilinear", align_corners=True)
    else:
        flat = F.avg_pool2d(flat, factor, ceil_mode=True)
    return flat.view(*images.shape[:-2], *flat.shape[-2:])
