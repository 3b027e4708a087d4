"""Supervision by measured depth: predicted against measured inverse depth, where there is a measurement.

The losses are pure functions of p and g, predicted and measured inverse depth in 1/metres, over the pixels that have
both. Each gives one number for each sample, 0 for a sample without a measurement.
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

BERHU_SHARE = 0.2  # of the largest error, where BerHu goes over from linear to quadratic
SILOG_BALANCE = 0.85  # share of the squared mean log error that is forgiven

SupervisedKind = Literal["sparse_l1", "mse", "berhu", "silog", "abs_rel"]

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""p, g and where there is a measurement (bool), all [B, 1, H, W], to [B]. p and g are positive everywhere."""


def sparse_l1(p: Tensor, g: Tensor, valid: Tensor) -> Tensor:
    """Mean |p - g|, 1/metres."""
    return sample_means((p - g).abs(), valid)


def mse(p: Tensor, g: Tensor, valid: Tensor) -> Tensor:
    """Mean (p - g)^2, 1/metres^2."""
    return sample_means((p - g).square(), valid)


def berhu(p: Tensor, g: Tensor, valid: Tensor) -> Tensor:
    """Mean reverse Huber loss, 1/metres: |e| up to c, (e^2 + c^2) / 2c beyond, c a fifth of the sample's largest |e|.

    c is set anew in every step and is a constant for the gradient. Source: Laina et al., 3DV 2016, eq. 2.
    """
    error = (p - g).abs()
    c = BERHU_SHARE * _largest(error * valid)
    return sample_means(reverse_huber(error, c), valid)


def reverse_huber(error: Tensor, c: Tensor) -> Tensor:
    """`error` (not negative) up to `c`, (error^2 + c^2) / 2c beyond; of the shape of the two together."""
    return torch.where(error > c, (error.square() + c.square()) / (2 * torch.where(c > 0, c, 1)), error)


def silog(p: Tensor, g: Tensor, valid: Tensor) -> Tensor:
    """10 sqrt(mean e^2 - 0.85 (mean e)^2), e = log p - log g: forgives most of a common factor.

    Source: Eigen et al., NeurIPS 2014, eq. 4, in the form of Lee et al. 2019. Has no gradient where it is 0.
    """
    error = p.log() - g.log()
    mean = sample_means(error, valid)
    variance = sample_means((error - mean[:, None, None, None]).square(), valid)
    squared = variance + (1 - SILOG_BALANCE) * mean.square()
    exact = squared == 0
    return 10 * torch.where(exact, 1, squared).sqrt().masked_fill(exact, 0)


def abs_rel(p: Tensor, g: Tensor, valid: Tensor) -> Tensor:
    """Mean |p - g| / g."""
    return sample_means((p - g).abs() / g, valid)


def reference_berhu(p: Tensor, g: Tensor, valid: Tensor) -> Tensor:
    """What packnet-sfm calls BerHu: the mean over all |e| and, once more, the e^2 of those |e| > c, c = 0.2 max(p - g).

    The maximum is that of the signed error.
    """
    error = p - g
    c = BERHU_SHARE * _largest(error.masked_fill(~valid, -torch.inf))
    beyond = valid & (error.abs() > c)
    return sample_means(torch.stack([error.abs(), error.square()], 1), torch.stack([valid, beyond], 1))


def reference_abs_rel(p: Tensor, g: Tensor, valid: Tensor) -> Tensor:
    """Mean |p - g| / p, as in packnet-sfm: of depths, |predicted - measured| / measured."""
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

    Each scale is brought to the resolution of the measurement, as predictions are, so that every measurement counts
    once and where it was made, whatever the resolutions of data and network. A sample without a measurement counts as
    zero. Source: Guizilini et al., CoRL 2019 (semi-supervision), for the setting; the losses name theirs.

    >>> Supervised(kind="berhu").metric_from
    'truth'
    """

    kind: SupervisedKind
    """Mean |e|; mean e^2; reverse Huber; scale-invariant log; mean |e| over the measured inverse depth."""
    weight: NonNegative = 1.0
    """packnet-sfm weighs this 0.9 and the self-supervised terms 0.1 of their weights."""
    convention: Convention = "packdepth"
    """reference: measured inverse depth is resized to each scale, nearest, and the batch counts as one image.

    berhu and abs_rel are then what packnet-sfm calls so.
    """

    needs: ClassVar[tuple[str, ...]] = ("truth",)
    metric_field: ClassVar[str | None] = "truth"

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Mean over samples and scales, a scalar."""
        assert batch.truth is not None
        known = batch.truth > 0
        measured = torch.where(known, 1 / torch.where(known, batch.truth, 1), 0)
        return torch.stack([self._at_scale(inv_depth, measured) for inv_depth in outputs.inv_depths]).mean()

    def _at_scale(self, inv_depth: Tensor, measured: Tensor) -> Tensor:
        """The loss of a scale; `measured` inverse depth is 0 where unknown."""
        if self.convention == "reference":
            measured = F.interpolate(measured, inv_depth.shape[-2:], mode="nearest")
            inv_depth, measured = (values.reshape(1, 1, 1, -1) for values in (inv_depth, measured))
        else:
            inv_depth = resize_inv_depth(inv_depth, *measured.shape[-2:])
        valid = measured > 0
        loss = (REFERENCE_LOSSES if self.convention == "reference" else LOSSES)[self.kind]
        return loss(inv_depth.clamp(min=MIN_INV_DEPTH), torch.where(valid, measured, 1), valid).mean()


def _largest(values: Tensor) -> Tensor:
    """The largest value of each sample, a constant: [B, 1, H, W] to [B, 1, 1, 1]."""
    return values.detach().amax((1, 2, 3), keepdim=True)
