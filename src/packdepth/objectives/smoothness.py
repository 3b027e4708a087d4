"""Edge-aware smoothness of inverse depth."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.objectives.scales import Scales, enlarged, reduced
from packdepth.objectives.term import Convention, NonNegative, Term
from packdepth.records import Batch, Outputs


def smoothness(inv_depth: Tensor, image: Tensor) -> Tensor:
    """Return the mean of |dx d| exp(-|dx I|) + |dy d| exp(-|dy I|), with d the inverse depth over its mean.

    Source: PackNet, CVPR 2020, eq. 5.

    Args:
        inv_depth: inverse depth d before normalization, [B, 1, H, W], 1/metres.
        image: image I, [B, 3, H, W].

    Returns:
        A scalar.

    >>> smoothness(torch.tensor([[[[1.0, 3.0], [1.0, 3.0]]]]), torch.zeros(1, 3, 2, 2))
    tensor(1.)
    """
    normalized = inv_depth / inv_depth.mean((2, 3), keepdim=True).clamp(min=MIN_INV_DEPTH)
    total = inv_depth.new_zeros(())
    for axis in (2, 3):
        edge = image.diff(dim=axis).abs().mean(1, keepdim=True)
        total = total + (normalized.diff(dim=axis).abs() * torch.exp(-edge)).mean()
    return total


class Smoothness(Term):
    """Edge-aware smoothness of mean-normalized inverse depth (PackNet eq. 5); scale s has the weight 1 / 2^s.

    >>> Smoothness().weight
    0.001
    """

    kind: Literal["smoothness"] = "smoothness"
    weight: NonNegative = 1e-3
    """Factor of the term in the objective."""
    scales: Scales = "own"
    """Smooth each scale at its own resolution, or upsampled at full resolution (as packnet-sfm does)."""
    convention: Convention = "packdepth"
    """packdepth's convention, or packnet-sfm's (`reference`), which resizes scales in its own way."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean over the scales, a scalar."""
        height, width = batch.image.shape[-2:]
        losses = []
        for s, inv_depth in enumerate(outputs.inv_depths):
            if self.scales == "full":
                loss = smoothness(enlarged(inv_depth, s, height, width, self.convention), batch.image)
            else:
                loss = smoothness(inv_depth, reduced(batch.image, s, self.convention))
            losses.append(loss / 2**s)
        return torch.stack(losses).mean()
