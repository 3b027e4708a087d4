"""Inverse depth and images of one scale, resized to a common size."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from packdepth.objectives.term import Convention

Scales = Literal["full", "own"]
"""Resolution of each scale: full resolution, upsampled, or its own."""
Comparison = Literal["full", "own", "pyramid"]
"""Resolutions at which images are compared: as in `Scales`, or each scale's own and the coarsest once more at half."""


def enlarged(inv_depth: Tensor, scale: int, height: int, width: int, convention: Convention = "packdepth") -> Tensor:
    """Return the inverse depth of a scale at full size.

    packdepth interpolates bilinearly about pixel centers; packnet-sfm repeats each value.

    Args:
        inv_depth: [B, 1, h, w] with h = H / 2^s and w = W / 2^s, rounded up, or at full size already.
        scale: the scale s.
        height: the full height H, in pixels.
        width: the full width W, in pixels.
        convention: packdepth's or packnet-sfm's (`reference`).

    Returns:
        [B, 1, H, W].

    >>> import torch
    >>> enlarged(torch.tensor([[[[1.0, 3.0]]]]), 1, height=1, width=4)
    tensor([[[[1.0000, 1.5000, 2.5000, 3.0000]]]])
    """
    if inv_depth.shape[-2:] != (height, width):
        mode, align_corners = ("nearest", None) if convention == "reference" else ("bilinear", False)
        inv_depth = F.interpolate(inv_depth, scale_factor=2**scale, mode=mode, align_corners=align_corners)
    return inv_depth[..., :height, :width]


def reduced(images: Tensor, scale: int, convention: Convention = "packdepth") -> Tensor:
    """Return images at a scale. `Camera.pooled` is their camera.

    packdepth averages over windows of 2^s x 2^s pixels, the last of which may be cut by the border; packnet-sfm
    interpolates bilinearly with aligned corners.

    Args:
        images: [B, ..., C, H, W].
        scale: the scale s.
        convention: packdepth's or packnet-sfm's (`reference`).

    Returns:
        [B, ..., C, h, w] with h = H / 2^s and w = W / 2^s, rounded up.

    >>> import torch
    >>> reduced(torch.tensor([[[[1.0, 3.0, 5.0]]]]), 1)
    tensor([[[[2., 5.]]]])
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
