"""Edge-aware smoothness of inverse depth."""

from __future__ import annotations

import torch
from torch import Tensor

from packdepth.objectives.photometric import pooled
from packdepth.records import Batch, Outputs


def smoothness(inv_depth: Tensor, image: Tensor) -> Tensor:
    """Mean |dx d| exp(-|dx I|) + |dy d| exp(-|dy I|), d the inverse depth over its mean.

    Args:
        inv_depth: [B, 1, H, W].
        image: [B, 3, H, W].

    Returns:
        a scalar. Source: PackNet, CVPR 2020, eq. 5.
    """
    normalised = inv_depth / inv_depth.mean((2, 3), keepdim=True).clamp(min=1e-6)
    total = inv_depth.new_zeros(())
    for axis in (2, 3):
        edge = image.diff(dim=axis).abs().mean(1, keepdim=True)
        total = total + (normalised.diff(dim=axis).abs() * torch.exp(-edge)).mean()
    return total


class Smoothness:
    """The term `smoothness`: at each scale s, halved with each: 1 / 2^s."""

    needs: tuple[str, ...] = ()

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Mean over the scales, a scalar."""
        losses = [
            smoothness(inv_depth, pooled(batch.image, 2**s)) / 2**s for s, inv_depth in enumerate(outputs.inv_depths)
        ]
        return torch.stack(losses).mean()
