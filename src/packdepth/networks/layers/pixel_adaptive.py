"""Pixel-adaptive convolution: a convolution whose taps count less where a guide differs from the window's center.

    v'_oi = sum_j K_o(f_i, f_j) W_o[p_i - p_j] v_j + b_o,    K_o(f_i, f_j) = exp(-|f_i - f_j|^2 / (2 sigma_o^2))

Each filter o has a bandwidth sigma_o of its own, so that its kernel weighs what the filter makes of a tap and not the
tap itself. Tap after tap is therefore mixed by a 1x1 convolution, weighed and added up; nothing is unfolded. The
gradient goes through the taps once more in the same way: of the whole computation it keeps the inputs alone.

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
class Windows:
    """Where the taps of a convolution lie: kernel and padding by (row, column)."""

    kernel: tuple[int, int]
    padding: tuple[int, int]
    stride: int
    dilation: int

    def padded(self, x: Tensor) -> Tensor:
        """[B, C, H, W] with zeros around it."""
        rows, columns = self.padding
        return F.pad(x, (columns, columns, rows, rows))

    def unpadded(self, padded: Tensor) -> Tensor:
        """The same without them, a view."""
        (rows, columns), (height, width) = self.padding, padded.shape[-2:]
        return padded[:, :, rows : height - rows, columns : width - columns]

    def tap(self, padded: Tensor, row: int, column: int) -> Tensor:
        """What one tap of the kernel meets in each window: [B, C, H', W'], a view."""
        steps = zip(padded.shape[-2:], self.kernel, (row, column), strict=True)
        places = []
        for size, kernel, index in steps:
            start, spread = index * self.dilation, self.dilation * (kernel - 1)
            places.append(slice(start, size - spread + start, self.stride))
        return padded[:, :, places[0], places[1]]

    def taps(self) -> Iterator[tuple[int, int]]:
        """All of them, by (row, column)."""
        return product(range(self.kernel[0]), range(self.kernel[1]))

    def center(self, padded: Tensor) -> Tensor:
        """The middle tap; of an even kernel the one after the middle."""
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
    """A convolution that the differences of a guide weigh. Beyond the border, `x` and `guide` are zero.

    Args:
        x: [B, C, H, W].
        guide: [B, G, H, W]; G may be any number, 0 included: the convolution is then an ordinary one.
        weight: [O, C, k, l].
        bandwidth: sigma of each filter, [O], in the unit of the guide; positive.
        bias: [O].
        stride: in pixels.
        padding: rows and columns of zeros at each side; None for `dilation * (k // 2)`, which keeps the size of an
            odd kernel at stride 1.
        dilation: in pixels.

    Returns:
        [B, O, H', W'], of the size that `torch.nn.functional.conv2d` gives.
    """
    rows, columns = weight.shape[-2:]
    if padding is None:
        padding = dilation * (rows // 2), dilation * (columns // 2)
    windows = Windows((rows, columns), padding, stride, dilation)
    inputs = x, guide, weight.to(x.dtype), bandwidth.pow(-2)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
        result: Tensor = _PixelAdaptiveConv.apply(*inputs, windows)  # type: ignore[no-untyped-call]
    else:
        result = _convolved(*inputs, windows)
    return result if bias is None else result + bias.to(x.dtype)[:, None, None]


class PixelAdaptiveConv2d(nn.Module):
    """`pixel_adaptive_conv2d` with learnable weight, bias and bandwidths.

    Args:
        channels_in, channels_out: of the features, not of the guide, which may have any number.
        kernel, stride, padding, dilation: as of `pixel_adaptive_conv2d`.
        bandwidth: initial sigma, in the unit of the guide.
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
        """[B, C, H, W] and its guide [B, G, H, W] to [B, O, H', W']."""
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


def _convolved(x: Tensor, guide: Tensor, weight: Tensor, precision: Tensor, windows: Windows) -> Tensor:
    """The sum over the taps; precision is 1 / sigma^2 [O]."""
    x, guide = windows.padded(x), windows.padded(guide)
    center = windows.center(guide)
    result: Tensor | None = None
    for row, column in windows.taps():
        kernel = _kernel(windows.tap(guide, row, column), center, precision)[0].to(x.dtype)
        mixed = _mixed(windows.tap(x, row, column), weight[:, :, row, column]) * kernel
        result = mixed if result is None else result + mixed
    assert result is not None
    return result


def _kernel(other: Tensor, center: Tensor, precision: Tensor) -> tuple[Tensor, Tensor]:
    """K [B, O, H', W'] of a tap, and the squared distance [B, 1, H', W'] that it comes from."""
    distance = (other - center).square().sum(1, keepdim=True)
    return (distance * (-0.5 * precision[:, None, None])).exp_(), distance


def _mixed(x: Tensor, weight: Tensor) -> Tensor:
    """Channels [B, C, H, W] mixed by a weight [O, C]."""
    return F.conv2d(x, weight[:, :, None, None])


class _PixelAdaptiveConv(torch.autograd.Function):
    """The same with a gradient that keeps the inputs alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, guide: Tensor, weight: Tensor, precision: Tensor, windows: Windows) -> Tensor:
        """The sum over the taps."""
        ctx.save_for_backward(x, guide, weight, precision)
        ctx.windows = windows
        return _convolved(x, guide, weight, precision, windows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of x, guide, weight and precision, each if it is asked for."""
        windows: Windows = ctx.windows
        x, guide, weight, precision = ctx.saved_tensors
        x, guide = windows.padded(x), windows.padded(guide)
        of_x, of_guide, of_weight, of_precision = (
            torch.zeros_like(tensor) if needed else None
            for tensor, needed in zip((x, guide, weight, precision), ctx.needs_input_grad[:4], strict=True)
        )
        center = windows.center(guide)
        for row, column in windows.taps():
            filters = weight[:, :, row, column]
            seen, other = windows.tap(x, row, column).contiguous(), windows.tap(guide, row, column)
            kernel, distance = _kernel(other, center, precision)
            weighed = gradient * kernel.to(gradient.dtype)  # [B, O, H', W']
            if of_weight is not None:
                shape = (*filters.shape, 1, 1)
                of_weight[:, :, row, column] = conv2d_weight(seen, shape, weighed)[..., 0, 0]  # type: ignore[no-untyped-call]
            if of_x is not None:
                windows.tap(of_x, row, column).add_(_mixed(weighed, filters.mT))
            if of_guide is None and of_precision is None:
                continue
            product = weighed.mul_(_mixed(seen, filters)).to(precision.dtype).flatten(2)  # [B, O, H' W']
            if of_precision is not None:
                of_precision -= 0.5 * (product @ distance.to(product.dtype).flatten(2).mT).sum((0, 2))
            if of_guide is not None:
                pull = -(precision @ product).view_as(distance) * (other - center)
                windows.tap(of_guide, row, column).add_(pull)
                windows.center(of_guide).sub_(pull)
        of_x, of_guide = (None if tensor is None else windows.unpadded(tensor) for tensor in (of_x, of_guide))
        return of_x, of_guide, of_weight, of_precision, None
