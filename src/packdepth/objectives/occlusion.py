"""Occlusion regularization: regions that only one image of a stereo pair shows are taken for background."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from packdepth.objectives.term import NonNegative, Term
from packdepth.records import Batch, Outputs


class Occlusion(Term):
    """Occlusion regularization: the mean inverse depth over pixels and scales.

    Beside an edge there is a region that only one image shows, and view synthesis says nothing about its depth. A small
    pull of all inverse depths toward zero decides for the background. Use it for metric depth only: where the scale is
    free, a larger scale satisfies the term. Source: Yang et al., ECCV 2018 (DVSO); SuperDepth, ICRA 2019.

    >>> from packdepth.records import Outputs
    >>> Occlusion()(Outputs([torch.full((1, 1, 2, 2), 0.25)], torch.eye(4)[None, None]), batch=None)
    tensor(0.2500)
    """

    kind: Literal["occlusion"] = "occlusion"
    weight: NonNegative = 0.01
    """Factor of the term in the objective."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean inverse depth, a scalar, 1/metres."""
        inv_depths = [*outputs.inv_depths, *(outputs.right_inv_depths or ())]
        return torch.stack([inv_depth.mean() for inv_depth in inv_depths]).mean()
