"""Two loss terms of `bench/jammed_road.py`, added from outside as docs/extending.md describes (`--use`).

* `static_photometric`: view synthesis without the pixels of dynamic objects, by a segmentation network.
* `epipolar_hints`: depth hints from two frames in place of a stereo pair: a search along the epipolar line.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.geometry.depth import MIN_INV_DEPTH, depth_from_inverse
from packdepth.geometry.resize import resize_inv_depth
from packdepth.geometry.warp import synthesize_each
from packdepth.objectives import Term
from packdepth.objectives.hints import WINDOW, best_of
from packdepth.objectives.photometric import combine, photometric_error
from packdepth.objectives.scales import reduced
from packdepth.objectives.ssim import WindowStatistics
from packdepth.objectives.term import masked_mean
from packdepth.records import Batch, Outputs
from packdepth.segmentation.fpn import FPN, load_fpn

DYNAMIC = {"car", "truck", "bus", "person", "rider", "pedestrian", "bicyclist", "bicycle", "motorcycle", "train"}
ENLARGED = 2  # times: images are enlarged before they are segmented, as the network was trained on larger ones
GROWN = 5  # pixels: side of the window by which masks grow, as shadows and edges move along

NEAREST, FARTHEST = 3.0, 80.0  # metres: range of the search for hints, at the scale of the prediction
CANDIDATES = 32  # number of inverse depths that are searched


@cache
def segmentation(folder: Path) -> FPN:
    """Return the segmentation network of a folder, ready to predict.

    Args:
        folder: a checkpoint of `packdepth semantics train`.
    """
    return load_fpn(folder).eval()


MASKS: dict[tuple[Path, str], Tensor] = {}  # [1, H, W] bool, by network and image


@torch.no_grad()
def static(batch: Batch, folder: Path) -> Tensor:
    """Return the pixels of the targets that belong to nothing that can move, [B, 1, H, W] bool.

    Args:
        batch: the batch. Its images are not augmented, so that each is segmented once.
        folder: the segmentation network.
    """
    network = segmentation(folder)
    ids = torch.tensor([k for k, name in enumerate(network.classes) if name.lower() in DYNAMIC])
    for name, image in zip(batch.names, batch.image, strict=True):
        if (folder, name) not in MASKS:
            large = F.interpolate(image[None], scale_factor=ENLARGED, mode="bilinear", align_corners=False)
            classes = F.interpolate(network(large).logits, image.shape[-2:], mode="bilinear").argmax(1, keepdim=True)
            moving = F.max_pool2d(torch.isin(classes, ids).float(), GROWN, stride=1, padding=GROWN // 2)
            MASKS[folder, name] = moving[0] == 0
    return torch.stack([MASKS[folder, name] for name in batch.names])


class StaticPhotometric(Term):
    """Photometric loss, each scale at its own resolution, with auto-masking, over pixels that nothing moves in.

    Source: Klingner et al., ECCV 2020 (SGDepth), which leaves dynamic objects out in part of the images.
    """

    kind: Literal["static_photometric"] = "static_photometric"
    segmentation: Path
    """Checkpoint of the segmentation network."""

    needs_context: ClassVar[bool] = True

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean error over samples and scales, a scalar."""
        mask, losses = static(batch, self.segmentation), []
        for s, inv_depth in enumerate(outputs.inv_depths):
            image, context = reduced(batch.image, s), reduced(batch.context, s)
            camera, depth = batch.camera.pooled(2**s), depth_from_inverse(inv_depth)
            views, valid = synthesize_each(context, depth, outputs.T_context_target, camera)
            error, seen = combine(photometric_error(views, image), valid, minimum=True)
            identity, _ = combine(photometric_error(context, image), valid, minimum=True)
            still = F.adaptive_avg_pool2d(mask.float(), (camera.height, camera.width)) == 1
            losses.append(masked_mean(torch.minimum(error, identity), seen & still))
        return torch.stack(losses).mean()


class EpipolarHints(Term):
    """Mean |log d - log h|, where h is the inverse depth that explains a context frame best, if clearly better.

    The term `hints` of stereo pairs, with the predicted motion in place of the baseline: all inverse depths of a range
    are tried, which moves a pixel along its epipolar line. Source: Watson et al., ICCV 2019, eq. 3 and 4.
    """

    kind: Literal["epipolar_hints"] = "epipolar_hints"
    weight: float = 0.5

    needs_context: ClassVar[bool] = True

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean over pixels, samples and scales, a scalar."""
        height, width = batch.image.shape[-2:]
        inv_depths = [resize_inv_depth(each, height, width).clamp(min=MIN_INV_DEPTH) for each in outputs.inv_depths]
        hints, trusted = search(batch, inv_depths[0].detach(), outputs.T_context_target.detach())
        losses = [((inv_depth / hints).log().abs() * trusted).mean() for inv_depth in inv_depths]
        return torch.stack(losses).mean()


@torch.no_grad()
def search(batch: Batch, predicted: Tensor, T_context_target: Tensor) -> tuple[Tensor, Tensor]:
    """Return the inverse depth of the smallest photometric error at each pixel, and where it is clearly better.

    Args:
        batch: the images.
        predicted: inverse depth [B, 1, H, W], 1/metres.
        T_context_target: ego-motion [B, N, 4, 4].

    Returns:
        Inverse depth [B, 1, H, W], 1/metres, and the mask [B, 1, H, W] bool.
    """
    windows = WindowStatistics.of(batch.image[:, None])

    def error(inv_depth: Tensor) -> Tensor:
        images, valid = synthesize_each(batch.context, 1 / inv_depth, T_context_target, batch.camera)
        each, seen = combine(photometric_error(images, batch.image, windows=windows), valid, minimum=True)
        averaged = F.avg_pool2d(each, WINDOW, stride=1, padding=WINDOW // 2, count_include_pad=False)
        return averaged.masked_fill(~seen, torch.inf)

    candidates = torch.linspace(1 / FARTHEST, 1 / NEAREST, CANDIDATES, device=predicted.device)
    return best_of(error, predicted, candidates)
