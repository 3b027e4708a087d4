"""Occlusion regularization: what one image of a stereo pair hides from the other is background."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from packdepth.objectives.term import NonNegative, Term
from packdepth.records import Batch, Outputs


class Occlusion(Term):
    """Occlusion regularization: the mean inverse depth over pixels and scales.

    Beside an edge no view synthesis tells the depth of what only one image sees; a small pull of all inverse depths
    towards zero decides for the background. For metric depth: where scale is free, it is satisfied by growing.
    Source: Yang et al., ECCV 2018 (DVSO); SuperDepth, ICRA 2019.
    """

    kind: Literal["occlusion"] = "occlusion"
    weight: NonNegative = 0.01

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """A scalar, 1/metres."""
        inv_depths = [*outputs.inv_depths, *(outputs.right_inv_depths or ())]
        return torch.stack([inv_depth.mean() for inv_depth in inv_depths]).mean()
