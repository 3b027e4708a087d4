"""Pixel-adaptive convolution: a tap has less weight if its guidance feature differs from that of the window's center.

    v'_oi = sum_j K_o(f_i, f_j) W_o[p_i - p_j] v_j + b_o,    K_o(f_i, f_j) = exp(-|f_i - f_j|^2 / (2 sigma_o^2))

Each filter o has its own bandwidth sigma_o, so K_o differs between the filters. Therefore, for each tap, a 1x1
convolution computes W_o v_j, the result is multiplied by K_o and added to the sum. This needs less memory than
unfolding the windows. The gradient repeats the loop over the taps, so that only the inputs are kept for it.

Source: Su et al., CVPR 2019, eq. 3; Guizilini et al., ICLR 2020, section 3.2, for the bandwidth of each filter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_weight


@dataclass(frozen=True)
class Taps:
    """The positions of a convolution's taps, that is, of the elements of its kernel.

    >>> taps = Taps(kernel=(3, 3), padding=(1, 1), stride=1, dilation=1)
    >>> taps.center(taps.padded(torch.rand(1, 2, 4, 6))).shape
    torch.Size([1, 2, 4, 6])
    """

    kernel: tuple[int, int]  # rows and columns of the kernel
    padding: tuple[int, int]  # rows and columns of zeros at each side
    stride: int  # pixels
    dilation: int  # pixels

    def padded(self, x: Tensor) -> Tensor:
        """Return maps with zeros around them.

        Args:
            x: [B, C, H, W].
        """
        rows, columns = self.padding
        return F.pad(x, (columns, columns, rows, rows))

    def unpadded(self, padded: Tensor) -> Tensor:
        """Return padded maps without the zeros around them, as a view.

        Args:
            padded: [B, C, H + 2 rows, W + 2 columns].
        """
        (rows, columns), (height, width) = self.padding, padded.shape[-2:]
        return padded[:, :, rows : height - rows, columns : width - columns]

    def tap(self, padded: Tensor, row: int, column: int) -> Tensor:
        """Return the values under one tap of the kernel in each window: [B, C, H', W'], a view.

        Args:
            padded: padded maps.
            row: row of the tap in the kernel.
            column: column of the tap in the kernel.
        """
        steps = zip(padded.shape[-2:], self.kernel, (row, column), strict=True)
        places = []
        for size, kernel, index in steps:
            start, spread = index * self.dilation, self.dilation * (kernel - 1)
            places.append(slice(start, size - spread + start, self.stride))
        return padded[:, :, places[0], places[1]]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield (row, column) of each tap in the kernel."""
        return product(range(self.kernel[0]), range(self.kernel[1]))

    def center(self, padded: Tensor) -> Tensor:
        """Return the values under the center tap, whose index is half the kernel size, rounded down.

        Args:
            padded: padded maps.
        """
        return self.tap(padded, self.kernel[0] // 2, self.kernel[1] // 2)


def pixel_adaptive_conv2d(
    x: Tensor,
    guide: Tensor,
    weight: Tensor,
    bandwidth: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: tuple[int, int] | None = None,
    dilation: int = 1,
) -> Tensor:
    """Return the pixel-adaptive convolution of features. Beyond the border, features and guidance features are zero.

    Args:
        x: [B, C, H, W].
        guide: guidance features [B, G, H, W]. With G = 0 the convolution is an ordinary one.
        weight: [O, C, k, l].
        bandwidth: sigma of each filter, [O], in the unit of the guidance features; positive.
        bias: [O].
        stride: in pixels.
        padding: rows and columns of zeros at each side; None for `dilation * (k // 2)`, which keeps the size of an
            odd kernel at stride 1.
        dilation: in pixels.

    Returns:
        [B, O, H', W'], of the size that `torch.nn.functional.conv2d` gives.

    >>> x, weight = torch.rand(1, 2, 4, 6), torch.rand(3, 2, 3, 3)
    >>> constant = torch.zeros(1, 0, 4, 6)
    >>> result = pixel_adaptive_conv2d(x, constant, weight, torch.ones(3))
    >>> torch.allclose(result, F.conv2d(x, weight, padding=1), atol=1e-5)
    True
    """
    rows, columns = weight.shape[-2:]
    if padding is None:
        padding = dilation * (rows // 2), dilation * (columns // 2)
    taps = Taps((rows, columns), padding, stride, dilation)
    inputs = x, guide, weight.to(x.dtype), bandwidth.pow(-2)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
        result: Tensor = _PixelAdaptiveConv.apply(*inputs, taps)  # type: ignore[no-untyped-call]
    else:
        result = _convolved(*inputs, taps)
    return result if bias is None else result + bias.to(x.dtype)[:, None, None]


class PixelAdaptiveConv2d(nn.Module):
    """The layer of `pixel_adaptive_conv2d`, with learnable weight, bias and bandwidths.

    Args:
        channels_in: channels of the features. The guidance features may have any number.
        channels_out: channels of the result.
        kernel: side of the kernel, in pixels.
        stride: in pixels.
        padding: rows and columns of zeros at each side; None keeps the size of an odd kernel at stride 1.
        dilation: in pixels.
        bandwidth: initial sigma, in the unit of the guidance features.

    >>> PixelAdaptiveConv2d(4, 8, kernel=3)(torch.rand(1, 4, 6, 8), torch.rand(1, 2, 6, 8)).shape
    torch.Size([1, 8, 6, 8])
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        stride: int = 1,
        padding: tuple[int, int] | None = None,
        dilation: int = 1,
        bandwidth: float = 1.0,
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.weight = nn.Parameter(torch.empty(channels_out, channels_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.log_bandwidth = nn.Parameter(torch.full((channels_out,), math.log(bandwidth)))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """Return the result [B, O, H', W'] for features [B, C, H, W] and guidance features [B, G, H, W]."""
        return pixel_adaptive_conv2d(
            x,
            guide,
            self.weight,
            self.log_bandwidth.exp(),
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
        )

    def folded(self) -> FoldedPixelAdaptive:
        """Return the layer for export: all that depends on its parameters alone is computed once."""
        return FoldedPixelAdaptive(self)


class FoldedPixelAdaptive(nn.Module):
    """The layer `PixelAdaptiveConv2d` of an exported network: a 1x1 convolution for each tap.

    Args:
        layer: the layer.

    >>> layer, x, guide = PixelAdaptiveConv2d(4, 8, kernel=3), torch.rand(1, 4, 6, 8), torch.rand(1, 2, 6, 8)
    >>> torch.allclose(FoldedPixelAdaptive(layer)(x, guide), layer(x, guide), atol=1e-5)
    True
    """

    sharpness: Tensor
    bias: Tensor

    def __init__(self, layer: PixelAdaptiveConv2d) -> None:
        super().__init__()
        channels_out, channels_in, rows, columns = layer.weight.shape
        padding = layer.padding or (layer.dilation * (rows // 2), layer.dilation * (columns // 2))
        self.taps = Taps((rows, columns), padding, layer.stride, layer.dilation)
        self.mix = nn.ModuleList(nn.Conv2d(channels_in, channels_out, 1, bias=False) for _ in self.taps)
        for conv, (row, column) in zip(self.mix, self.taps, strict=True):
            assert isinstance(conv, nn.Conv2d)
            conv.weight = nn.Parameter(layer.weight.detach()[:, :, row, column, None, None], requires_grad=False)
        bandwidth = layer.log_bandwidth.detach().exp()
        self.register_buffer("sharpness", (-0.5 * bandwidth.pow(-2))[:, None, None])
        self.register_buffer("bias", layer.bias.detach()[:, None, None])

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """Return the result [B, O, H', W'] for features [B, C, H, W] and guidance features [B, G, H, W]."""
        x, guide = self.taps.padded(x), self.taps.padded(guide)
        center, result = self.taps.center(guide), self.bias
        for conv, (row, column) in zip(self.mix, self.taps, strict=True):
            difference = self.taps.tap(guide, row, column) - center
            kernel = (difference.square().sum(1, keepdim=True) * self.sharpness).exp()
            result = result + conv(self.taps.tap(x, row, column)) * kernel.to(x.dtype)
        return result


def _convolved(x: Tensor, guide: Tensor, weight: Tensor, precision: Tensor, taps: Taps) -> Tensor:
    """Return the sum over the taps, [B, O, H', W']; precision is 1 / sigma^2, [O]."""
    x, guide = taps.padded(x), taps.padded(guide)
    center = taps.center(guide)
    result: Tensor | None = None
    for row, column in taps:
        kernel = _kernel(taps.tap(guide, row, column), center, precision)[0].to(x.dtype)
        mixed = _mixed(taps.tap(x, row, column), weight[:, :, row, column]) * kernel
        result = mixed if result is None else result + mixed
    assert result is not None
    return result


def _kernel(other: Tensor, center: Tensor, precision: Tensor) -> tuple[Tensor, Tensor]:
    """Return K [B, O, H', W'] of a tap, and the squared distance [B, 1, H', W'] of the guidance features."""
    distance = (other - center).square().sum(1, keepdim=True)
    return (distance * (-0.5 * precision[:, None, None])).exp_(), distance


def _mixed(x: Tensor, weight: Tensor) -> Tensor:
    """Return the product [B, O, H, W] of maps [B, C, H, W] and a weight [O, C]."""
    return F.conv2d(x, weight[:, :, None, None])


class _PixelAdaptiveConv(torch.autograd.Function):
    """The sum over the taps, which keeps only its inputs for the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, guide: Tensor, weight: Tensor, precision: Tensor, taps: Taps) -> Tensor:
        """Return the sum over the taps."""
        ctx.save_for_backward(x, guide, weight, precision)
        ctx.taps = taps
        return _convolved(x, guide, weight, precision, taps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients by x, guide, weight and precision, each if it is needed."""
        taps: Taps = ctx.taps
        x, guide, weight, precision = ctx.saved_tensors
        x, guide = taps.padded(x), taps.padded(guide)
        by_x, by_guide, by_weight, by_precision = (
            torch.zeros_like(tensor) if needed else None
            for tensor, needed in zip((x, guide, weight, precision), ctx.needs_input_grad[:4], strict=True)
        )
        center = taps.center(guide)
        for row, column in taps:
            filters = weight[:, :, row, column]
            values, other = taps.tap(x, row, column).contiguous(), taps.tap(guide, row, column)
            kernel, distance = _kernel(other, center, precision)
            weighed = gradient * kernel.to(gradient.dtype)  # [B, O, H', W']
            if by_weight is not None:
                shape = (*filters.shape, 1, 1)
                by_weight[:, :, row, column] = conv2d_weight(values, shape, weighed)[..., 0, 0]  # type: ignore[no-untyped-call]
            if by_x is not None:
                taps.tap(by_x, row, column).add_(_mixed(weighed, filters.mT))
            if by_guide is None and by_precision is None:
                continue
            product = weighed.mul_(_mixed(values, filters)).to(precision.dtype).flatten(2)  # [B, O, H' W']
            if by_precision is not None:
                by_precision -= 0.5 * (product @ distance.to(product.dtype).flatten(2).mT).sum((0, 2))
            if by_guide is not None:
                by_other = -(precision @ product).view_as(distance) * (other - center)
                taps.tap(by_guide, row, column).add_(by_other)
                taps.center(by_guide).sub_(by_other)
        by_x, by_guide = (None if tensor is None else taps.unpadded(tensor) for tensor in (by_x, by_guide))
        return by_x, by_guide, by_weight, by_precision, None
