"""Supervision by measured depth: the difference between predicted and measured inverse depth at measured pixels.

The losses are pure functions of p and g, predicted and measured inverse depth in 1/metres, and of the mask of pixels
with a measurement. Each returns one number for each sample, and 0 for a sample without a measurement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.geometry.resize import resize_inv_depth
from packdepth.objectives.term import Convention, NonNegative, Term, sample_means
from packdepth.records import Batch, Outputs

BERHU_SHARE = 0.2  # share of the largest error at which BerHu changes from linear to quadratic (Laina et al. 2016)
SILOG_BALANCE = 0.85  # share of the squared mean log error that is subtracted (Lee et al. 2019)
SILOG_FACTOR = 10  # factor of the scale-invariant log loss (Lee et al. 2019)

SupervisedKind = Literal["sparse_l1", "mse", "berhu", "silog", "abs_rel"]

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Signature: `(p, g, valid) -> loss [B]`, with p, g > 0 and the mask valid (bool) all of shape [B, 1, H, W]."""


def sparse_l1(p: Tensor, g: Tensor, valid: Tensor) -> Tensor:
    """Return the mean |p - g| of each sample.

    Args:
        p: predicted inverse depth [B, 1, H, W], 1/metres.
        g: measured inverse depth [B, 1, H, W], 1/metres.
        valid: mask [B, 1, H, W] bool of pixels with a measurement.

    Returns:
        [B], 1/metres.

    >>> p, g, valid = torch.full((1, 1, 1, 1), 0.5), torch.full((1, 1, 1, 1), 0.25), torch.ones(1, 1, 1, 1).bool()
    >>> sparse_l1(p, g, valid)
    tensor([0.2500])
    """
    return sample_means((p - g).abs(), valid)


def mse(p: Tensor, g: Tensor, valid: Tensor) -> Tensor:
    """Return the mean (p - g)^2 of each sample.

    Args:
        p: predicted inverse depth [B, 1, H, W], 1/metres.
        g: measured inverse depth [B, 1, H, W], 1/metres.
        valid: mask [B, 1, H, W] bool of pixels with a measurement.

    Returns:
        [B], 1/metres^2.

    >>> p, g, valid = torch.full((1, 1, 1, 1), 0.5), torch.full((1, 1, 1, 1), 0.25), torch.ones(1, 1, 1, 1).bool()
    >>> mse(p, g, valid)
    tensor([0.0625])
    """
    return sample_means((p - g).square(), valid)


def berhu(p: Tensor, g: Tensor, valid: Tensor) -> Tensor:
    """Return the mean reverse Huber loss of each sample: |e| up to c, (e^2 + c^2) / 2c beyond, with e = p - g.

    c is a fifth of the sample's largest |e|. It is computed in every step and has no gradient. Source: Laina et al.,
    3DV 2016, eq. 2.

    Args:
        p: predicted inverse depth [B, 1, H, W], 1/metres.
        g: measured inverse depth [B, 1, H, W], 1/metres.
        valid: mask [B, 1, H, W] bool of pixels with a measurement.

    Returns:
        [B], 1/metres.

    >>> p, g, valid = torch.full((1, 1, 1, 1), 0.5), torch.full((1, 1, 1, 1), 0.25), torch.ones(1, 1, 1, 1).bool()
    >>> berhu(p, g, valid)  # c = 0.05
    tensor([0.6500])
    """
    error = (p - g).abs()
    c = BERHU_SHARE * _largest(error * valid)
    return sample_means(reverse_huber(error, c), valid)


def reverse_huber(error: Tensor, c: Tensor) -> Tensor:
    """Return `error` up to `c`, and (error^2 + c^2) / 2c beyond.

    Args:
        error: absolute errors of any shape.
        c: threshold, of a shape that broadcasts with `error`.

    Returns:
        A tensor of the broadcast shape.

    >>> reverse_huber(torch.tensor([0.5, 3.0]), torch.tensor(1.0))
    tensor([0.5000, 5.0000])
    """
    return torch.where(error > c, (error.square() + c.square()) / (2 * torch.where(c > 0, c, 1)), error)


def silog(p: Tensor, g: Tensor, valid: Tensor) -> Tensor:
    """Return the scale-invariant log loss of each sample: 10 sqrt(mean e^2 - 0.85 (mean e)^2), with e = log p - log g.

    An error that is a common factor of all predictions has a small loss. Where the loss is 0, it has no gradient.
    Source: Eigen et al., NeurIPS 2014, eq. 4, in the form of Lee et al. 2019.

    Args:
        p: predicted inverse depth [B, 1, H, W], 1/metres.
        g: measured inverse depth [B, 1, H, W], 1/metres.
        valid: mask [B, 1, H, W] bool of pixels with a measurement.

    Returns:
        [B].

    >>> g, valid = torch.full((1, 1, 1, 2), 0.25), torch.ones(1, 1, 1, 2).bool()
    >>> silog(torch.e * g, g, valid)  # 10 sqrt(1 - 0.85)
    tensor([3.8730])
    """
    error = p.log() - g.log()
    mean = sample_means(error, valid)
    variance = sample_means((error - mean[:, None, None, None]).square(), valid)
    squared = variance + (1 - SILOG_BALANCE) * mean.square()
    exact = squared == 0
    return SILOG_FACTOR * torch.where(exact, 1, squared).sqrt().masked_fill(exact, 0)


