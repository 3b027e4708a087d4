"""The head of a depth network: inverse depth from logits, and initial weights with which it predicts a chosen depth."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from packdepth.networks.layers.formats import widened, without_autocast

INITIAL_WEIGHTS = 0.1  # factor on the initial weights before a head, so that the bias determines the initial depth


class LogitConv2d(nn.Conv2d):
    """A convolution to logits, always computed in float32 or wider, regardless of autocast and of the module's dtype.

    In bfloat16, logits of -8 to -4 would quantize depth in steps of 3 %, and a rounded bias would shift all of it.

    >>> LogitConv2d(4, 1, 3).to(torch.bfloat16).weight.dtype
    torch.float32
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [B, D, H', W'] of features [B, C, H, W]."""
        with without_autocast(x.device):
            logits: Tensor = super().forward(x.to(self.weight.dtype))
        return logits

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Convert the module to another device or dtype, but to no dtype narrower than float32."""
        return super()._apply(widened(fn), recurse)  # type: ignore[no-untyped-call]


class InverseDepthHead(nn.Module):
    """Inverse depth between two bounds, `low + (high - low) * sigmoid(x)`, in 1/metres.

    PackNet: low 0, high 1 / 0.5 m. monodepth2: low 1 / 100 m, high 1 / 0.1 m.

    Args:
        min_depth: smallest depth, in metres.
        max_depth: largest depth, in metres.

    >>> InverseDepthHead(min_depth=0.5)(torch.zeros(1))  # half of 2 / metre
    tensor([1.])
    """

    def __init__(self, min_depth: float, max_depth: float = math.inf) -> None:
        super().__init__()
        self.high, self.low = 1 / min_depth, 1 / max_depth

    def forward(self, x: Tensor) -> Tensor:
        """Return the inverse depth of logits, of the same shape.

        Args:
            x: logits, of any shape such as [B, 1, H, W].
        """
        return self.low + (self.high - self.low) * x.sigmoid()

    def start_at(self, depth: float, conv: nn.Module) -> None:
        """Initialize the convolution before this head so that an untrained network predicts about one depth everywhere.

        The bias is set to the logit of this depth, and the weights are made small. Short trainings need a uniform
        initial depth of the right magnitude to converge (docs/results/2026-11-21-short-trials.md).

        Args:
            depth: the depth in metres, between the bounds of the head.
            conv: the convolution, with a bias.
        """
        share = (1 / depth - self.low) / (self.high - self.low)
        if not 0 < share < 1:
            low, high = 1 / self.high, 1 / self.low if self.low else math.inf
            raise ValueError(f"initial depth {depth} m is outside the head's range of {low} to {high} m")
        assert isinstance(conv.bias, Tensor)
        assert isinstance(conv.weight, Tensor)
        with torch.no_grad():
            conv.weight.mul_(INITIAL_WEIGHTS)
        nn.init.constant_(conv.bias, math.log(share / (1 - share)))
