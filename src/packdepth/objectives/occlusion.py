"""Occlusion regularization: what one image of a stereo pair hides from the other is background."""

from __future__ import annotations

import torch
from torch import Tensor

from packdepth.records import Batch, Outputs


class Occlusion:
    """The term `occlusion`: the mean inverse depth over pixels and scales, of the right view too where it is predicted.

    Beside an edge no view synthesis tells the depth of what only one image sees; a small pull of all inverse depths
    towards zero decides for the background. For metric depth: where scale is free, it is satisfied by growing.
    Source: Yang et al., ECCV 2018 (DVSO); SuperDepth, ICRA 2019.
    """

    needs: tuple[str, ...] = ()

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """A scalar, 1/metres."""
        inv_depths = [*outputs.inv_depths, *(outputs.right_inv_depths or ())]
        return torch.stack([inv_depth.mean() for inv_depth in inv_depths]).mean()
