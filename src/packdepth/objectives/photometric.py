"""Photometric loss: the difference between the target image and its synthesis from the context frames."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import model_validator
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import depth_from_inverse
from packdepth.geometry.warp import Padding, synthesize_each
from packdepth.objectives.scales import Comparison, enlarged, reduced
from packdepth.objectives.ssim import WindowStatistics, ssim_distance
from packdepth.objectives.term import Convention, NonNegative, Term, Unit, masked_mean
from packdepth.records import Batch, Outputs

SSIM_SHARE = 0.85  # share of the SSIM term in the photometric error (PackNet, eq. 2); L1 has the rest
MIN_SIDE = 2  # pixels, smallest height and width of an image to compare: the windows of SSIM need two
LEVELS = 5  # number of resolutions of `pyramid`, at strides 1 to 16


def photometric_error(
    images: Tensor, target: Tensor, ssim: float = SSIM_SHARE, windows: WindowStatistics | None = None
) -> Tensor:
    """Return the error `ssim` (1 - SSIM) / 2 + (1 - `ssim`) L1 at each pixel, averaged over channels.

    Source: PackNet, CVPR 2020, eq. 2.

    Args:
        images: [B, N, 3, H, W].
        target: the image [B, 3, H, W] that each of the N images is compared with, a constant.
        ssim: share of the SSIM term.
        windows: statistics of `target[:, None]`, if an earlier comparison has computed them.

    Returns:
        [B, N, H, W].

    >>> target = torch.rand(1, 3, 4, 4)
    >>> float(photometric_error(target[:, None], target).abs().max()) < 1e-6
    True
    """
    difference = (images - target[:, None]).abs().mean(2)
    distance = ssim_distance(images, windows or WindowStatistics.of(target[:, None])).mean(2)
    return ssim * distance + (1 - ssim) * difference


def combine(errors: Tensor, valid: Tensor, minimum: bool) -> tuple[Tensor, Tensor]:
    """Return one error for each pixel: the minimum or the mean over the context frames in which the pixel is valid.

    Args:
        errors: [B, N, H, W].
        valid: valid mask [B, N, H, W] bool.
        minimum: take the minimum reprojection error (PackNet eq. 3), not the mean.

    Returns:
        The error [B, 1, H, W], 0 where no context frame is valid, and the mask [B, 1, H, W] of pixels with a valid one.

    >>> errors, valid = torch.tensor([[[[1.0]], [[3.0]]]]), torch.ones(1, 2, 1, 1, dtype=torch.bool)
    >>> combine(errors, valid, minimum=False)
    (tensor([[[[2.]]]]), tensor([[[[True]]]]))
    """
    any_valid = valid.any(1, keepdim=True)
    if minimum:
        smallest = errors.masked_fill(~valid, torch.inf).amin(1, keepdim=True)
        return torch.where(any_valid, smallest, 0), any_valid
    weight = valid.to(errors.dtype)
    return (errors * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1), any_valid


def clipped(errors: Tensor, deviations: float) -> Tensor:
    """Return errors, limited to their mean plus a number of standard deviations, separately for each context frame.

    Mean and standard deviation are those of the whole batch, without gradient. Source: packnet-sfm's `clip_loss`.

    Args:
        errors: [B, N, H, W].
        deviations: number of standard deviations.

    Returns:
        [B, N, H, W].

    >>> float(clipped(torch.tensor([0.0, 0.0, 0.0, 8.0]).view(1, 1, 1, 4), deviations=1.0).max())
    6.0
    """
    each = errors.detach().transpose(0, 1).flatten(1)
    return errors.clamp(max=(each.mean(1) + deviations * each.std(1))[:, None, None])


class Scene(NamedTuple):
    """The images of a batch at the resolution of one comparison. None of them has a gradient."""

    image: Tensor  # [B, 3, H, W], the target
    windows: WindowStatistics  # statistics of the target
    context: Tensor  # [B, N, 3, H, W]
    identity_errors: Tensor | None  # [B, N, H, W] errors of the identity reprojection; None without auto-masking


class Photometric(Term):
    """Photometric loss of view synthesis: minimum reprojection, auto-masking and valid mask over four scales.

    Pixels that are valid in no context frame are left out of the mean. If the identity reprojection, which compares the
    context frame with the target without any warping, has a smaller error at a pixel than the synthesis (eq. 4), that
    error is used. It is a constant, so that the pixel has no gradient. Source: PackNet, CVPR 2020, eq. 1 to 4; Godard
    et al., ICCV 2019.

    >>> Photometric(scales="pyramid").automask
    True
    """

    kind: Literal["photometric"] = "photometric"
    ssim: Unit = SSIM_SHARE
    """Share of the SSIM term; the rest is L1."""
    minimum: bool = True
    """Take the minimum reprojection error over the context frames at each pixel, not the mean."""
    automask: bool = True
    """Ignore pixels where the identity reprojection has the smaller error (static camera, cars at the same speed)."""
    scales: Comparison = "full"
    """Resolution of the comparison: `full`, `own` or `pyramid`.

    full: each scale is upsampled to full resolution, as published. own: each scale is compared at its own resolution,
    which is cheaper and converges from a worse initial depth. pyramid: like own, and the coarsest scale is compared
    again at half of its resolution, and so on down to a sixteenth of the image. It converges from the worst initial
    depth, and also for objects that move by many pixels between two frames.
    """
    convention: Convention = "packdepth"
    """packdepth's convention, or packnet-sfm's (`reference`).

    reference: pixels without a valid context frame are part of the mean, and scales are resized as in packnet-sfm.
    """
    padding: Padding = "zeros"
    """Values beyond the border of the context image: `zeros`, black (as published), or `border`, its edge pixels.

    Option of `convention: reference` only.
    """
    clip: NonNegative = 0.0
    """Limit errors to their mean plus this many standard deviations. 0 means no limit.

    Option of `convention: reference` only.
    """

    needs_context: ClassVar[bool] = True
    zero_means: ClassVar[str | None] = (
        "its images do not differ from frame to frame: the camera stands, or they are blank"
    )

    @model_validator(mode="after")
    def _options_of_the_reference(self) -> Photometric:
        if self.convention != "reference" and (self.padding != "zeros" or self.clip):
            raise ValueError("padding and clip belong to convention: reference; add it, or remove them")
        if self.convention == "reference" and self.scales == "pyramid":
            raise ValueError("scales: pyramid is unknown to convention: reference; take own, or remove convention")
        return self

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean error over samples and scales, a scalar."""
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
        """Return the inverse depths to compare: all scales and, for `pyramid`, halves of the coarsest one."""
        levels = list(inv_depths)
        while self.scales == "pyramid" and len(levels) < LEVELS and min(levels[-1].shape[-2:]) > MIN_SIDE:
            levels.append(F.avg_pool2d(levels[-1], 2, ceil_mode=True))
        return levels

    @torch.no_grad()
    def _scene(self, batch: Batch, scale: int) -> Scene:
        """Return the images at a scale, without gradient."""
        image, context = (reduced(images, scale, self.convention) for images in (batch.image, batch.context))
        windows = WindowStatistics.of(image[:, None])
        identity_errors = self._errors(context, image, windows) if self.automask else None
        return Scene(image, windows, context, identity_errors)

    def _errors(self, images: Tensor, target: Tensor, windows: WindowStatistics) -> Tensor:
        """Return the errors [B, N, H, W] of images [B, N, 3, H, W], limited if `clip` is set."""
        errors = photometric_error(images, target, self.ssim, windows)
        return clipped(errors, self.clip) if self.clip else errors

    def _loss(self, inv_depth: Tensor, T_context_target: Tensor, scene: Scene, camera: Camera) -> Tensor:
        """Return the loss of one scale, a scalar."""
        padding = self.padding if self.convention == "reference" else "border"
        depth = depth_from_inverse(inv_depth)
        synthesized, valid = synthesize_each(scene.context, depth, T_context_target, camera, padding)
        if self.convention == "reference":
            valid = torch.ones_like(valid)
        error, any_valid = combine(self._errors(synthesized, scene.image, scene.windows), valid, self.minimum)
        if scene.identity_errors is not None:
            identity_error, _ = combine(scene.identity_errors, valid, self.minimum)
            error = torch.minimum(error, identity_error)
        return masked_mean(error, any_valid)
