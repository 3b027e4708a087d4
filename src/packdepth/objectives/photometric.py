"""Photometric loss: how unlike the target image is to its synthesis from the context frames."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import model_validator
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import depth_from_inverse
from packdepth.geometry.warp import Padding, synthesize
from packdepth.objectives.scales import Comparison, enlarged, reduced
from packdepth.objectives.ssim import WindowStatistics, ssim_distance
from packdepth.objectives.term import Convention, NonNegative, Term, Unit, masked_mean
from packdepth.records import Batch, Outputs

SSIM_SHARE = 0.85  # of the photometric error, as published; L1 has the rest


def photometric_error(
    images: Tensor, target: Tensor, ssim: float = SSIM_SHARE, windows: WindowStatistics | None = None
) -> Tensor:
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
    distance = ssim_distance(images, windows or WindowStatistics.of(target[:, None])).mean(2)
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
    windows: WindowStatistics  # of the target
    context: Tensor  # [B, N, 3, H, W]
    unmoved: Tensor | None  # [B, N, H, W] errors of the context as it is, for auto-masking


class Photometric(Term):
    """Photometric loss of view synthesis: minimum reprojection, auto-masking and validity mask over four scales.

    Pixels that no context frame sees are left out of the mean. Where the identity reprojection, which is the context
    frame without any motion, explains a pixel better than the synthesis does (eq. 4), the pixel has that constant
    error, which has no gradient. Source: PackNet, CVPR 2020, eq. 1 to 4; Godard et al., ICCV 2019.

    >>> Photometric(scales="pyramid").automask
    True
    """

    kind: Literal["photometric"] = "photometric"
    ssim: Unit = SSIM_SHARE
    """Share of the SSIM term; the rest is L1."""
    minimum: bool = True
    """Take the smallest error over the context frames at each pixel, not their mean."""
    automask: bool = True
    """Ignore pixels that the identity reprojection explains better (standing camera, cars at our speed)."""
    scales: Comparison = "full"
    """Compare each scale at full resolution, upsampled (as published), or at its own (cheaper, wider basin).

    pyramid: at its own, and the coarsest once more at half of that (widest basin): within its reach is what moves by
    many pixels between two frames.
    """
    convention: Convention = "packdepth"
    """reference: pixels that no context frame sees count too, and scales are resized as in packnet-sfm."""
    padding: Padding = "zeros"
    """Option of the reference alone: pixels out of view are black (as published), or show the border of the frame."""
    clip: NonNegative = 0.0
    """Option of the reference alone: cut off errors at this many standard deviations above their mean; 0: never."""

    needs_context: ClassVar[bool] = True

    @model_validator(mode="after")
    def _options_of_the_reference(self) -> Photometric:
        if self.convention != "reference" and (self.padding != "zeros" or self.clip):
            raise ValueError("padding and clip belong to convention: reference; add it, or remove them")
        if self.convention == "reference" and self.scales == "pyramid":
            raise ValueError("scales: pyramid is unknown to convention: reference; take own, or remove convention")
        return self

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
        windows = WindowStatistics.of(image[:, None])
        unmoved = self._errors(context, image, windows) if self.automask else None
        return Scene(image, windows, context, unmoved)

    def _errors(self, images: Tensor, target: Tensor, windows: WindowStatistics) -> Tensor:
        errors = photometric_error(images, target, self.ssim, windows)
        return clipped(errors, self.clip) if self.clip else errors

    def _loss(self, inv_depth: Tensor, T_context_target: Tensor, scene: Scene, camera: Camera) -> Tensor:
        depth = depth_from_inverse(inv_depth)
        motions = zip(scene.context.unbind(1), T_context_target.unbind(1), strict=True)
        padding = self.padding if self.convention == "reference" else "border"
        views = [synthesize(context, depth, T, camera, padding=padding) for context, T in motions]
        valid = torch.cat([view.valid for view in views], dim=1)  # [B, N, H, W]
        if self.convention == "reference":
            valid = torch.ones_like(valid)
        synthesized = torch.stack([view.image for view in views], dim=1)  # [B, N, 3, H, W]
        error, seen = combine(self._errors(synthesized, scene.image, scene.windows), valid, self.minimum)
        if scene.unmoved is not None:
            unmoved, _ = combine(scene.unmoved, valid, self.minimum)
            error = torch.minimum(error, unmoved)
        return masked_mean(error, seen)
