"""The head of a depth network: inverse depth from logits, and initial weights with which it predicts a chosen depth."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.layers.formats import widened, without_autocast

KEEPING_SIZE = ((3, 3), (1, 1), (1, 1), (1, 1), 1)  # of most convolutions, see `form_of`
VECTOR = 16  # channels that the convolutions of runtimes compute at a time on a CPU
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

    def folded(self) -> nn.Module:
        """Return the layer for export: runtimes compute `VECTOR` channels at a time, most of which would be unused."""
        block = math.isqrt(VECTOR // self.out_channels)
        return FoldedLogitConv2d(self, block) if block > 1 and form_of(self) == KEEPING_SIZE else self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Convert the module to another device or dtype, but to no dtype narrower than float32."""
        return super()._apply(widened(fn), recurse)  # type: ignore[no-untyped-call]


def form_of(layer: nn.Conv2d) -> tuple[object, ...]:
    """Return kernel size, padding, stride, dilation and groups of a convolution.

    Args:
        layer: the convolution.

    >>> form_of(nn.Conv2d(4, 4, 3, padding=1)) == KEEPING_SIZE
    True
    """
    return layer.kernel_size, layer.padding, layer.stride, layer.dilation, layer.groups


class FoldedLogitConv2d(nn.Module):
    """The layer `LogitConv2d` of an exported network: it computes the logits of a block of pixels as channels.

    Args:
        layer: the layer, of kernel 3, which keeps the size of its input.
        block: side of the blocks, in pixels.

    >>> layer, x = LogitConv2d(8, 1, 3, padding=1, padding_mode="reflect"), torch.rand(1, 8, 12, 16)
    >>> torch.allclose(FoldedLogitConv2d(layer, block=4)(x), layer(x), atol=1e-6)
    True
    """

    def __init__(self, layer: LogitConv2d, block: int) -> None:
        super().__init__()
        self.layer, self.block = layer, block
        self.around = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        self.blocks = logit_conv(block_kernel(layer.weight, block), layer.bias, stride=block)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [B, D, H, W] of features [B, C, H, W]."""
        if any(size % self.block for size in x.shape[-2:]):
            logits: Tensor = self.layer(x)
            return logits
        return F.pixel_shuffle(self.blocks(F.pad(x, (1, 1, 1, 1), mode=self.around)), self.block)


def block_kernel(kernel: Tensor, block: int) -> Tensor:
    """Return a kernel that computes the results of a block of pixels as channels, from top left to bottom right.

    Args:
        kernel: the kernel of one pixel, [D, C, k, k].
        block: side b of the blocks, in pixels.

    Returns:
        [D b b, C, k + b - 1, k + b - 1], for a convolution of stride b.

    >>> block_kernel(torch.ones(1, 1, 1, 1), 2).flatten(1).tolist()
    [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    """
    places = product(range(block), repeat=2)
    moved = [F.pad(kernel, (x, block - 1 - x, y, block - 1 - y)) for y, x in places]
    return torch.stack(moved, dim=1).flatten(0, 1)


def logit_conv(kernel: Tensor, bias: Tensor | None, stride: int) -> LogitConv2d:
    """Return a convolution to logits whose kernel and bias are constants.

    Args:
        kernel: the kernel [D b b, C, k, k].
        bias: the bias [D], which the b b channels of each logit share; None for none.
        stride: the stride.

    >>> logit_conv(torch.ones(4, 2, 3, 3), torch.ones(1), stride=2).bias.tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    channels_out, channels, side, _ = kernel.shape
    conv = LogitConv2d(channels, channels_out, side, stride, bias=bias is not None)
    conv.weight = nn.Parameter(kernel.detach(), requires_grad=False)
    if bias is not None:
        conv.bias = nn.Parameter(bias.detach().repeat_interleave(channels_out // len(bias)), requires_grad=False)
    return conv


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
