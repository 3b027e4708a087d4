"""Padding of images to multiples of a network's stride, and cropping of its results."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def pad_to_multiple(image: Tensor, stride: int, minimum: int = 1) -> Tensor:
    """Return images that are padded at their right and bottom edges, by repetition, to multiples of a stride.

    Args:
        image: [B, C, H, W].
        stride: the stride, in pixels.
        minimum: smallest multiple, so that height and width are at least `minimum` times the stride.

    Returns:
        [B, C, H', W'].

    >>> import torch
    >>> pad_to_multiple(torch.rand(1, 3, 33, 64), stride=32).shape
    torch.Size([1, 3, 64, 64])
    """
    height, width = image.shape[-2:]
    bottom, right = (max(-size % stride, minimum * stride - size) for size in (height, width))
    return padded_to(image, height + bottom, width + right)


def padded_to(image: Tensor, height: int, width: int) -> Tensor:
    """Return images that are padded at their right and bottom edges, by repetition, to a size.

    Args:
        image: [B, C, H, W].
        height: height of the result, in pixels, at least H.
        width: width of the result, in pixels, at least W.

    >>> import torch
    >>> padded_to(torch.tensor([[[[1.0, 2.0]]]]), height=1, width=3)
    tensor([[[[1., 2., 2.]]]])
    """
    bottom, right = height - image.shape[-2], width - image.shape[-1]
    return F.pad(image, (0, right, 0, bottom), mode="replicate") if bottom or right else image


def crop_scales(pyramid: list[Tensor], height: int, width: int) -> list[Tensor]:
    """Return each scale s of a pyramid, cropped to the image: ceil(H / 2^s) x ceil(W / 2^s).

    Args:
        pyramid: maps [B, C, ., .] at strides 1, 2, 4, ..., finest first.
        height: height H of the image, in pixels.
        width: width W of the image, in pixels.

    >>> import torch
    >>> [tuple(level.shape) for level in crop_scales([torch.rand(1, 1, 8, 8), torch.rand(1, 1, 4, 4)], 5, 7)]
    [(1, 1, 5, 7), (1, 1, 3, 4)]
    """
    return [level[..., : -(-height // 2**s), : -(-width // 2**s)] for s, level in enumerate(pyramid)]
