"""Sizes that are no multiple of a network's stride: padded before, cropped after."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def pad_to_multiple(image: Tensor, stride: int, least: int = 1) -> Tensor:
    """Image [B, C, H, W] extended at its right and bottom edges, by repetition.

    Height and width become multiples of `stride`, of at least `least` times it.
    """
    height, width = image.shape[-2:]
    bottom, right = (max(-size % stride, least * stride - size) for size in (height, width))
    return padded_to(image, height + bottom, width + right)


def padded_to(image: Tensor, height: int, width: int) -> Tensor:
    """Image [B, C, H, W] extended at its right and bottom edges to a size, by repetition."""
    bottom, right = height - image.shape[-2], width - image.shape[-1]
    return F.pad(image, (0, right, 0, bottom), mode="replicate") if bottom or right else image


def crop_scales(pyramid: list[Tensor], height: int, width: int) -> list[Tensor]:
    """Each scale s of a pyramid [B, C, ., .] cropped to what covers the image: ceil(H / 2^s) x ceil(W / 2^s)."""
    return [level[..., : -(-height // 2**s), : -(-width // 2**s)] for s, level in enumerate(pyramid)]
