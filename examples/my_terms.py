"""A loss term beside a run file.

packdepth train with_my_terms.yaml --use my_terms.py --output runs/mine
"""

from typing import Literal

from pydantic import NonNegativeFloat
from torch import Tensor

from packdepth.objectives import Term
from packdepth.records import Batch, Outputs


class LogGradient(Term):
    """Depth changes at few places: the mean absolute gradient of the logarithm of inverse depth."""

    kind: Literal["log_gradient"] = "log_gradient"
    weight: NonNegativeFloat = 1e-3

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean over all pixels, a scalar."""
        log = outputs.inv_depths[0].log()  # [B, 1, H, W]
        return log.diff(dim=-1).abs().mean() + log.diff(dim=-2).abs().mean()
