"""Depth hints: where a search over depth explains a stereo pair far better than the prediction does, follow it."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.geometry.resize import resize_inv_depth
from packdepth.geometry.warp import synthesize
from packdepth.objectives.photometric import photometric_error
from packdepth.objectives.scales import reduced
from packdepth.objectives.ssim import WindowStatistics
from packdepth.objectives.stereo import pair_motion
from packdepth.objectives.term import NonNegative, Term
from packdepth.records import Batch, Outputs

SCALE = 1  # the search is done at half resolution
CANDIDATES = 32
WIDEST = 0.1  # of the image width: the largest disparity that is searched
WINDOW = 3  # pixels: errors are averaged over squares of this side
BETTER = 0.8  # of the prediction's error, which a hint's must stay below,
MARGIN = 0.01  # and by this much


class Hints(Term):
    """Depth hints: mean |log d - log h| over pixels with a hint h, and 0 at all others, averaged over the scales.

    View synthesis pulls depth to the nearest match: a trunk or a post that moves by many times its width between the
    two images stays at the depth of what is behind it. A search over depths equally far apart in disparity has no such
    basin, but is noisy; so its result is taken only where it explains the pair far better than the prediction does.

    Source: Watson et al., ICCV 2019, eq. 3 and 4, whose hints come from semi-global matching, computed beforehand;
    these come from the photometric error itself, and need a clear margin for that.
    """

    kind: Literal["hints"] = "hints"
    weight: NonNegative = 0.5

    needs: ClassVar[tuple[str, ...]] = ("right",)

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """A scalar."""
        assert batch.right is not None
        assert batch.baseline is not None
        image, right = reduced(batch.image, SCALE), reduced(batch.right, SCALE)
        camera, size = batch.camera.pooled(2**SCALE), image.shape[-2:]
        inv_depths = [resize_inv_depth(inv_depth, *size).clamp(min=MIN_INV_DEPTH) for inv_depth in outputs.inv_depths]
        hints, trusted = search(image, right, batch.baseline, camera, inv_depths[0])
        losses = [((inv_depth / hints).log().abs() * trusted).mean() for inv_depth in inv_depths]
        return torch.stack(losses).mean()


@torch.no_grad()
def search(image: Tensor, right: Tensor, baseline: Tensor, camera: Camera, predicted: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse depth that explains each pixel of a rectified pair best, and where it is to be trusted.

    Args:
        image: [B, 3, H, W].
        right: [B, 3, H, W], of the other camera.
        baseline: [B] metres to that camera along x.
        camera: of both.
        predicted: inverse depth [B, 1, H, W], 1/metres, positive, that hints have to explain better.

    Returns:
        inverse depth [B, 1, H, W], 1/metres, and bool [B, 1, H, W].
    """
    step = WIDEST * image.shape[-1] / CANDIDATES  # pixels of disparity
    per_pixel = 1 / (camera.fx * baseline.abs())  # [B] inverse depth of a disparity of one pixel
    T, windows = pair_motion(baseline), WindowStatistics.of(image[:, None])

    def error(inv_depth: Tensor) -> Tensor:
        view = synthesize(right, 1 / inv_depth, T, camera)
        each = photometric_error(view.image[:, None], image, windows=windows)
        averaged = F.avg_pool2d(each, WINDOW, stride=1, padding=WINDOW // 2, count_include_pad=False)
        return averaged.masked_fill(~view.valid, torch.inf)

    own = error(predicted)
    least, best = own, predicted
    for k in range(1, CANDIDATES + 1):
        candidate = (k * step * per_pixel)[:, None, None, None].expand_as(predicted)
        found = error(candidate)
        best = torch.where(found < least, candidate, best)
        least = torch.minimum(found, least)
    return best, own.isfinite() & (least < BETTER * own) & (least < own - MARGIN)
