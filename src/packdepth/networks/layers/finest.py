"""The finest level of a decoder in its form for export, which leaves its features at the coarse resolution."""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.layers.fused import ALL, FIRST, LAST
from packdepth.networks.layers.head import KEEPING_SIZE, LogitConv2d, block_kernel, form_of, logit_conv
from packdepth.networks.layers.upsampling import UpsamplingConv2d, coarse_conv, of_windows

BLOCK = 4  # side of the blocks whose logits are the channels of one convolution, in pixels
REACH = 3  # windows of 2x2 pixels, along one axis, that the logits of a block depend on
PARTS = ((FIRST, slice(REACH), ALL), (ALL, ALL, slice(1, -1)), (LAST, slice(-REACH, None), ALL))
"""The first block of an axis, those between, and the last one. Each has the place for `reflected`, the windows that are
convolved, and the results that are kept: for those between, all blocks are computed, and the outer two left out."""


class FoldedFinestLevel(nn.Module):
    """Upsampling, a convolution, ELU and the convolution to logits of an exported network.

    The first convolution is computed at the coarse resolution, which gives windows of 2x2 pixels as channels
    (`CoarseConv2d`). They are not moved to full resolution: the second convolution takes 3x3 windows for the logits of
    a block of 4x4 pixels. The coarse map is padded by one, so that the outermost windows hold pixels outside the map,
    where the second convolution should see reflected ones. So the blocks at the border have kernels of their own, whose
    taps outside are added to those of the reflected pixels.

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
        self.blocks = nn.ModuleList()
        for rows, columns in product((place for place, _, _ in PARTS), repeat=2):
            of_place = F.pixel_unshuffle(reflected(reflected(kernel, 2, rows), 3, columns), 2)
            self.blocks.append(logit_conv(of_place, logits.bias, stride=2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [B, E, 2H, 2W] and the features [B, D, 2H, 2W] before them.

        Args:
            x: maps [B, C, H, W]; H and W are even and at least 4, as those of images of multiples of 32 are.
        """
        windows = F.elu(self.coarse.windows(x))
        blocks, strips = iter(self.blocks), []
        for _, rows, kept_rows in PARTS:
            strip = [next(blocks)(windows[:, :, rows, columns])[..., kept] for _, columns, kept in PARTS]
            strips.append(torch.cat(strip, dim=3)[:, :, kept_rows])
        return F.pixel_shuffle(torch.cat(strips, dim=2), BLOCK), of_windows(windows)


def finest_level(layer: nn.Module, logits: nn.Module) -> FoldedFinestLevel | None:
    """Return two layers folded into one; None if they are of another form, or of classes derived from those.

    Args:
        layer: the layer before ELU.
        logits: the layer behind it.

    >>> finest_level(UpsamplingConv2d(8, 0, 4), LogitConv2d(4, 1, 3, padding=1)) is None  # it pads with zeros
    True
    """
    if type(layer) is not UpsamplingConv2d or type(logits) is not LogitConv2d:
        return None
    has_skip, keeps_size = layer.in_channels > layer.upsampled, form_of(logits) == KEEPING_SIZE
    fits = keeps_size and logits.padding_mode == "reflect" and not has_skip
    return FoldedFinestLevel(layer, logits) if fits else None


def reflected(kernel: Tensor, axis: int, place: slice) -> Tensor:
    """Return a kernel whose tap outside the map, at one end of an axis, is moved to the pixel reflected there.

    Args:
        kernel: the kernel, with at least 3 taps along the axis.
        axis: the axis.
        place: `FIRST` or `LAST` for the end of the map; `ALL` for no end, which leaves the kernel as it is.

    >>> reflected(torch.tensor([1.0, 2.0, 3.0, 4.0]), 0, LAST)
    tensor([1., 6., 3., 0.])
    """
    if place == ALL:
        return kernel
    if place == LAST:
        return reflected(kernel.flip(axis), axis, FIRST).flip(axis)
    outside, border, inside, *others = kernel.unbind(axis)
    return torch.stack([torch.zeros_like(outside), border, inside + outside, *others], axis)
