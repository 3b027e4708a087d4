"""From a bounded activation to inverse depth, and back to the bias that starts a network at a chosen depth."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from packdepth.networks.layers.formats import without_autocast

QUIET = 0.1  # of their usual size: the initial weights before a head


class LogitConv2d(nn.Conv2d):
    """A convolution to logits of inverse depth, in float32 or wider whatever autocast says and a network is made.

    In bfloat16, logits of -8 to -4 would quantize depth in steps of 3 %, and a rounded bias would shift all of it.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, D, H', W']."""
        with without_autocast(x.device):
            logits: Tensor = super().forward(x.to(self.weight.dtype))
        return logits

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Move along to another device or type, but to none narrower than float32."""

        def wide(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return moved if moved.dtype.itemsize >= torch.float32.itemsize else tensor.to(moved.device)

        return super()._apply(wide, recurse)  # type: ignore[no-untyped-call]


class InverseDepthHead(nn.Module):
    """Inverse depth between two bounds, `low + (high - low) * sigmoid(x)`, in 1/metres.

    PackNet: low 0, high 1 / 0.5 m. monodepth2: low 1 / 100 m, high 1 / 0.1 m.
    """

    def __init__(self, min_depth: float, max_depth: float = math.inf) -> None:
        super().__init__()
        self.high, self.low = 1 / min_depth, 1 / max_depth

    def forward(self, x: Tensor) -> Tensor:
        """Inverse depth of any shape, from logits of it."""
        return self.low + (self.high - self.low) * x.sigmoid()

    def start_at(self, depth: float, conv: nn.Module) -> None:
        """Initialize the convolution before this head so that an untrained network predicts about `depth` metres.

        The bias is set to that depth; weights are made small, so that it holds at every pixel. A first guess that is
        uniform and of the right size is what lets short runs converge (docs/results/2026-11-21-short-trials.md).
        """
        share = (1 / depth - self.low) / (self.high - self.low)
        if not 0 < share < 1:
            low, high = 1 / self.high, 1 / self.low if self.low else math.inf
            raise ValueError(f"initial depth {depth} m is outside the head's range of {low} to {high} m")
        assert isinstance(conv.bias, Tensor)
        assert isinstance(conv.weight, Tensor)
        with torch.no_grad():
            conv.weight.mul_(QUIET)
        nn.init.constant_(conv.bias, math.log(share / (1 - share)))
