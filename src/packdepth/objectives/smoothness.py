"""Edge-aware smoothness of inverse depth."""

from __future__ import annotations

import torch
from torch import Tensor

from packdepth.config import Convention, Scales
from packdepth.objectives.scales import enlarged, reduced
from packdepth.records import Batch, Outputs


def smoothness(inv_depth: Tensor, image: Tensor) -> Tensor:
    """Mean |dx d| exp(-|dx I|) + |dy d| exp(-|dy I|), d the inverse depth over its mean.

    Args:
        inv_depth: [B, 1, H, W].
        image: [B, 3, H, W].

    Returns:
        a scalar. Source: PackNet, CVPR 2020, eq. 5.
    """
    normalized = inv_depth / inv_depth.mean((2, 3), keepdim=True).clamp(min=1e-6)
    total = inv_depth.new_zeros(())
    for axis in (2, 3):
        edge = image.diff(dim=axis).abs().mean(1, keepdim=True)
        total = total + (normalized.diff(dim=axis).abs() * torch.exp(-edge)).mean()
    return total


class Smoothness:
    """The term `smoothness`: at each scale s, halved with each: 1 / 2^s.

    Args:
        scales: `full` upsamples each inverse depth to full resolution, as the reference does; `own` does not.
        convention: `reference` resizes images and inverse depths as packnet-sfm does (see `scales`).
    """

    needs: tuple[str, ...] = ()

    def __init__(self, scales: Scales = "own", convention: Convention = "packdepth") -> None:
        self.scales, self.convention = scales, convention

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Mean over the scales, a scalar."""
        height, width = batch.image.shape[-2:]
        losses = []
        for s, inv_depth in enumerate(outputs.inv_depths):
            if self.scales == "full":
                loss = smoothness(enlarged(inv_depth, s, height, width, self.convention), batch.image)
            else:
                loss = smoothness(inv_depth, reduced(batch.image, s, self.convention))
            losses.append(loss / 2**s)
        return torch.stack(losses).mean()
