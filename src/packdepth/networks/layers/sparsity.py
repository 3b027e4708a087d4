"""Sparsity-inducing augmentation of what an ego-motion network sees (after Ambrus et al., CoRL 2019).

A network that loses most of its pixels cannot learn where and how fast each training street was driven by heart; what
remains in every sparse view is how pixels move. The paper names the idea; patterns and shares are this project's own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.networks.blocks import Pattern, Sparsity

BLOCK = 16  # pixels, the side of a square of `blocks`


def kept(pattern: Pattern, lost: Tensor, height: int, width: int) -> Tensor:
    """A random mask of the pixels that stay.

    Args:
        pattern: `random` keeps each pixel by itself; `grid` keeps the crossings of evenly spaced rows and columns,
            whose place is random; `blocks` keeps squares of 16 pixels.
        lost: [M] share of the pixels that go, on average.
        height: of the mask, pixels.
        width: of the mask, pixels.

    Returns:
        [M, 1, H, W] bool. Draws from torch's generator of the device.
    """
    lost = lost.view(-1, 1, 1, 1)
    if pattern == "grid":
        return _lines(1 - lost, height).mT & _lines(1 - lost, width)
    if pattern == "random":
        return _uniform(lost, height, width) >= lost
    squares = (_uniform(lost, height // BLOCK + 2, width // BLOCK + 2) >= lost).float()
    mask = F.interpolate(squares, scale_factor=BLOCK, mode="nearest").bool()
    top, left = torch.randint(BLOCK, (2,)).tolist()
    return mask[..., top : top + height, left : left + width]


def sparse(pairs: Tensor, sparsity: Sparsity, progress: float) -> Tensor:
    """Pairs of views with pixels lost: 0 in all channels, which is black, and for inverse depth means unknown.

    Args:
        pairs: [M, 2 C, H, W], two views of C channels each.
        sparsity: which pixels go and how many.
        progress: share of the training that is over.

    Returns:
        [M, 2 C, H, W].
    """
    limit = sparsity.start + progress * (sparsity.end - sparsity.start)
    lost = limit * torch.rand(len(pairs), device=pairs.device)
    masks = [kept(sparsity.pattern, lost, *pairs.shape[-2:]) for _ in range(1 if sparsity.same else 2)]
    return (pairs.view(len(pairs), 2, -1, *pairs.shape[-2:]) * torch.stack(masks, dim=1)).flatten(1, 2)


def _uniform(like: Tensor, height: int, width: int) -> Tensor:
    return torch.rand(len(like), 1, height, width, device=like.device)


def _lines(share: Tensor, length: int) -> Tensor:
    """Every so many of `length` lines, so that the root of a share [M, 1, 1, 1] stays: [M, 1, 1, length] bool."""
    place = share.sqrt() * torch.arange(length + 1, device=share.device) + _uniform(share, 1, 1)
    return place.floor().diff(dim=-1) > 0
