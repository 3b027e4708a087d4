"""The finest level of a decoder in its form for export, which computes nothing but logits at full resolution."""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.layers.fused import ALL, FIRST, LAST
from packdepth.networks.layers.head import LogitConv2d, block_kernel
from packdepth.networks.layers.upsampling import UpsamplingConv2d, coarse_conv

BLOCK = 4  # side of the blocks whose logits are the channels of one convolution, in pixels
REACH = 3  # windows of 2x2 pixels, along one axis, that the logits of a block depend on
PARTS = ((FIRST, slice(REACH), ALL), (ALL, ALL, slice(1, -1)), (LAST, slice(-REACH, None), ALL))
"""Along one axis: a part of the blocks, the windows that are convolved for it, and the results that belong to it."""


class FoldedFinestLevel(nn.Module):
    """Upsampling, a convolution, ELU and the convolution to logits of an exported network.

    The first convolution is computed at the coarse resolution, which gives windows of 2x2 pixels as channels
    (`CoarseConv2d`). They stay channels: the second one takes 3x3 windows for the logits of a block of 4x4 pixels. The
    outermost windows hold pixels outside the map, where the second convolution should see reflected ones. So the blocks
    at the border have kernels of their own, whose taps outside are added to those of the reflected pixels.

    Args:
        layer: the first convolution, without a skip connection.
        logits: the convolution to logits, which reflects its input at the border.

    >>> layer, logits = UpsamplingConv2d(8, 0, 4), LogitConv2d(4, 1, 3, padding=1, padding_mode="reflect")
    >>> x = torch.rand(1, 8, 6, 8)
    >>> expected = logits(F.elu(layer(x)))
    >>> torch.allclose(FoldedFinestLevel(layer, logits)(x)[0], expected, atol=1e-5)
    True
    """

    def __init__(self, layer: UpsamplingConv2d, logits: LogitConv2d) -> None:
        super().__init__()
        assert layer.bias is not None
        self.coarse = coarse_conv(layer.weight, layer.bias)
        kernel = block_kernel(logits.weight, BLOCK)
        places = product((part for part, _, _ in PARTS), repeat=2)
        self.blocks = nn.ModuleList(self._blocks(logits, kernel, *place) for place in places)

    @staticmethod
    def _blocks(logits: LogitConv2d, kernel: Tensor, rows: slice, columns: slice) -> LogitConv2d:
        """Return the convolution from windows to the logits of blocks."""
        weight = F.pixel_unshuffle(reflected(reflected(kernel, 2, rows), 3, columns), 2)
        conv = LogitConv2d(weight.shape[1], len(weight), REACH, stride=2, bias=logits.bias is not None)
        conv.weight = nn.Parameter(weight, requires_grad=False)
        if logits.bias is not None:
            conv.bias = nn.Parameter(logits.bias.repeat_interleave(BLOCK**2), requires_grad=False)
        return conv

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [B, E, 2H, 2W] and the features [B, D, 2H, 2W] before them.

        Args:
            x: maps [B, C, H, W]; H and W are even and at least 6, as those of images of multiples of 32 are.
        """
        windows = F.elu(self.coarse(F.pad(x, (1, 1, 1, 1), mode="replicate")))
        blocks, strips = iter(self.blocks), []
        for _, rows, kept_rows in PARTS:
            strip = [next(blocks)(windows[:, :, rows, columns])[..., kept] for _, columns, kept in PARTS]
            strips.append(torch.cat(strip, dim=3)[:, :, kept_rows])
        logits = F.pixel_shuffle(torch.cat(strips, dim=2), BLOCK)
        return logits, F.pixel_shuffle(windows, 2)[..., 1:-1, 1:-1]


def reflected(kernel: Tensor, axis: int, place: slice) -> Tensor:
    """Return a kernel whose outermost tap lies outside the map, with this tap moved to the pixel reflected there.

    Args:
        kernel: the kernel, with at least 3 taps along the axis.
        axis: the axis.
        place: `FIRST` or `LAST` for the end of the map; `ALL` for the kernel as it is.

    >>> reflected(torch.tensor([1.0, 2.0, 3.0, 4.0]), 0, LAST)
    tensor([1., 6., 3., 0.])
    """
    if place == ALL:
        return kernel
    if place == LAST:
        return reflected(kernel.flip(axis), axis, FIRST).flip(axis)
    outside, border, inside, *others = kernel.unbind(axis)
    return torch.stack([torch.zeros_like(outside), border, inside + outside, *others], axis)
