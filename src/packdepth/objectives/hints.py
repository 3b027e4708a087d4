"""Depth hints: supervision by the result of a search over depth, where it explains a stereo pair clearly better."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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

SCALE = 1  # scale of the search: half resolution, a quarter of the time
CANDIDATES = 32  # number of disparities that are searched
MAX_DISPARITY = 0.1  # largest disparity of the search, as a share of the image width: 3 m away in KITTI
WINDOW = 3  # pixels: side of the windows over which errors are averaged, to make the search less noisy

# A hint is trusted if its error is smaller than MAX_ERROR_RATIO times the prediction's error, and smaller than the
# prediction's error minus MIN_GAIN. Both were chosen on KITTI odometry's sequence 06
# (docs/results/2026-11-22-stereo-sequence-06.md).
MAX_ERROR_RATIO = 0.8
MIN_GAIN = 0.01  # in units of the photometric error


class Hints(Term):
    """Depth hints: mean |log d - log h|, with 0 at pixels without a trusted hint h, averaged over the scales.

    The photometric loss has local minima: the predicted depth of a trunk or a post whose disparity is many times its
    width stays at the depth of the background. A search over evenly spaced disparities has no such problem, but its
    result is noisy. Therefore a hint is trusted only where its photometric error is clearly smaller than that of the
    prediction.

    Source: Watson et al., ICCV 2019, eq. 3 and 4. Their hints are precomputed by semi-global matching. These hints
    minimize the photometric error itself, and therefore need a clear margin.

    >>> Hints().needs
    ('right',)
    """

    kind: Literal["hints"] = "hints"
    weight: NonNegative = 0.5
    """Factor of the term in the objective."""

    needs: ClassVar[tuple[str, ...]] = ("right",)

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean over pixels, samples and scales, a scalar."""
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
    """Return the inverse depth of the smallest photometric error at each pixel, and the mask of trusted pixels.

    Args:
        image: images of the left camera, [B, 3, H, W].
        right: images of the other camera, [B, 3, H, W].
        baseline: metres along x from the left camera to the other one, [B].
        camera: the camera of both.
        predicted: predicted inverse depth [B, 1, H, W], 1/metres, positive. It is one of the candidates.

    Returns:
        Inverse depth [B, 1, H, W], 1/metres, and the mask [B, 1, H, W] bool.

    >>> image, predicted = torch.rand(1, 3, 8, 16), torch.full((1, 1, 8, 16), 0.1)
    >>> hints, trusted = search(image, image, torch.tensor([0.5]), Camera.from_fov(90, 16, 8), predicted)
    >>> hints.shape, trusted.dtype
    (torch.Size([1, 1, 8, 16]), torch.bool)
    """
    step = MAX_DISPARITY * image.shape[-1] / CANDIDATES  # disparity between two candidates, in pixels
    per_pixel = 1 / (camera.fx * baseline.abs())  # [B] inverse depth of a disparity of one pixel
    T, windows = pair_motion(baseline), WindowStatistics.of(image[:, None])

    def error(inv_depth: Tensor) -> Tensor:
        view = synthesize(right, 1 / inv_depth, T, camera)
        each = photometric_error(view.image[:, None], image, windows=windows)
        averaged = F.avg_pool2d(each, WINDOW, stride=1, padding=WINDOW // 2, count_include_pad=False)
        return averaged.masked_fill(~view.valid, torch.inf)

    disparities = (k * step for k in range(1, CANDIDATES + 1))
    return best_of(error, predicted, ((each * per_pixel)[:, None, None, None] for each in disparities))


def best_of(
    error: Callable[[Tensor], Tensor], predicted: Tensor, candidates: Iterable[Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the inverse depth of the smallest error at each pixel, and the mask where it is clearly better.

    Args:
        error: returns the photometric error [B, 1, H, W] of an inverse depth, infinite where it is not known.
        predicted: predicted inverse depth [B, 1, H, W], 1/metres. It is one of the candidates.
        candidates: the others, each of a shape that can be expanded to that of `predicted`.

    Returns:
        Inverse depth [B, 1, H, W], 1/metres, and the mask [B, 1, H, W] bool.

    >>> best, clear = best_of(lambda x: (x - 0.5).abs(), torch.ones(1, 1, 1, 1), [torch.tensor(0.5)])
    >>> best.item(), clear.item()
    (0.5, True)
    """
    predicted_error = error(predicted)
    smallest, best = predicted_error, predicted
    for each in candidates:
        candidate = each.expand_as(predicted)
        candidate_error = error(candidate)
        best = torch.where(candidate_error < smallest, candidate, best)
        smallest = torch.minimum(candidate_error, smallest)
    clear = (smallest < MAX_ERROR_RATIO * predicted_error) & (smallest < predicted_error - MIN_GAIN)
    return best, predicted_error.isfinite() & clear
