"""Stereo term: photometric loss between an image of a rectified pair and its synthesis from the other image."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from packdepth.objectives.photometric import SSIM_SHARE, Photometric
from packdepth.objectives.scales import Comparison
from packdepth.objectives.term import Term, Unit
from packdepth.records import Batch, Outputs


def pair_motion(baseline: Tensor) -> Tensor:
    """Return the motions T_right_left [B, 4, 4] of rectified stereo pairs.

    Args:
        baseline: [B], metres along x from the left camera to the right one.

    >>> pair_motion(torch.tensor([0.5]))[0, :3, 3]
    tensor([-0.5000,  0.0000,  0.0000])
    """
    T = torch.eye(4, dtype=baseline.dtype, device=baseline.device).repeat(len(baseline), 1, 1)
    T[:, 0, 3] = -baseline
    return T


class Stereo(Term):
    """Photometric loss of a rectified stereo pair: the other image is the context, the baseline is the motion.

    The baseline is known in metres, so depth is in metres too. There is no auto-masking, because both images are taken
    at the same time and every point has a parallax.

    Source: Godard et al., CVPR 2017; SuperDepth, ICRA 2019, section III.

    >>> Stereo(both=False).needs
    ('right',)
    """

    kind: Literal["stereo"] = "stereo"
    ssim: Unit = SSIM_SHARE
    """Share of the SSIM term; the rest is L1."""
    both: bool = True
    """Also predict the depth of the right view and synthesize the right image from the left: twice the work."""
    scales: Comparison = "full"
    """Resolutions at which images are compared, as in `photometric`."""

    metric_field: ClassVar[str | None] = "right"
    zero_means: ClassVar[str | None] = "its left and right images are the same, or blank"

    @property
    def needs(self) -> tuple[str, ...]:
        """The right image and, if `both` is set, the inverse depths that are predicted for it."""
        return ("right", "right_inv_depths") if self.both else ("right",)

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean error over the synthesized views, samples and scales, a scalar."""
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
        """Return the photometric loss of an image [B, 3, H, W] that its inverse depths synthesize from the other."""
        pair = replace(batch, image=image, context=other[:, None])
        photometric = Photometric(ssim=self.ssim, automask=False, scales=self.scales)
        return photometric(Outputs(inv_depths, pair_motion(baseline)[:, None]), pair)
