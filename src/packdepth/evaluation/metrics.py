"""The seven depth metrics of the KITTI literature: as functions of one image, and summed over many images.

Sources: metrics, Eigen et al., NeurIPS 2014; median scaling, Zhou et al., CVPR 2017; crop, Garg et al., ECCV 2016.
An evaluation is `valid_truth`, then `median_scale` (or not), then `clamped`, then `depth_metrics`. `DepthMetrics`
composes them.
"""

from __future__ import annotations

from typing import NamedTuple, get_args

import torch
from torch import Tensor
from torchmetrics import Metric

from packdepth.errors import check_choice
from packdepth.evaluation.choices import CAP, MIN_DEPTH, Crop, Median

CROP_BOUNDS: dict[Crop, tuple[float, float, float, float]] = {  # top, bottom, left, right: shares of height and width
    "none": (0.0, 1.0, 0.0, 1.0),
    "garg": (0.40810811, 0.99189189, 0.03594771, 0.96405229),
    "cityscapes": (0.25, 0.75, 0.09375, 0.90625),
}
MIN_PREDICTION = 1e-3  # metres; predictions are at least this, because logarithms and ratios of zero are infinite
TOO_FAR = 1.5  # predicted / true depth; chosen well above the 1.25 of a1, so that usual errors do not count


class DepthScores(NamedTuple):
    """The seven metrics, each a scalar."""

    abs_rel: Tensor  # mean |d - t| / t
    sq_rel: Tensor  # mean (d - t)^2 / t, metres
    rmse: Tensor  # metres
    rmse_log: Tensor  # of natural logarithms
    a1: Tensor  # share of pixels with max(d / t, t / d) < 1.25
    a2: Tensor  # share with < 1.25^2
    a3: Tensor  # share with < 1.25^3


def pixel_errors(depth: Tensor, truth: Tensor) -> Tensor:
    """Return the errors of each pixel, whose means give the metrics: [9, N].

    Args:
        depth: predicted depth [N], metres, positive.
        truth: ground truth [N], metres, positive.
    """
    error, log_error = depth - truth, depth.log() - truth.log()
    ratio = torch.maximum(depth / truth, truth / depth)
    near = [(ratio < 1.25**power).to(depth.dtype) for power in (1, 2, 3)]
    far = too_far(depth, truth).to(depth.dtype)
    return torch.stack(
        [error.abs() / truth, error.square() / truth, error.square(), log_error.square(), *near, log_error, far]
    )


def metrics_from_means(means: Tensor) -> Tensor:
    """Return `choices.METRICS` [..., 9], computed from mean pixel errors.

    SILog is 100 times the standard deviation of the logarithmic error (Eigen et al., NeurIPS 2014). The last metric is
    the share of pixels that are `too_far`.

    Args:
        means: means over pixels of `pixel_errors`, [..., 9].
    """
    abs_rel, sq_rel, square, log_square, a1, a2, a3, log, far = means.unbind(-1)
    silog = 100 * (log_square - log.square()).clamp(min=0).sqrt()
    return torch.stack([abs_rel, sq_rel, square.sqrt(), log_square.sqrt(), a1, a2, a3, silog, far], dim=-1)


def depth_metrics(depth: Tensor, truth: Tensor, valid: Tensor) -> DepthScores:
    """Return the metrics of one image over its valid pixels. They are NaN without a valid pixel.

    >>> truth = torch.tensor([10.0, 20.0, 0.0])
    >>> depth_metrics(1.5 * truth, truth, truth > 0).abs_rel
    tensor(0.5000)

    Args:
        depth: predicted z-depth, any shape, metres, positive.
        truth: measured z-depth, the same shape, metres, positive where valid.
        valid: valid mask, the same shape, bool.
    """
    scores = metrics_from_means(pixel_errors(depth[valid], truth[valid]).mean(-1))
    return DepthScores(*scores[: len(DepthScores._fields)])


def median_scale(depth: Tensor, truth: Tensor, valid: Tensor, median: Median = "lower") -> Tensor:
    """Return the factor (a scalar) that gives the depth of one image the median of its ground truth.

    Args:
        depth: predicted depth, any shape.
        truth: ground truth, the same shape.
        valid: valid mask, the same shape, bool; both medians are over these pixels. Without one the factor is NaN.
        median: how an even number of values is treated. "lower" takes the lower of the middle two, as `torch.median`
            and the published PackNet numbers do; "mean" takes their mean, as numpy and monodepth2 do.

    Raises InputError for another median.

    >>> depth, truth = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 4.0, 9.0])
    >>> median_scale(depth, truth, truth > 0)
    tensor(2.)
    """
    check_choice("median", median, get_args(Median))
    return _median(truth[valid], median) / _median(depth[valid], median)


def _median(values: Tensor, median: Median) -> Tensor:
    lower = values.median()
    return lower if median == "lower" else (lower - (-values).median()) / 2


