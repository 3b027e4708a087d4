"""Photometric loss: how unlike the target image is to its synthesis from the context frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.warp import synthesize
from packdepth.objectives.term import masked_mean
from packdepth.records import Batch, Outputs

C1, C2 = 0.01**2, 0.03**2


def ssim_distance(images: Tensor, target: Tensor) -> Tensor:
    """(1 - SSIM) / 2 in [0, 1] at each pixel, over 3x3 windows.

    Args:
        images: [B, N, C, H, W].
        target: [B, C, H, W], to compare each of the N images with.

    Returns:
        [B, N, C, H, W].
    """
    x, y = _reflected(images), _reflected(target[:, None])
    mean_x, mean_xx, mean_xy = _window_means(x), _window_means(x * x), _window_means(x * y)
    mean_y, mean_yy = _window_means(y), _window_means(y * y)
    var_x, var_y, cov = mean_xx - mean_x**2, mean_yy - mean_y**2, mean_xy - mean_x * mean_y
    ssim = (2 * mean_x * mean_y + C1) * (2 * cov + C2) / ((mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2))
    return ((1 - ssim) / 2).clamp(0, 1)


def _reflected(images: Tensor) -> Tensor:
    """[B, N, C, H, W] to [B, N, C, H + 2, W + 2]."""
    return F.pad(images, (1, 1, 1, 1, 0, 0), mode="reflect")


def _window_means(images: Tensor) -> Tensor:
    """Means over 3x3 windows: [B, N, C, H + 2, W + 2] to [B, N, C, H, W].

    Sums of shifted images are several times faster on a CPU than average pooling, and exact where a convolution may
    round to TF32.
    """
    rows = images[..., :-2, :] + images[..., 1:-1, :] + images[..., 2:, :]
    return (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) / 9


def photometric_error(images: Tensor, target: Tensor, ssim: float = 0.85) -> Tensor:
    """Error at each pixel, `ssim` (1 - SSIM) / 2 + (1 - `ssim`) L1, averaged over channels.

    Args:
        images: [B, N, 3, H, W].
        target: [B, 3, H, W], to compare each of the N images with.
        ssim: share of the SSIM term.

    Returns:
        [B, N, H, W]. Source: PackNet, CVPR 2020, eq. 2.
    """
    difference = (images - target[:, None]).abs()
    return (ssim * ssim_distance(images, target) + (1 - ssim) * difference).mean(2)


def combine(errors: Tensor, valid: Tensor, minimum: bool) -> tuple[Tensor, Tensor]:
    """One error a pixel of several context frames: the least, or the mean, over those that see it.

    Args:
        errors: [B, N, H, W].
        valid: [B, N, H, W] bool.
        minimum: the least error (PackNet eq. 3), or else the mean.

    Returns:
        the error [B, 1, H, W], 0 where no context frame sees the pixel, and where one does [B, 1, H, W].
    """
    seen = valid.any(1, keepdim=True)
    if minimum:
        least = errors.masked_fill(~valid, torch.inf).amin(1, keepdim=True)
        return torch.where(seen, least, 0), seen
    weight = valid.to(errors.dtype)
    return (errors * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1), seen


class Photometric:
    """The term `photometric`: minimum reprojection, auto-masking and validity mask over four scales.

    Source: PackNet, CVPR 2020, eq. 1 to 4; Godard et al. 2019. Pixels that no context frame sees are left out of the
    mean. Where the unmoved context explains a pixel better than the synthesis does (eq. 4), the pixel has that
    constant error, so that it pulls at nothing.

    Args:
        ssim: share of the SSIM term.
        minimum: least error over the context frames, or else the mean.
        automask: compare with the unmoved context.
        scales: `full` upsamples each inverse depth to full resolution; `own` compares at its own resolution.
    """

    needs: tuple[str, ...] = ()

    def __init__(
        self,
        ssim: float = 0.85,
        minimum: bool = True,
        automask: bool = True,
        scales: Literal["full", "own"] = "full",
    ) -> None:
        self.ssim, self.minimum, self.automask, self.scales = ssim, minimum, automask, scales

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Mean error over samples and scales, a scalar."""
        losses = [
            self._at_scale(inv_depth, outputs.T_context_target, image, context, camera)
            for inv_depth, image, context, camera in self._pyramid(outputs.inv_depths, batch)
        ]
        return torch.stack(losses).mean()

    def _pyramid(self, inv_depths: list[Tensor], batch: Batch) -> Iterator[tuple[Tensor, Tensor, Tensor, Camera]]:
        """Inverse depth, target, context and camera of each scale, of one resolution."""
        height, width = batch.image.shape[-2:]
        for s, inv_depth in enumerate(inv_depths):
            factor = 2**s
            if self.scales == "full":
                if factor > 1:
                    inv_depth = F.interpolate(inv_depth, scale_factor=factor, mode="bilinear", align_corners=False)
                yield inv_depth[..., :height, :width], batch.image, batch.context, batch.camera
            else:
                image, context = (pooled(images, factor) for images in (batch.image, batch.context))
                yield inv_depth, image, context, batch.camera.pooled(factor)

    def _at_scale(
        self, inv_depth: Tensor, T_context_target: Tensor, image: Tensor, context: Tensor, camera: Camera
    ) -> Tensor:
        depth = 1 / inv_depth.clamp(min=1e-6)
        views = [synthesize(context[:, i], depth, T_context_target[:, i], camera) for i in range(context.shape[1])]
        valid = torch.cat([view.valid for view in views], dim=1)  # [B, N, H, W]
        synthesized = torch.stack([view.image for view in views], dim=1)  # [B, N, 3, H, W]
        error, seen = combine(photometric_error(synthesized, image, self.ssim), valid, self.minimum)
        if self.automask:
            unmoved, _ = combine(photometric_error(context, image, self.ssim), valid, self.minimum)
            error = torch.minimum(error, unmoved)
        return masked_mean(error, seen)


def pooled(images: Tensor, factor: int) -> Tensor:
    """Images [B, ..., C, H, W] averaged over windows of `factor` x `factor` pixels, the last of which may be cut."""
    if factor == 1:
        return images
    flat = F.avg_pool2d(images.flatten(0, -4), factor, ceil_mode=True)
    return flat.view(*images.shape[:-2], *flat.shape[-2:])
