"""Training of a depth network's uncertainty: the likelihood of residuals under the scale that it predicts."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from packdepth.geometry.depth import MIN_INV_DEPTH, depth_from_inverse
from packdepth.geometry.resize import resize_inv_depth
from packdepth.geometry.warp import synthesize_each
from packdepth.objectives.photometric import combine, photometric_error
from packdepth.objectives.teacher import masked_median, pooled, spread
from packdepth.objectives.term import NonNegative, Term, masked_mean
from packdepth.records import Batch, Outputs

Residual = Literal["mirrored", "photometric", "teacher", "truth"]

MIN_SHARE = 0.02  # of the median: lower bound of a teacher's inverse depth after its shift, so that it has a logarithm


def laplace_nll(residual: Tensor, log_scale: Tensor) -> Tensor:
    """Return the negative log-likelihood |r| / b + log b of residuals under a Laplace distribution, less its constant.

    It is smallest at b = |r|. Source: Poggi et al., CVPR 2020, eq. 6.

    Args:
        residual: the residuals r, any shape.
        log_scale: log b, the same shape.

    >>> float(laplace_nll(torch.tensor(0.5), torch.tensor(0.5).log()).exp()) / 0.5  # e
    2.7182817459106445
    """
    return residual.abs() * torch.exp(-log_scale) + log_scale


class Uncertainty(Term):
    """The negative log-likelihood of residuals of depth under the predicted scale, with `networks.depth.uncertainty`.

    The residuals are constants: the term trains the log-scale output alone, and depth stays as it is.

    Source: Poggi et al., CVPR 2020, eq. 6 and 7; there the likelihood trains depth, too.

    >>> Uncertainty(residual="teacher").needs
    ('log_scale', 'teacher')
    """

    kind: Literal["uncertainty"] = "uncertainty"
    weight: NonNegative = 0.01
    """Factor of the term in the objective.

    It hardly matters to the output that it trains, because Adam and Muon divide by the size of gradients. A small one
    keeps the term from deciding which checkpoint is the best, and gradients of depth from being clipped.
    """
    residual: Residual = "mirrored"
    """Residual whose scale is learned: `mirrored`, `photometric`, `teacher` or `truth`.

    mirrored: |log d - log m| to the depth m that the network predicts for the mirrored image, which takes a second
    prediction in training, but none afterwards. photometric: photometric error of the synthesis from the context
    frames, where it is smaller than that of the identity reprojection. Its scale is no error of depth. teacher:
    |log d - log t| to the depth t of the term `teacher`, after scale and shift are matched; with a checkpoint of the
    same kind of network as the teacher, it is self-teaching. truth: likewise to measured depth, where there is some,
    after one factor for each image.
    """

    @property
    def needs(self) -> tuple[str, ...]:
        """The optional fields that the residual is computed from, and the log-scale."""
        fields = {"mirrored": ("mirrored_inv_depth",), "photometric": (), "teacher": ("teacher",), "truth": ("truth",)}
        return ("log_scale", *fields[self.residual])

    @property
    def needs_context(self) -> bool:  # type: ignore[override]  # it depends on an option
        """Whether the residual is undefined without context frames."""
        return self.residual == "photometric"

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean over valid pixels and samples, a scalar."""
        log_scale = outputs.log_scale
        assert log_scale is not None
        with torch.no_grad():
            residual, valid = self._residual(outputs, batch)
        if log_scale.shape != residual.shape:
            log_scale = resize_inv_depth(log_scale, *residual.shape[-2:])
        return masked_mean(laplace_nll(residual, log_scale), valid)

    def _residual(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the residual [B, 1, H, W] and its valid mask."""
        inv_depth = outputs.inv_depths[0]
        match self.residual:
            case "mirrored":
                assert outputs.mirrored_inv_depth is not None
                return mirrored_residual(inv_depth, outputs.mirrored_inv_depth)
            case "photometric":
                return photometric_residual(outputs, batch)
            case "teacher":
                assert batch.teacher is not None
                return teacher_residual(inv_depth, batch.teacher)
            case "truth":
                assert batch.truth is not None
                return log_residual(inv_depth, batch.truth)


def mirrored_residual(inv_depth: Tensor, mirrored: Tensor) -> tuple[Tensor, Tensor]:
    """Return |log d - log m| to the prediction m for the mirrored image, and the mask, which is true everywhere.

    Args:
        inv_depth: predicted inverse depth [B, 1, H, W].
        mirrored: inverse depth that is predicted for the mirrored image, mirrored back, [B, 1, H, W].

    >>> residual, _ = mirrored_residual(torch.ones(1, 1, 1, 1), torch.full((1, 1, 1, 1), torch.e))
    >>> round(residual.item(), 6)  # the last bit of a logarithm differs between processors
    1.0
    """
    logs = [x.clamp(min=MIN_INV_DEPTH).log() for x in (inv_depth, mirrored)]
    return (logs[0] - logs[1]).abs(), torch.ones_like(inv_depth, dtype=torch.bool)


def photometric_residual(outputs: Outputs, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the minimum reprojection error [B, 1, H, W] of the finest inverse depth, and its valid mask.

    A pixel is valid where the error is smaller than that of the identity reprojection: elsewhere, as on cars of the
    same speed, it says nothing about depth.

    Args:
        outputs: the predictions of the networks for the batch.
        batch: the batch, with context frames.
    """
    depth = depth_from_inverse(outputs.inv_depths[0])
    images, seen = synthesize_each(batch.context, depth, outputs.T_context_target, batch.camera)
    error, valid = combine(photometric_error(images, batch.image), seen, minimum=True)
    identity, _ = combine(photometric_error(batch.context, batch.image), seen, minimum=True)
    return error, valid & (error < identity)


def teacher_residual(inv_depth: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Return |log d - log t| to a teacher whose inverse depth is matched to the network's in median and spread.

    Args:
        inv_depth: predicted inverse depth 1/d, [B, 1, H, W].
        teacher: inverse depth of the teacher in any unit and with any shift, [B, 1, H, W], NaN where it is not known.

    Returns:
        The residual [B, 1, H, W], and the mask [B, 1, H, W] bool of pixels where the teacher is known.

    >>> inv_depth = 0.1 + torch.rand(1, 1, 8, 8)
    >>> float(teacher_residual(inv_depth, 3 * inv_depth - 1)[0].max()) < 1e-4
    True
    """
    valid = teacher.isfinite()
    t = torch.where(valid, teacher, 0).to(inv_depth.dtype)
    if t.shape != inv_depth.shape:
        t, valid = pooled(t, valid, (inv_depth.shape[-2], inv_depth.shape[-1]))
    median, width = masked_median(inv_depth, valid), spread(t, valid)
    shape = (t - masked_median(t, valid)) / torch.where(width > 0, width, 1)
    matched = torch.maximum(median + spread(inv_depth, valid) * shape, MIN_SHARE * median)
    residual = inv_depth.clamp(min=MIN_INV_DEPTH).log() - matched.clamp(min=MIN_INV_DEPTH).log()
    return torch.where(valid, residual.abs(), 0), valid


def log_residual(inv_depth: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
    """Return |log d - log t|, after one factor for each image that makes their median equal, and the valid mask.

    Args:
        inv_depth: predicted inverse depth 1/d, [B, 1, h, w].
        depth: depth t of a measurement or another network, [B, 1, H, W], 0 where it is unknown.

    Returns:
        The residual [B, 1, H, W], and the mask [B, 1, H, W] bool of pixels with a depth t.

    >>> residual, valid = log_residual(torch.ones(1, 1, 1, 3), torch.tensor([[[[2.0, 2.0, 2 * torch.e]]]]))
    >>> residual.flatten(), bool(valid.all())
    (tensor([0., 0., 1.]), True)
    """
    valid = depth > 0
    inv_depth = resize_inv_depth(inv_depth, *depth.shape[-2:]).clamp(min=MIN_INV_DEPTH)
    difference = torch.where(valid, (inv_depth * torch.where(valid, depth, 1)).log(), torch.nan)  # log t - log d
    middle = difference.flatten(1).nanmedian(1).values[:, None, None, None]
    return (difference - middle).abs().nan_to_num(0.0), valid
