"""Agreement with a teacher: the inverse depth of another network, or maps on disk, free of scale and shift.

The functions take inverse depth p of the network that is trained and t of the teacher, both [B, 1, H, W], and the mask
of pixels where the teacher is known. Whatever the scale and the shift of a relative teacher, they cancel.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import PositiveInt, model_validator
from torch import Tensor

from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.objectives.term import NonNegative, Term, Unit, sample_means
from packdepth.records import Batch, Outputs

LEVELS = 4  # levels of the pyramid on which gradients are matched, each half the size of the one before (MiDaS, eq. 11)
MIN_SPREAD = 0.01  # of the median: lower bound of the student's spread. A network that has just been initialized
# predicts one depth everywhere; without a bound the noise of its output would be enlarged to a shape
FLAT = 1e-5  # of the largest value: a teacher of smaller spread is constant up to rounding, and shows no shape


def masked_median(values: Tensor, valid: Tensor) -> Tensor:
    """Return the median over the valid pixels of each sample, [B, 1, 1, 1]; 0 for a sample without any.

    Args:
        values: [B, 1, H, W].
        valid: valid mask [B, 1, H, W] bool.

    >>> masked_median(torch.tensor([[[[1.0, 2.0, 9.0, 50.0]]]]), torch.tensor([[[[True, True, True, False]]]])).item()
    2.0
    """
    median = torch.where(valid, values, torch.nan).flatten(1).nanmedian(1).values
    return torch.where(valid.flatten(1).any(1), median, 0)[:, None, None, None]


def spread(values: Tensor, valid: Tensor) -> Tensor:
    """Return the mean absolute deviation from the median over the valid pixels of each sample, [B, 1, 1, 1].

    Source: MiDaS (Ranftl et al., TPAMI 2022), eq. 7.

    Args:
        values: [B, 1, H, W].
        valid: valid mask [B, 1, H, W] bool.

    >>> spread(torch.tensor([[[[1.0, 2.0, 6.0]]]]), torch.ones(1, 1, 1, 3, dtype=torch.bool)).item()
    1.6666666269302368
    """
    return sample_means((values - masked_median(values, valid)).abs(), valid)[:, None, None, None]


def relative_residual(p: Tensor, t: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Return p / s(p) - t / s(t) less its median, with the spread s: the difference of shape of p and t.

    It does not depend on scale and shift of p or of t. It is 0 everywhere if, and only if, p = a t + b with a > 0. As
    the median minimizes the mean absolute value, few wrong pixels of the teacher do not move the others. Source: MiDaS
    (Ranftl et al., TPAMI 2022), eq. 7 and 8; there each map is shifted by its own median.

    Args:
        p: inverse depth of the student [B, 1, H, W].
        t: inverse depth of the teacher [B, 1, H, W], finite everywhere.
        valid: mask [B, 1, H, W] bool of pixels where the teacher is known.

    Returns:
        The residual [B, 1, H, W] without a unit, and the mask of its valid pixels: none in a sample whose teacher is
        constant.

    >>> t, valid = torch.tensor([[[[0.0, 1.0, 2.0]]]]), torch.ones(1, 1, 1, 3, dtype=torch.bool)
    >>> relative_residual(0.5 * t + 3, t, valid)[0]
    tensor([[[[0., 0., 0.]]]])
    """
    width = spread(t, valid)
    valid = valid & (width > FLAT * (t * valid).abs().amax((1, 2, 3), keepdim=True))
    floor = MIN_SPREAD * masked_median(p, valid).detach().abs().clamp(min=MIN_INV_DEPTH)
    difference = p / spread(p, valid).maximum(floor) - t / torch.where(width > 0, width, 1)
    return difference - masked_median(difference, valid), valid