def crop_mask(crop: Crop, height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Return the pixels that a crop keeps, [H, W] bool. Its bounds are rounded down to whole pixels.

    Args:
        crop: "garg" is the crop of Garg et al. (ECCV 2016), "cityscapes" that of ManyDepth (Watson et al., CVPR 2021).
        height: H.
        width: W.
        device: the device of the mask.

    Raises InputError for another crop.

    >>> crop_mask("cityscapes", 8, 4)[:, 0].tolist()
    [False, False, True, True, True, True, False, False]
    """
    check_choice("crop", crop, CROP_BOUNDS)
    top, bottom, left, right = CROP_BOUNDS[crop]
    mask = torch.zeros(height, width, dtype=torch.bool, device=device)
    mask[int(top * height) : int(bottom * height), int(left * width) : int(right * width)] = True
    return mask


def clamped(depth: Tensor, min_depth: float, cap: float) -> Tensor:
    """Return predictions clamped to the range of the ground truth, and positive even if that begins at zero.

    Args:
        depth: predicted depth, metres.
        min_depth: the lower end of the range, metres.
        cap: the upper end of the range, metres.
    """
    return depth.clamp(max(min_depth, MIN_PREDICTION), cap)


def valid_truth(truth: Tensor, min_depth: float, cap: float, crop: Crop) -> Tensor:
    """Return the valid mask of ground truth: min_depth < truth < cap, within the crop. The shape is that of `truth`.

    Args:
        truth: [..., H, W] metres.
        min_depth: metres.
        cap: metres.
        crop: the part of the image that is evaluated.
    """
    height, width = truth.shape[-2:]
    return (truth > min_depth) & (truth < cap) & crop_mask(crop, height, width, truth.device)


def too_far(depth: Tensor, truth: Tensor) -> Tensor:
    """Return the pixels that are predicted more than 1.5 times as far as they are, bool, in the shape of `depth`.

    Args:
        depth: predicted z-depth, any shape.
        truth: ground truth in the same unit, the same shape.
    """
    return depth > TOO_FAR * truth


def share_too_far(depth: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Return the share of pixels that are `too_far`, a scalar. It is NaN if no pixel is evaluated.

    Args:
        depth: predicted z-depth, any shape.
        truth: ground truth in the same unit, the same shape, 0 or NaN where it is unknown.
        mask: the pixels to evaluate, such as those of dynamic objects, the same shape, bool.

    >>> truth = torch.tensor([10.0, 10.0, 0.0])
    >>> share_too_far(torch.tensor([11.0, 80.0, 80.0]), truth, truth >= 0)
    tensor(0.5000, dtype=torch.float64)
    """
    evaluated = mask & (truth > 0)
    return too_far(depth[evaluated], truth[evaluated]).to(torch.float64).mean()


class DepthMetrics(Metric):
    """The mean over images of the seven metrics, summed over batches and over processes.

    An image without a valid pixel does not count. The state is float32, which every device supports.

    >>> metrics = DepthMetrics(cap=80.0)
    >>> truth = torch.full((2, 1, 4, 6), 10.0)
    >>> metrics.update(1.1 * truth, truth)
    >>> metrics.compute()["abs_rel"]
    tensor(0.1000)

    Args:
        min_depth: metres; ground truth must be greater, predictions are clamped to it.
        cap: metres; ground truth must be less, predictions are clamped to it.
        crop: the part of each image that is evaluated.
        scaled: whether each image's depth is multiplied by its `median_scale` before it is clamped.
    """

    full_state_update = False
    sums: Tensor  # [7]
    images: Tensor  # number of images with a valid pixel

    def __init__(
        self, min_depth: float = MIN_DEPTH, cap: float = CAP, crop: Crop = "none", scaled: bool = False
    ) -> None:
        super().__init__()
        self.min_depth, self.cap, self.crop, self.scaled = min_depth, cap, crop, scaled
        self.add_state("sums", torch.zeros(len(DepthScores._fields)), dist_reduce_fx="sum")
        self.add_state("images", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, depth: Tensor, truth: Tensor) -> None:
        """Add images.

        Args:
            depth: predicted depth [B, 1, H, W], metres.
            truth: ground truth [B, 1, H, W], metres, 0 where unknown.
        """
        for d, t in zip(depth.float(), truth.float(), strict=True):
            valid = valid_truth(t, self.min_depth, self.cap, self.crop)
            if valid.any():
                factor = median_scale(d, t, valid) if self.scaled else 1.0
                self.sums += torch.stack(depth_metrics(clamped(d * factor, self.min_depth, self.cap), t, valid))
                self.images += 1

    def compute(self) -> dict[str, Tensor]:
        """Return each metric by its name, a scalar. It is NaN if no image counted."""
        return dict(zip(DepthScores._fields, self.sums / self.images, strict=True))
