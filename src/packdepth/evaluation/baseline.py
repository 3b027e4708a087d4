"""Baselines: a depth for each pixel that does not depend on the image.

A network that does not beat the baseline has not been shown to use its input. All functions take the ground truth of N
images as one tensor with NaN where it is invalid, and compute lower medians (see `metrics.median_scale`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.evaluation.ground_truth import Stack, has_valid_pixels
from packdepth.evaluation.protocol import Protocol
from packdepth.evaluation.scores import ImageScores, Scores, mean_scores, scores_by_part

CHUNK = 2**22  # values that `others_median` reads in one step, which bounds its memory to about 16 MB


def pixel_median(truth: Tensor) -> Tensor:
    """Return each pixel's median over the images, [H, W] metres, NaN where no image has a value.

    Args:
        truth: ground truth [N, H, W], metres, NaN where it is invalid.

    >>> pixel_median(torch.tensor([[[1.0, 5.0]], [[2.0, torch.nan]], [[4.0, torch.nan]]]))
    tensor([[2., 5.]])
    """
    return truth.nanmedian(dim=0).values


def others_median(truth: Tensor, index: int) -> Tensor:
    """Return, for one image with sparse ground truth, the median of the other images at and around each pixel.

    In sparse scans, most pixels have a value in one image alone, so that a median over all images would repeat the
    value that it is compared with. Therefore the image itself is left out, and the window around a pixel grows (the
    pixel alone, then a radius of 1, 2, 4, 8, ... pixels) until the other images have a value in it.

    Args:
        truth: ground truth [N, H, W], metres, NaN where it is invalid.
        index: the number of the image.

    Returns:
        [H, W] metres, NaN where the image has no valid ground truth, and everywhere if no other image has any.
    """
    others = torch.cat([truth[:index], truth[index + 1 :]])
    y, x = (~truth[index].isnan()).nonzero(as_tuple=True)
    values = torch.full(y.shape, torch.nan, dtype=truth.dtype)
    for radius in [0, *(2**i for i in range(max(truth.shape[-2:]).bit_length() + 1))]:
        missing = values.isnan().nonzero()[:, 0]
        if not len(missing):
            break
        side = 2 * radius + 1
        windows = F.pad(others, [radius] * 4, value=torch.nan).unfold(1, side, 1).unfold(2, side, 1)
        for part in torch.split(missing, max(1, CHUNK // (len(truth) * side**2))):
            values[part] = windows[:, y[part], x[part]].transpose(0, 1).flatten(1).nanmedian(dim=1).values
    result = torch.full_like(truth[index], torch.nan)
    result[y, x] = values
    return result


def baseline_images(protocol: Protocol, stacks: Sequence[Stack]) -> dict[str, list[ImageScores]]:
    """Return the scores of a protocol's baseline on each image, by row: none, or baseline and baseline_scaled.

    If the baseline is `others_median`, there are also pixel_median and pixel_median_scaled.

    Args:
        protocol: the protocol.
        stacks: ground truth of the images of each size.
    """
    images: dict[str, list[ImageScores]] = {}
    for names, truth in stacks if protocol.baseline != "none" else ():
        for row, depths in _baselines(protocol, truth).items():
            for name, scaled in ((row, False), (f"{row}_scaled", True)):
                images.setdefault(name, []).extend(
                    ImageScores(clip, frame, "", {name: scores_by_part(protocol, depth, known, {}, scaled)})
                    for (clip, frame), depth, known in zip(names, depths, truth, strict=True)
                    if has_valid_pixels(known)
                )
    return images


def baseline_scores(images: Mapping[str, Sequence[ImageScores]]) -> dict[str, Scores]:
    """Return the means of a baseline over images, by row.

    Args:
        images: the scores by row, of `baseline_images`.
    """
    return {name: mean_scores(scores, name) for name, scores in images.items()}


def _baselines(protocol: Protocol, truth: Tensor) -> dict[str, Tensor]:
    """Return the depth of each image by each baseline of a protocol, [N, H, W], from ground truth [N, H, W]."""
    median = pixel_median(truth).expand_as(truth)
    if protocol.baseline != "others_median":
        return {"baseline": median}
    others = torch.stack([others_median(truth, index) for index in range(len(truth))])
    return {"baseline": others, "pixel_median": median}