def metric_residual(p: Tensor, t: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Return (p - t) over the median of t, the difference of metric p and t, and the mask, which does not change.

    Args:
        p: inverse depth of the student [B, 1, H, W], 1/metres.
        t: inverse depth of the teacher [B, 1, H, W], 1/metres, finite everywhere.
        valid: mask [B, 1, H, W] bool of pixels where the teacher is known.

    Returns:
        The residual [B, 1, H, W] without a unit, and `valid`.

    >>> t, valid = torch.tensor([[[[1.0, 2.0, 4.0]]]]), torch.ones(1, 1, 1, 3, dtype=torch.bool)
    >>> metric_residual(t + 1, t, valid)[0]
    tensor([[[[0.5000, 0.5000, 0.5000]]]])
    """
    return (p - t) / masked_median(t, valid).clamp(min=MIN_INV_DEPTH), valid


def gradient_matching(residual: Tensor, valid: Tensor) -> Tensor:
    """Return the mean |dx r| + |dy r| of each sample, summed over the levels of a pyramid of the residual r: [B].

    Edges of the student that the teacher does not have, and edges of the teacher that it lacks, are both in r. Source:
    MegaDepth (Li and Snavely, CVPR 2018), eq. 4; MiDaS (Ranftl et al., TPAMI 2022), eq. 11.

    Args:
        residual: [B, 1, H, W].
        valid: valid mask [B, 1, H, W] bool.

    >>> gradient_matching(torch.full((1, 1, 8, 8), 3.0), torch.ones(1, 1, 8, 8, dtype=torch.bool))
    tensor([0.])
    """
    total = residual.new_zeros(len(residual))
    for level in range(LEVELS):
        if min(residual.shape[-2:]) < 2:
            break
        if level > 0:
            residual, valid = pooled(residual, valid, (residual.shape[-2] // 2, residual.shape[-1] // 2))
        for axis in (2, 3):
            length = residual.shape[axis] - 1
            both = valid.narrow(axis, 0, length) & valid.narrow(axis, 1, length)
            total = total + sample_means(residual.diff(dim=axis).abs(), both)
    return total


def pooled(values: Tensor, valid: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the means of the valid pixels of windows, and the mask of windows with a valid pixel.

    Args:
        values: [B, 1, H, W], finite everywhere.
        valid: valid mask [B, 1, H, W] bool.
        size: height and width of the result, in pixels.

    >>> values, valid = torch.tensor([[[[1.0, 3.0, 5.0, 7.0]]]]), torch.tensor([[[[True, True, True, False]]]])
    >>> pooled(values, valid, (1, 2))[0]
    tensor([[[[2., 5.]]]])
    """
    share = F.adaptive_avg_pool2d(valid.to(values.dtype), size)
    mean = F.adaptive_avg_pool2d(values * valid, size) / torch.where(share > 0, share, 1)
    return mean, share > 0


def teacher_loss(inv_depth: Tensor, teacher: Tensor, metric: bool, gradients: float) -> Tensor:
    """Return the mean absolute residual of each sample plus `gradients` times its gradient matching, [B].

    Args:
        inv_depth: inverse depth of the student [B, 1, h, w], 1/metres, at any resolution.
        teacher: inverse depth of the teacher [B, 1, H, W], NaN where it is not known. It is averaged over the pixels of
            `inv_depth`.
        metric: whether scale and shift of the teacher are those of the student.
        gradients: weight of the gradient matching.

    >>> teacher = torch.rand(1, 1, 8, 16)
    >>> float(teacher_loss(0.3 * teacher + 0.1, teacher, metric=False, gradients=0.5)) < 1e-5
    True
    """
    valid = teacher.isfinite()
    teacher = torch.where(valid, teacher, 0)
    if teacher.shape != inv_depth.shape:
        teacher, valid = pooled(teacher, valid, (inv_depth.shape[-2], inv_depth.shape[-1]))
    residual, valid = (metric_residual if metric else relative_residual)(inv_depth, teacher, valid)
    return sample_means(residual.abs(), valid) + gradients * gradient_matching(residual, valid)


class Teacher(Term):
    """Agreement with the inverse depth of a teacher: of its shape only or, with `metric`, also of its metres.

    The teacher is another depth network or maps on disk. By default each image's scale and shift are free, so that
    another term, such as velocity, gives the metres and the teacher gives the shape: where photometry is blind, as on
    cars ahead, in the sky and on road without texture. Each scale is compared at its own resolution. Gradients are
    matched at several resolutions, so that edges survive. Source: MiDaS (Ranftl et al., TPAMI 2022), section 5.

    >>> Teacher(network="runs/large/best").needs
    ('teacher',)
    >>> Teacher(maps="depth", fade=(0.5, 1.0)).weight_at(0.75)
    0.25
    """

    kind: Literal["teacher"] = "teacher"
    weight: NonNegative = 0.5
    """Factor of the term in the objective."""
    network: str | None = None
    """The teacher as a network: the folder of a checkpoint, packdepth's or another project's, or its address
    (`hf://user/name`), or a depth model of transformers by its folder or its name on the Hub (extra `transformers`).

    It sees the training images without color jitter. Checkpoints of this run do not hold it, but name it.
    """
    image_size: tuple[PositiveInt, PositiveInt] | None = None
    """Height and width of the images that the network sees, in pixels. If left out: those of its own training or, for a
    model of transformers, those of `data.image_size`. Such models know most at the size that they were trained on.
    """
    maps: Path | None = None
    """The teacher as maps on disk: the folder with one map for each frame, under the frame's name.

    Searched in this order: MAPS/CLIP/depth, MAPS/CLIP and, if the run reads one clip only, MAPS/depth and MAPS. A map
    is an npz as `packdepth predict --save depth` writes it, a TIFF of floats, or a 16-bit PNG of metres x 256. Depth of
    0 or NaN is not known.
    """
    inverse: bool = False
    """The maps hold inverse depth in any unit, as relative depth networks predict it. 0 is then infinitely far."""
    metric: bool = False
    """The teacher's depth is in metres, and the student should have the same: scale and shift are not free.

    The metres of a checkpoint are corrected for the focal length of the camera; those of a model of transformers are
    taken as they are.
    """
    gradients: NonNegative = 0.5
    """Weight of the gradient matching, relative to the mean absolute difference."""
    fade: tuple[Unit, Unit] | None = None
    """Shares of the training between which the weight falls linearly to 0. If left out, it is constant.

    With `[0.5, 0.8]` the teacher guides the first half, and the last fifth is trained without it. Validation computes
    the loss with the weight of the end of the training, so that the losses of all epochs can be compared.
    """
    cache: Path | None = None
    """Folder that caches the predictions of `network`. If left out, every step computes them again."""

    @model_validator(mode="after")
    def _one_source(self) -> Teacher:
        if (self.network is None) == (self.maps is None):
            raise ValueError("give either network (a checkpoint) or maps (a folder of depth maps), one of the two")
        if self.cache is not None and self.network is None:
            raise ValueError("cache keeps predictions of a network, but maps are on disk already; remove it")
        if self.image_size is not None and self.network is None:
            raise ValueError("image_size is that of a network's input, but the teacher is maps; remove it")
        if self.inverse and self.maps is None:
            raise ValueError("inverse says what maps hold, but the teacher is a network; remove it")
        if self.inverse and self.metric:
            raise ValueError("inverse maps have no known unit, so that metric cannot be true; remove one of the two")
        if self.fade is not None and self.fade[0] > self.fade[1]:
            raise ValueError(f"fade begins at {self.fade[0]:g} and ends before, at {self.fade[1]:g}; exchange them")
        return self

    @property
    def needs(self) -> tuple[str, ...]:
        """The teacher's inverse depth."""
        return ("teacher",)

    @property
    def metric_from(self) -> str | None:
        """The teacher, if it is metric; None otherwise."""
        return "teacher" if self.metric and self.weight > 0 else None

    def weight_at(self, progress: float) -> float:
        """Return the factor of the term at a share of the training.

        Args:
            progress: share of the training that is done, in [0, 1].
        """
        if self.fade is None or progress < self.fade[0]:
            return self.weight
        start, end = self.fade
        return self.weight * (max(end - progress, 0) / (end - start) if end > start else 0)

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean over samples and scales, a scalar."""
        assert batch.teacher is not None
        teacher = batch.teacher.to(outputs.inv_depths[0].dtype)
        losses = [teacher_loss(inv_depth, teacher, self.metric, self.gradients) for inv_depth in outputs.inv_depths]
        return torch.stack(losses).mean()


def teacher_of(terms: Sequence[object]) -> Teacher | None:
    """Return the teacher among the terms of an objective; None if there is none.

    Args:
        terms: the terms.

    >>> teacher_of([]) is None
    True
    """
    return next((term for term in terms if isinstance(term, Teacher)), None)
