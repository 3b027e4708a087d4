"""Upsampling by 2 in decoders, and its form for export, which computes at the coarse resolution.

The centres of 2x2 pixels of the coarse map surround 2x2 pixels of the fine map. A 3x3 kernel on the fine map, after
nearest upsampling, sees nothing but these coarse pixels. So four kernels with four taps each, one for each fine pixel,
replace one kernel with nine taps. Bilinear upsampling is four such kernels as well.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.layers.fused import with_kernel
from packdepth.networks.layers.head import logit_conv

Guide = Callable[[Tensor], Tensor]
"""Signature: `features [B, C, H, W] -> filtered features`."""

# Along one axis, for the two fine pixels between the centres of two coarse ones:
NEAREST = (((1.0, 1.0, 0.0), (0.0, 0.0, 1.0)), ((1.0, 0.0, 0.0), (0.0, 1.0, 1.0)))  # [2, 2, 3]: taps of 3 fine pixels
BILINEAR = ((0.75, 0.25), (0.25, 0.75))  # [2, 2]: weights of the coarse pixels


class UpsamplingConv2d(nn.Conv2d):
    """A 3x3 convolution of maps that are upsampled (nearest), guided, and joined to those of a skip connection.

    It reflects its input at the border, as monodepth2 does.

    Args:
        channels: channels of the upsampled maps.
        skip: channels of the skip connection; 0 for none.
        channels_out: channels of the result.

    >>> UpsamplingConv2d(8, 4, 8)(torch.rand(1, 8, 3, 5), torch.rand(1, 4, 6, 10)).shape
    torch.Size([1, 8, 6, 10])
    """

    def __init__(self, channels: int, skip: int, channels_out: int) -> None:
        super().__init__(channels + skip, channels_out, 3, padding=1, padding_mode="reflect")
        self.upsampled = channels

    def forward(self, x: Tensor, skip: Tensor | None = None, guide: Guide | None = None) -> Tensor:
        """Return features [B, D, 2H, 2W].

        Args:
            x: the maps [B, C, H, W].
            skip: the skip connection [B, S, 2H, 2W]; None if there is none.
            guide: the function that filters the upsampled maps; None if nothing does.
        """
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        if guide is not None:
            x = guide(x)
        return super().forward(x if skip is None else torch.cat([x, skip], dim=1))

    def folded(self) -> nn.Module:
        """Return the layer for export: without a skip connection itself, which `FoldedFinestLevel` may replace."""
        return FoldedUpsamplingConv2d(self) if self.in_channels > self.upsampled else self


class FoldedUpsamplingConv2d(nn.Module):
    """The layer `UpsamplingConv2d` of an exported network; it upsamples only where it is guided.

    Args:
        layer: the layer, with a skip connection.

    >>> layer, x, skip = UpsamplingConv2d(8, 4, 6), torch.rand(1, 8, 3, 5), torch.rand(1, 4, 6, 10)
    >>> torch.allclose(FoldedUpsamplingConv2d(layer)(x, skip), layer(x, skip), atol=1e-5)
    True
    """

    def __init__(self, layer: UpsamplingConv2d) -> None:
        super().__init__()
        self.layer = layer
        upsampled, skip = layer.weight[:, : layer.upsampled], layer.weight[:, layer.upsampled :]
        assert layer.bias is not None
        self.coarse = coarse_conv(upsampled, layer.bias)
        self.fine = with_kernel(skip, None, padding=0)

    def forward(self, x: Tensor, skip: Tensor, guide: Guide | None = None) -> Tensor:
        """Return features [B, D, 2H, 2W]; `UpsamplingConv2d.forward` documents the arguments."""
        if guide is not None:
            guided: Tensor = self.layer(x, skip, guide)
            return guided
        result: Tensor = self.coarse(x) + self.fine(F.pad(skip, (1, 1, 1, 1), mode="reflect"))
        return result


class Refinement(nn.Module):
    """The sum of logits and those of the coarser level, which are upsampled bilinearly.

    The coarser level finds depth where the image moves by many pixels. At the finer level, the photometric error has
    local minima there.

    >>> Refinement()(torch.ones(1, 1, 2, 2), torch.full((1, 1, 1, 1), 3.0)).unique()
    tensor([4.])
    """

    def forward(self, logits: Tensor, coarser: Tensor | None) -> Tensor:
        """Return the refined logits [B, 1, H, W].

        Args:
            logits: the correction, [B, 1, H, W].
            coarser: logits of the coarser level, [B, 1, H / 2, W / 2]; None for the coarsest level.
        """
        if coarser is None:
            return logits
        return logits + F.interpolate(coarser, scale_factor=2, mode="bilinear", align_corners=False)

    def folded(self) -> FoldedRefinement:
        """Return the layer for export: OpenVINO takes four times as long for its own bilinear upsampling."""
        return FoldedRefinement()


class FoldedRefinement(nn.Module):
    """The layer `Refinement` of an exported network.

    >>> logits, coarser = torch.rand(1, 1, 4, 6), torch.rand(1, 1, 2, 3)
    >>> torch.allclose(FoldedRefinement()(logits, coarser), Refinement()(logits, coarser), atol=1e-6)
    True
    """

    def __init__(self) -> None:
        super().__init__()
        axis = torch.tensor(BILINEAR)
        kernel = torch.einsum("ap,bq->abpq", axis, axis).view(4, 1, 2, 2)
        self.coarse = CoarseConv2d(logit_conv(kernel, None, stride=1))

    def forward(self, logits: Tensor, coarser: Tensor | None) -> Tensor:
        """Return the refined logits [B, 1, H, W]; `Refinement.forward` documents the arguments."""
        return logits if coarser is None else logits + self.coarse(coarser)


class CoarseConv2d(nn.Module):
    """A convolution of maps upsampled by 2, computed at the coarse resolution: [B, C, H, W] to [B, D, 2H, 2W].

    Args:
        conv: the convolution from C to 4 D channels, kernel 2, without padding. Its result for 2x2 pixels of the coarse
            map are the 2x2 pixels of the fine map that their centres surround, from top left to bottom right.

    >>> CoarseConv2d(nn.Conv2d(3, 4 * 5, 2))(torch.rand(1, 3, 6, 8)).shape
    torch.Size([1, 5, 12, 16])
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps [B, D, 2H, 2W] of maps [B, C, H, W]."""
        return of_windows(self.windows(x))

    def windows(self, x: Tensor) -> Tensor:
        """Return the result as windows of 2x2 pixels, [B, 4 D, H + 1, W + 1]; the outermost reach over the border.

        Args:
            x: the maps [B, C, H, W].
        """
        result: Tensor = self.conv(F.pad(x, (1, 1, 1, 1), mode="replicate"))
        return result


def of_windows(windows: Tensor) -> Tensor:
    """Return maps [B, D, 2H, 2W] of windows [B, 4 D, H + 1, W + 1], as `CoarseConv2d.windows` gives them.

    Args:
        windows: the windows.

    >>> of_windows(torch.ones(1, 8, 4, 6)).shape
    torch.Size([1, 2, 6, 10])
    """
    return F.pixel_shuffle(windows, 2)[..., 1:-1, 1:-1]


def coarse_conv(kernel: Tensor, bias: Tensor) -> CoarseConv2d:
    """Return the convolution of a coarse map that equals one after nearest upsampling by 2, which reflects its input.

    Args:
        kernel: the kernel after upsampling, [D, C, 3, 3].
        bias: its bias, [D].

    >>> coarse_conv(torch.ones(5, 3, 3, 3), torch.ones(5))(torch.ones(1, 3, 2, 2)).unique()
    tensor([28.])
    """
    axis = torch.tensor(NEAREST, dtype=kernel.dtype)
    each = torch.einsum("apr,bqs,dcrs->dabcpq", axis, axis, kernel).flatten(0, 2)
    return CoarseConv2d(with_kernel(each, bias.repeat_interleave(4), padding=0))
