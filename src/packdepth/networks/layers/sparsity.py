"""Sparsity-inducing augmentation of the input of an ego-motion network (after Ambrus et al., CoRL 2019).

A network could memorize the route and the speed of each training street. Without most of its pixels it cannot, but
every sparse view still shows how pixels move. The paper names the idea; patterns and shares are this project's own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.networks.options import Pattern, Sparsity

BLOCK = 16  # pixels: side of a square of `blocks`; this project's choice


def kept(pattern: Pattern, drop: Tensor, height: int, width: int) -> Tensor:
    """Return a random mask of the pixels that are kept. It draws from torch's generator of the device.

    Args:
        pattern: `random` keeps single pixels; `grid` keeps the crossings of evenly spaced rows and columns, at a random
            offset; `blocks` keeps squares of 16 pixels.
        drop: mean share of the pixels that are dropped, [M].
        height: height of the mask, in pixels.
        width: width of the mask, in pixels.

    Returns:
        [M, 1, H, W] bool.

    >>> bool(kept("random", torch.tensor([0.0]), height=4, width=6).all())
    True
    """
    drop = drop.view(-1, 1, 1, 1)
    if pattern == "grid":
        return _lines(1 - drop, height).mT & _lines(1 - drop, width)
    if pattern == "random":
        return _uniform(drop, height, width) >= drop
    squares = (_uniform(drop, height // BLOCK + 2, width // BLOCK + 2) >= drop).float()
    mask = F.interpolate(squares, scale_factor=BLOCK, mode="nearest").bool()
    top, left = torch.randint(BLOCK, (2,)).tolist()
    return mask[..., top : top + height, left : left + width]


def sparse(pairs: Tensor, sparsity: Sparsity, progress: float) -> Tensor:
    """Return pairs of views with pixels dropped: 0 in all channels, which is black and an unknown inverse depth.

    Args:
        pairs: two views of C channels each, [M, 2 C, H, W].
        sparsity: which pixels are dropped and how many.
        progress: finished share of the training, from 0 to 1.

    Returns:
        [M, 2 C, H, W].

    >>> pairs = torch.ones(1, 6, 8, 8)
    >>> torch.equal(sparse(pairs, Sparsity(start=0.8, end=0.0), progress=1.0), pairs)
    True
    """
    limit = sparsity.start + progress * (sparsity.end - sparsity.start)
    drop = limit * torch.rand(len(pairs), device=pairs.device)
    masks = [kept(sparsity.pattern, drop, *pairs.shape[-2:]) for _ in range(1 if sparsity.same else 2)]
    return (pairs.view(len(pairs), 2, -1, *pairs.shape[-2:]) * torch.stack(masks, dim=1)).flatten(1, 2)


def _uniform(like: Tensor, height: int, width: int) -> Tensor:
    """Return uniform random numbers [M, 1, height, width], with M and the device of `like`."""
    return torch.rand(len(like), 1, height, width, device=like.device)


def _lines(share: Tensor, length: int) -> Tensor:
    """Return a mask [M, 1, 1, length] bool of evenly spaced lines: the square root of a share [M, 1, 1, 1] of them."""
    place = share.sqrt() * torch.arange(length + 1, device=share.device) + _uniform(share, 1, 1)
    return place.floor().diff(dim=-1) > 0
