"""Photometric loss: how unlike the target image is to its synthesis from the context frames."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.config import Comparison, Convention
from packdepth.geometry.camera import Camera
from packdepth.geometry.warp import Padding, synthesize
from packdepth.objectives.scales import enlarged, reduced
from packdepth.objectives.ssim import Windows, ssim_distance
from packdepth.objectives.term import masked_mean
from packdepth.records import Batch, Outputs


def photometric_error(images: Tensor, target: Tensor, ssim: float = 0.85, windows: Windows | None = None) -> Tensor:
    """Error at each pixel, `ssim` (1 - SSIM) / 2 + (1 - `ssim`) L1, averaged over channels.

    Args:
        images: [B, N, 3, H, W].
        target: [B, 3, H, W], to compare each of the N images with, a constant.
        ssim: share of the SSIM term.
        windows: of `target[:, None]`, where they are known from an earlier comparison.

    Returns:
        [B, N, H, W]. Source: PackNet, CVPR 2020, eq. 2.
    """
    difference = (images - target[:, None]).abs().mean(2)
    distance = ssim_distance(images, windows or Windows.of(target[:, None])).mean(2)
    return ssim * distance + (1 - ssim) * difference


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


def clipped(errors: Tensor, deviations: float) -> Tensor:
    """Errors [B, N, H, W], those of each context frame at most their mean plus some standard deviations of theirs.

    Both are taken over the whole batch, as constants. Source: packnet-sfm's `clip_loss`.
    """
    each = errors.detach().transpose(0, 1).flatten(1)
    return errors.clamp(max=(each.mean(1) + deviations * each.std(1))[:, None, None])


class Scene(NamedTuple):
    """What a synthesis is made from and compared with, at one resolution: nothing that the networks change."""

    image: Tensor  # [B, 3, H, W], the target
    windows: Windows  # of the target
    context: Tensor  # [B, N, 3, H, W]
    unmoved: Tensor | None  # [B, N, H, W] errors of the context as it is, for auto-masking


class Photometric:
    """The term `photometric`: minimum reprojection, auto-masking and validity mask over four scales.

    Source: PackNet, CVPR 2020, eq. 1 to 4; Godard et al. 2019. Pixels that no context frame sees are left out of the
    mean. Where the unmoved context explains a pixel better than the synthesis does (eq. 4), the pixel has that
    constant error, so that it pulls at nothing.

    Args:
        ssim: share of the SSIM term.
        minimum: least error over the context frames, or else the mean.
        automask: compare with the unmoved context.
        scales: `full` upsamples each inverse depth to full resolution; `own` compares at its own resolution;
            `pyramid` does too, and compares the coarsest once more at half of that: what moves by many pixels between
            two frames is within reach there.
        convention: `reference` gives the values of packnet-sfm: pixels out of view count like all others, and images
            and inverse depths are resized as there (see `scales`).
        padding: what the reference sees beyond the borders of a context frame.
        clip: standard deviations above the mean at which the reference cuts off errors; 0 does not.
    """

    needs: tuple[str, ...] = ()

    def __init__(
        self,
        ssim: float = 0.85,
        minimum: bool = True,
        automask: bool = True,
        scales: Comparison = "full",
        convention: Convention = "packdepth",
        padding: Padding = "zeros",
        clip: float = 0.0,
    ) -> None:
        self.ssim, self.minimum, self.automask, self.scales = ssim, minimum, automask, scales
        self.convention, self.clip = convention, clip
        self.padding: Padding = padding if convention == "reference" else "border"

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Mean error over samples and scales, a scalar."""
        height, width = batch.image.shape[-2:]
        scene, camera = self._scene(batch, 0), batch.camera
        losses = []
        for s, inv_depth in enumerate(self._levels(outputs.inv_depths)):
            if self.scales == "full":
                inv_depth = enlarged(inv_depth, s, height, width, self.convention)
            elif s > 0:
                scene, camera = self._scene(batch, s), batch.camera.pooled(2**s)
            losses.append(self._loss(inv_depth, outputs.T_context_target, scene, camera))
        return torch.stack(losses).mean()

    def _levels(self, inv_depths: list[Tensor]) -> list[Tensor]:
        """The inverse depths to judge, those of a pyramid and one that is coarser by half."""
        if self.scales != "pyramid":
            return inv_depths
        return [*inv_depths, F.avg_pool2d(inv_depths[-1], 2, ceil_mode=True)]

    @torch.no_grad()
    def _scene(self, batch: Batch, scale: int) -> Scene:
        image, context = (reduced(images, scale, self.convention) for images in (batch.image, batch.context))
        windows = Windows.of(image[:, None])
        unmoved = self._errors(context, image, windows) if self.automask else None
        return Scene(image, windows, context, unmoved)

    def _errors(self, images: Tensor, target: Tensor, windows: Windows) -> Tensor:
        errors = photometric_error(images, target, self.ssim, windows)
        return clipped(errors, self.clip) if self.clip else errors

    def _loss(self, inv_depth: Tensor, T_context_target: Tensor, scene: Scene, camera: Camera) -> Tensor:
        depth = 1 / inv_depth.clamp(min=1e-6)
        motions = zip(scene.context.unbind(1), T_context_target.unbind(1), strict=True)
        views = [synthesize(context, depth, T, camera, padding=self.padding) for context, T in motions]
        valid = torch.cat([view.valid for view in views], dim=1)  # [B, N, H, W]
        if self.convention == "reference":
            valid = torch.ones_like(valid)
        synthesized = torch.stack([view.image for view in views], dim=1)  # [B, N, 3, H, W]
        error, seen = combine(self._errors(synthesized, scene.image, scene.windows), valid, self.minimum)
        if scene.unmoved is not None:
            unmoved, _ = combine(scene.unmoved, valid, self.minimum)
            error = torch.minimum(error, unmoved)
        return masked_mean(error, seen)
