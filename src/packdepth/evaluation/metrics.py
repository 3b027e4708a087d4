"""The seven depth metrics of the KITTI literature, first as functions of one image, then summed over many.

Source: Eigen et al., NeurIPS 2014; median scaling: Zhou et al., CVPR 2017; crop: Garg et al., ECCV 2016. An evaluation
is `valid_truth`, `median_scale` (or not), a clamp and `depth_metrics`, in this order; `DepthMetrics` composes them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from packdepth.evaluation.infinite import too_far

Crop = Literal["none", "garg", "cityscapes"]
Median = Literal["lower", "mean"]

WINDOWS = {  # top, bottom, left, right, as shares of height and width
    "none": (0.0, 1.0, 0.0, 1.0),
    "garg": (0.40810811, 0.99189189, 0.03594771, 0.96405229),
    "cityscapes": (0.25, 0.75, 0.09375, 0.90625),
}
NEAREST = 1e-3  # metres that predictions are clamped to at least: logarithms and ratios of zero are infinite


class DepthScores(NamedTuple):
    """The seven metrics, each a scalar."""

    abs_rel: Tensor  # mean |d - t| / t
    sq_rel: Tensor  # mean (d - t)^2 / t, metres
    rmse: Tensor  # metres
    rmse_log: Tensor  # of natural logarithms
    a1: Tensor  # share of pixels with max(d / t, t / d) < 1.25
    a2: Tensor  # < 1.25^2
    a3: Tensor  # < 1.25^3


METRICS = (*DepthScores._fields, "silog", "too_far")


def pixel_errors(depth: Tensor, truth: Tensor) -> Tensor:
    """What the metrics are means of: [9, N] for depth and truth [N], metres, both positive."""
    error, log_error = depth - truth, depth.log() - truth.log()
    ratio = torch.maximum(depth / truth, truth / depth)
    near = [(ratio < 1.25**power).to(depth.dtype) for power in (1, 2, 3)]
    far = too_far(depth, truth).to(depth.dtype)
    return torch.stack(
        [error.abs() / truth, error.square() / truth, error.square(), log_error.square(), *near, log_error, far]
    )


def from_means(means: Tensor) -> Tensor:
    """The METRICS [..., 9] of the means [..., 9] of `pixel_errors`.

    SILog is 100 times the standard deviation of the logarithmic error (Eigen et al., NeurIPS 2014); the last is the
    share of pixels that are predicted more than 1.5 times too far.
    """
    abs_rel, sq_rel, square, log_square, a1, a2, a3, log, far = means.unbind(-1)
    silog = 100 * (log_square - log.square()).clamp(min=0).sqrt()
    return torch.stack([abs_rel, sq_rel, square.sqrt(), log_square.sqrt(), a1, a2, a3, silog, far], dim=-1)


def depth_metrics(depth: Tensor, truth: Tensor, valid: Tensor) -> DepthScores:
    """Metrics of one image over its valid pixels; NaN if there is none.

    Args:
        depth: predicted z-depth, any shape, metres, positive.
        truth: measured z-depth, the same shape, metres, positive where valid.
        valid: bool, the same shape.
    """
    return DepthScores(*from_means(pixel_errors(depth[valid], truth[valid]).mean(-1))[:7])


def median_scale(depth: Tensor, truth: Tensor, valid: Tensor, median: Median = "lower") -> Tensor:
    """The factor (a scalar) that gives the depth of one image the median of its truth, both over the valid pixels.

    Medians are lower medians, as of `torch.median` and the published PackNet numbers: of an even number of values the
    lower of the middle two. `mean` takes the mean of those two, as numpy and monodepth2 do. NaN without a valid pixel.
    """
    return _median(truth[valid], median) / _median(depth[valid], median)


def _median(values: Tensor, median: Median) -> Tensor:
    lower = values.median()
    return lower if median == "lower" else (lower - (-values).median()) / 2


def crop_mask(crop: Crop, height: int, width: int, device: torch.device | None = None) -> Tensor:
    """The pixels [H, W] (bool) that a crop keeps. The borders of its window are rounded down.

    `garg` is the window of Garg et al. (ECCV 2016); `cityscapes` the one of ManyDepth (Watson et al., CVPR 2021).
    """
    top, bottom, left, right = WINDOWS[crop]
    mask = torch.zeros(height, width, dtype=torch.bool, device=device)
    mask[int(top * height) : int(bottom * height), int(left * width) : int(right * width)] = True
    return mask


def clamped(depth: Tensor, min_depth: float, cap: float) -> Tensor:
    """Predictions within the range of the truth, and positive even where that begins at zero."""
    return depth.clamp(max(min_depth, NEAREST), cap)


def valid_truth(truth: Tensor, min_depth: float, cap: float, crop: Crop) -> Tensor:
    """The pixels that count (bool): min_depth < truth < cap, within the crop. `truth` is [..., H, W], metres."""
    height, width = truth.shape[-2:]
    return (truth > min_depth) & (truth < cap) & crop_mask(crop, height, width, truth.device)


class DepthMetrics(Metric):
    """Mean over images of the seven metrics, summed over batches and over processes.

    An image without a valid pixel does not count. State is float32, which every device has.

    Args:
        min_depth: metres; truth must be beyond it, predictions are clamped to it.
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
                self.sums += torch.stack(depth_metrics(clamped(d * factor, self.min_depth, self.cap), t, valid))
                self.images += 1

    def compute(self) -> dict[str, Tensor]:
        """Each metric by its name, a scalar; NaN if no image counted."""
        return dict(zip(DepthScores._fields, self.sums / self.images, strict=True))
