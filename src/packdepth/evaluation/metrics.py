"""The seven depth metrics of the KITTI literature, first as functions of one image, then summed over many.

Source: Eigen et al., NeurIPS 2014; median scaling: Zhou et al., CVPR 2017; crop: Garg et al., ECCV 2016. An evaluation
is `valid_truth`, `median_scale` (or not), a clamp and `depth_metrics`, in this order; `DepthMetrics` composes them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

Crop = Literal["none", "garg"]

GARG = (0.40810811, 0.99189189, 0.03594771, 0.96405229)  # top, bottom, left, right, as shares of height and width


class DepthScores(NamedTuple):
    """The seven metrics, each a scalar."""

    abs_rel: Tensor  # mean |d - t| / t
    sq_rel: Tensor  # mean (d - t)^2 / t, metres
    rmse: Tensor  # metres
    rmse_log: Tensor  # of natural logarithms
    a1: Tensor  # share of pixels with max(d / t, t / d) < 1.25
    a2: Tensor  # < 1.25^2
    a3: Tensor  # < 1.25^3


def depth_metrics(depth: Tensor, truth: Tensor, valid: Tensor) -> DepthScores:
    """Metrics of one image over its valid pixels; NaN if there is none.

    Args:
        depth: predicted z-depth, any shape, metres, positive.
        truth: measured z-depth, the same shape, metres, positive where valid.
        valid: bool, the same shape.
    """
    d, t = depth[valid], truth[valid]
    error = d - t
    ratio = torch.maximum(d / t, t / d)
    return DepthScores(
        abs_rel=(error.abs() / t).mean(),
        sq_rel=(error.square() / t).mean(),
        rmse=error.square().mean().sqrt(),
        rmse_log=(d.log() - t.log()).square().mean().sqrt(),
        a1=(ratio < 1.25).to(d.dtype).mean(),
        a2=(ratio < 1.25**2).to(d.dtype).mean(),
        a3=(ratio < 1.25**3).to(d.dtype).mean(),
    )


def median_scale(depth: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """The factor (a scalar) that gives the depth of one image the median of its truth, both over the valid pixels.

    Medians are lower medians, as of `torch.median` and the published PackNet numbers: of an even number of values the
    lower of the middle two, where numpy takes their mean. NaN without a valid pixel.
    """
    return truth[valid].median() / depth[valid].median()


def crop_mask(crop: Crop, height: int, width: int, device: torch.device | None = None) -> Tensor:
    """The pixels [H, W] (bool) that a crop keeps: all of them, or the window of Garg et al. (ECCV 2016)."""
    if crop == "none":
        return torch.ones(height, width, dtype=torch.bool, device=device)
    top, bottom, left, right = GARG
    mask = torch.zeros(height, width, dtype=torch.bool, device=device)
    mask[int(top * height) : int(bottom * height), int(left * width) : int(right * width)] = True
    return mask


def valid_truth(truth: Tensor, min_depth: float, cap: float, crop: Crop) -> Tensor:
    """The pixels that count (bool): min_depth < truth < cap, within the crop. `truth` is [..., H, W], metres."""
    height, width = truth.shape[-2:]
    return (truth > min_depth) & (truth < cap) & crop_mask(crop, height, width, truth.device)


class DepthMetrics(Metric):
    """Mean over images of the seven metrics, summed over batches and over processes.

    An image without a valid pixel does not count. State is float32, which every device has.

    Args:
        min_depth: metres, positive; truth must be beyond it, predictions are clamped to it.
        cap: metres; truth must be nearer, predictions are clamped to it.
        crop: the part of each image that counts.
        scaled: multiply each image's depth by its `median_scale`, before the clamp.
    """

    full_state_update = False
    sums: Tensor  # [7]
    images: Tensor  # how many images counted

    def __init__(self, min_depth: float = 1e-3, cap: float = 80.0, crop: Crop = "none", scaled: bool = False) -> None:
        super().__init__()
        self.min_depth, self.cap, self.crop, self.scaled = min_depth, cap, crop, scaled
        self.add_state("sums", torch.zeros(len(DepthScores._fields)), dist_reduce_fx="sum")
        self.add_state("images", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, depth: Tensor, truth: Tensor) -> None:
        """Add images: depth and truth are [B, 1, H, W], metres, truth 0 where unknown."""
        for d, t in zip(depth.float(), truth.float(), strict=True):
            valid = valid_truth(t, self.min_depth, self.cap, self.crop)
            if valid.any():
                factor = median_scale(d, t, valid) if self.scaled else 1.0
                self.sums += torch.stack(depth_metrics((d * factor).clamp(self.min_depth, self.cap), t, valid))
                self.images += 1

    def compute(self) -> dict[str, Tensor]:
        """Each metric by its name, a scalar; NaN if no image counted."""
        return dict(zip(DepthScores._fields, self.sums / self.images, strict=True))
