"""Resizing of images and inverse depth. Training and inference share it, so that networks get the same pixels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from packdepth.errors import InputError


def resize_image(image: Tensor, height: int, width: int) -> Tensor:
    """Return images at another size, by bilinear interpolation with antialiasing, clamped to [0, 1].

    `Camera.resized` is the camera of the result.

    Args:
        image: images [B, C, H, W], floats in [0, 1].
        height: height of the result, in pixels.
        width: width of the result, in pixels.

    Returns:
        [B, C, `height`, `width`]. Values of the image beyond [0, 1] are clamped as well.

    Raises InputError for images of integers.

    >>> import torch
    >>> resize_image(torch.ones(1, 3, 4, 8), height=2, width=4).shape
    torch.Size([1, 3, 2, 4])
    """
    if not image.is_floating_point():
        raise InputError(
            f"an image to resize holds floats in [0, 1]; found {image.dtype}; divide by 255 if it is uint8"
        )
    resized = F.interpolate(image, (height, width), mode="bilinear", align_corners=False, antialias=True)
    return resized.clamp(0, 1)


def resize_inv_depth(inv_depth: Tensor, height: int, width: int) -> Tensor:
    """Return inverse depth at another size, by bilinear interpolation; the unit stays 1/metres.

    Over the image of a plane inverse depth is linear and depth is not, so inverse depth is what is interpolated.

    Args:
        inv_depth: inverse depth [B, 1, H, W], 1/metres.
        height: height of the result, in pixels.
        width: width of the result, in pixels.

    Returns:
        [B, 1, `height`, `width`].

    >>> import torch
    >>> resize_inv_depth(torch.tensor([[[[1.0, 3.0]]]]), height=1, width=4)
    tensor([[[[1.0000, 1.5000, 2.5000, 3.0000]]]])
    """
    return F.interpolate(inv_depth, (height, width), mode="bilinear", align_corners=False)
