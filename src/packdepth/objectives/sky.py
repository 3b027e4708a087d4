"""The sky is far: its inverse depth is pulled to the smallest value that the network can predict."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from packdepth.classes import Label
from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.objectives.teacher import masked_median
from packdepth.objectives.term import NonNegative, Term
from packdepth.records import Batch, Outputs

SKY_SHARE = 0.01  # of the median inverse depth: a teacher's pixel below it, 100 times as far as the median, is sky


def sky_of_teacher(teacher: Tensor) -> Tensor:
    """Return the pixels that a teacher takes for sky, [B, 1, H, W] bool: at least 100 times as far as its median.

    Args:
        teacher: inverse depth [B, 1, H, W] in any unit, NaN where it is not known. Its zero must be infinity.

    >>> sky_of_teacher(torch.tensor([[[[0.0, 0.5, 1.0, torch.nan]]]]))
    tensor([[[[ True, False, False, False]]]])
    """
    return teacher <= SKY_SHARE * masked_median(torch.nan_to_num(teacher), teacher.isfinite())


def sky_loss(inv_depth: Tensor, sky: Tensor) -> Tensor:
    """Return the mean over all pixels of the inverse depth of the sky, over the median of the rest: [B].

    It does not depend on the scale of the depth, and only the depth of the sky has a gradient.

    Args:
        inv_depth: inverse depth [B, 1, h, w], 1/metres, at any resolution.
        sky: mask of the sky [B, 1, H, W] bool. A pixel of `inv_depth` counts as sky if all its pixels are.

    >>> sky_loss(torch.tensor([[[[0.1, 0.2, 0.2, 0.2]]]]), torch.tensor([[[[True, False, False, False]]]]))
    tensor([0.1250])
    """
    height, width = inv_depth.shape[-2:]
    mask = sky if sky.shape == inv_depth.shape else F.adaptive_avg_pool2d(sky.float(), (height, width)) == 1
    rest = masked_median(inv_depth.detach(), ~mask)
    return torch.where(rest > 0, inv_depth * mask / rest.clamp(min=MIN_INV_DEPTH), 0).mean((1, 2, 3))


class Sky(Term):
    """The sky is far: the inverse depth of its pixels, relative to the median of the others, is minimized.

    Photometry says nothing about the sky, as it looks the same at every depth.

    >>> Sky(by="labels").needs
    ('semantic',)
    """

    kind: Literal["sky"] = "sky"
    weight: NonNegative = 0.1
    """Factor of the term in the objective."""
    by: Literal["labels", "guidance", "teacher"] = "labels"
    """Source of the mask of the sky: `labels`, `guidance` or `teacher`.

    labels: `semantic/` of the clips, which `packdepth semantics label` writes with any segmentation network. guidance:
    the class "sky" of the segmentation network that guides the depth network. teacher: pixels of the term `teacher` at
    least 100 times as far as the median; only for a teacher whose zero is infinity, such as Depth Anything, and not for
    maps whose smallest value was moved to 0.
    """
    label: Annotated[int, Field(ge=0, le=254)] = int(Label.SKY)
    """Class id of the sky in the label maps. The default is that of Cityscapes' train ids."""

    @model_validator(mode="after")
    def _label_of_maps(self) -> Self:
        if self.by != "labels" and self.label != Label.SKY:
            raise ValueError(f"label is a class of label maps, but the sky is known by {self.by}; remove it")
        return self

    @property
    def needs(self) -> tuple[str, ...]:
        """The label maps, the sky of the segmentation network, or the teacher's inverse depth."""
        return ({"labels": "semantic", "guidance": "sky", "teacher": "teacher"}[self.by],)

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean over samples and scales, a scalar."""
        if self.by == "labels":
            assert batch.semantic is not None
            sky = batch.semantic == self.label
        elif self.by == "guidance":
            assert outputs.sky is not None
            sky = outputs.sky
        else:
            assert batch.teacher is not None
            sky = sky_of_teacher(batch.teacher)
        return torch.stack([sky_loss(inv_depth, sky) for inv_depth in outputs.inv_depths]).mean()
