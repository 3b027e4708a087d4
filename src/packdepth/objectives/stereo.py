"""Stereo: each image of a rectified pair against its synthesis from the other, at the known baseline."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from packdepth.config import Comparison
from packdepth.objectives.photometric import Photometric
from packdepth.records import Batch, Outputs


def pair_motion(baseline: Tensor) -> Tensor:
    """T_right_left [B, 4, 4] of baselines [B], metres along x from the left camera to the right one."""
    T = torch.eye(4, dtype=baseline.dtype, device=baseline.device).repeat(len(baseline), 1, 1)
    T[:, 0, 3] = -baseline
    return T


class Stereo:
    """The term `stereo`: the photometric loss with the other image of the pair as context and the baseline as motion.

    The baseline is metric and known, so that depth is too, and whatever stands still has a parallax: nothing is
    auto-masked. Source: Godard et al., CVPR 2017; SuperDepth, ICRA 2019, section III.

    Args:
        ssim: share of the SSIM term.
        both: judge the depth of the right view too, by the right image's synthesis from the left one.
        scales: as in `Photometric`.
    """

    def __init__(self, ssim: float = 0.85, both: bool = True, scales: Comparison = "full") -> None:
        self.both = both
        self.needs: tuple[str, ...] = ("right", "right_inv_depths") if both else ("right",)
        self.photometric = Photometric(ssim, automask=False, scales=scales)

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Mean error over directions, samples and scales, a scalar."""
        assert batch.right is not None
        assert batch.baseline is not None
        loss = self._synthesis(outputs.inv_depths, batch, batch.image, batch.right, batch.baseline)
        if not self.both:
            return loss
        assert outputs.right_inv_depths is not None
        right = self._synthesis(outputs.right_inv_depths, batch, batch.right, batch.image, -batch.baseline)
        return (loss + right) / 2

    def _synthesis(
        self, inv_depths: list[Tensor], batch: Batch, image: Tensor, other: Tensor, baseline: Tensor
    ) -> Tensor:
        """The error of an image [B, 3, H, W] with these inverse depths, synthesized from the other at the baseline."""
        pair = replace(batch, image=image, context=other[:, None])
        return self.photometric(Outputs(inv_depths, pair_motion(baseline)[:, None]), pair)