def abs_rel(p: Tensor, g: Tensor, valid: Tensor) -> Tensor:
    """Return the mean |p - g| / g of each sample.

    Args:
        p: predicted inverse depth [B, 1, H, W], 1/metres.
        g: measured inverse depth [B, 1, H, W], 1/metres.
        valid: mask [B, 1, H, W] bool of pixels with a measurement.

    Returns:
        [B].

    >>> p, g, valid = torch.full((1, 1, 1, 1), 0.5), torch.full((1, 1, 1, 1), 0.25), torch.ones(1, 1, 1, 1).bool()
    >>> abs_rel(p, g, valid)
    tensor([1.])
    """
    return sample_means((p - g).abs() / g, valid)


def reference_berhu(p: Tensor, g: Tensor, valid: Tensor) -> Tensor:
    """Return packnet-sfm's BerHu of each sample: the mean of all |e| together with the e^2 of the pixels with |e| > c.

    c is a fifth of the sample's largest signed error e = p - g.

    Args:
        p: predicted inverse depth [B, 1, H, W], 1/metres.
        g: measured inverse depth [B, 1, H, W], 1/metres.
        valid: mask [B, 1, H, W] bool of pixels with a measurement.

    Returns:
        [B].

    >>> p, g, valid = torch.full((1, 1, 1, 1), 0.5), torch.full((1, 1, 1, 1), 0.25), torch.ones(1, 1, 1, 1).bool()
    >>> reference_berhu(p, g, valid)  # (0.25 + 0.25^2) / 2
    tensor([0.1562])
    """
    error = p - g
    c = BERHU_SHARE * _largest(error.masked_fill(~valid, -torch.inf))
    beyond = valid & (error.abs() > c)
    return sample_means(torch.stack([error.abs(), error.square()], 1), torch.stack([valid, beyond], 1))


def reference_abs_rel(p: Tensor, g: Tensor, valid: Tensor) -> Tensor:
    """Return packnet-sfm's mean |p - g| / p of each sample, which for depths is |predicted - measured| / measured.

    Args:
        p: predicted inverse depth [B, 1, H, W], 1/metres.
        g: measured inverse depth [B, 1, H, W], 1/metres.
        valid: mask [B, 1, H, W] bool of pixels with a measurement.

    Returns:
        [B].

    >>> p, g, valid = torch.full((1, 1, 1, 1), 0.5), torch.full((1, 1, 1, 1), 0.25), torch.ones(1, 1, 1, 1).bool()
    >>> reference_abs_rel(p, g, valid)
    tensor([0.5000])
    """
    return sample_means((p - g).abs() / p, valid)


LOSSES: dict[SupervisedKind, Loss] = {
    "sparse_l1": sparse_l1,
    "mse": mse,
    "berhu": berhu,
    "silog": silog,
    "abs_rel": abs_rel,
}
REFERENCE_LOSSES: dict[SupervisedKind, Loss] = LOSSES | {"berhu": reference_berhu, "abs_rel": reference_abs_rel}


class Supervised(Term):
    """Supervision by measured depth: one of five losses of inverse depth, averaged over the scales.

    Each scale is resized to the resolution of the measurement, as it is for prediction. So every measurement counts
    once and at its own pixel, whatever the resolutions of data and network. A sample without a measurement counts as
    zero. The source of the semi-supervised setting is Guizilini et al., CoRL 2019; each loss names its own source.

    >>> Supervised(kind="berhu").metric_from
    'truth'
    """

    kind: SupervisedKind
    """Loss of the difference e = p - g of predicted and measured inverse depth.

    sparse_l1: mean |e|. mse: mean e^2. berhu: reverse Huber. silog: scale-invariant log loss. abs_rel: mean |e| / g.
    """
    weight: NonNegative = 1.0
    """Factor of the term in the objective.

    packnet-sfm uses 0.9, and multiplies the weights of the self-supervised terms by 0.1.
    """
    convention: Convention = "packdepth"
    """packdepth's convention, or packnet-sfm's (`reference`).

    reference: measured inverse depth is resized to each scale by nearest neighbor, and the mean is taken over all
    measurements of the batch. `berhu` and `abs_rel` are then the losses of these names in packnet-sfm.
    """

    needs: ClassVar[tuple[str, ...]] = ("truth",)
    metric_field: ClassVar[str | None] = "truth"
    zero_means: ClassVar[str | None] = "its depth maps and LiDAR scans measure no pixel of its images"

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean over samples and scales, a scalar."""
        assert batch.truth is not None
        known = batch.truth > 0
        measured = torch.where(known, 1 / torch.where(known, batch.truth, 1), 0)
        return torch.stack([self._at_scale(inv_depth, measured) for inv_depth in outputs.inv_depths]).mean()

    def _at_scale(self, inv_depth: Tensor, measured: Tensor) -> Tensor:
        """Return the loss of one scale, a scalar; `measured` inverse depth is 0 where unknown."""
        if self.convention == "reference":
            measured = F.interpolate(measured, inv_depth.shape[-2:], mode="nearest")
            inv_depth, measured = (values.reshape(1, 1, 1, -1) for values in (inv_depth, measured))
        else:
            inv_depth = resize_inv_depth(inv_depth, *measured.shape[-2:])
        valid = measured > 0
        loss = (REFERENCE_LOSSES if self.convention == "reference" else LOSSES)[self.kind]
        return loss(inv_depth.clamp(min=MIN_INV_DEPTH), torch.where(valid, measured, 1), valid).mean()


def _largest(values: Tensor) -> Tensor:
    """Return the largest value of each sample, a constant: [B, 1, H, W] to [B, 1, 1, 1]."""
    return values.detach().amax((1, 2, 3), keepdim=True)
