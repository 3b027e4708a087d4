"""A packing block's 3D and 2D convolution as one 2D convolution: the same linear map, exactly.

Nothing nonlinear stands between the two, so their composition is a convolution whose kernel is two pixels wider. At
the border they differ from it: the 2D convolution pads its input, the map in between, with zeros, where the composed
kernel sees that map go on for one more pixel. What this ring adds is a small convolution of each border row and column,
and is taken off; the corners, which a row and a column take off, are added once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.layers.formats import without_autocast

ALL, FIRST, LAST = slice(None), slice(1), slice(-1, None)


@dataclass(frozen=True)
class FusedKernels:
    """The composition of a 3D convolution (1 to D channels) and a 2D one (D * C to E channels, kernel k, radius r)."""

    inside: Tensor  # [E, C, k + 2, k + 2]
    ring: tuple[Tensor, ...]  # [E, C, k + 2 or r, k + 2 or r] each: what puts right what the ring adds, see `compose`
    bias: Tensor  # [E], of the 2D convolution
    bias_taps: Tensor  # [E, 1, k, k]: what the 3D bias adds where the map in between is

    def to(self, dtype: torch.dtype) -> FusedKernels:
        """The same of another type."""
        ring = tuple(kernel.to(dtype) for kernel in self.ring)
        return FusedKernels(self.inside.to(dtype), ring, self.bias.to(dtype), self.bias_taps.to(dtype))


def compose(conv3d: nn.Conv3d, conv: nn.Conv2d) -> FusedKernels:
    """The kernels of `conv(conv3d(x[:, None]).flatten(1, 2))`, differentiable, in float32 or wider.

    The ring has eight kernels: along the rows of the image as along its columns it lies beside all of them, before the
    first or behind the last; (all, all) is the inside. A pixel of the ring before the image meets the first pixel
    through the last tap of the inner kernel, and the pixels from there on through the outer taps before the center.

    Args:
        conv3d: 1 to D channels, kernel 3, padding 1.
        conv: D * C to E channels, odd kernel k of at least 3, padding k // 2.

    Source: PackNet, CVPR 2020, section 4.1, composed.
    """
    assert conv3d.bias is not None
    assert conv.bias is not None
    with without_autocast(conv.weight.device):
        wide = torch.promote_types(conv.weight.dtype, torch.float32)
        weight, inner, inner_bias = conv.weight.to(wide), conv3d.weight.to(wide), conv3d.bias.to(wide)
        outer = weight.view(conv.out_channels, len(inner), -1, *conv.kernel_size)  # [E, D, C, k, k]
        k = conv.kernel_size[0]
        taps = ((ALL, ALL), (LAST, slice(k // 2)), (FIRST, slice(k // 2 + 1, None)))  # inner and outer ones, an axis
        spread = [
            (-1) ** ((rows != ALL) + (columns != ALL)) * _spread(inner[..., rows, columns], k)[..., above, beside]
            for (rows, above), (columns, beside) in product(taps, repeat=2)
        ]
        of_bias = torch.kron(inner_bias[:, None], torch.eye(k * k, dtype=wide, device=weight.device))
        everywhere = torch.cat([*(part.flatten(1) for part in spread), of_bias], dim=1)
        composed: Tensor = TapProduct.apply(outer, everywhere)  # type: ignore[no-untyped-call]
        *kernels, bias_taps = torch.split(composed, [*(part[0].numel() for part in spread), k * k], dim=2)
        inside, *ring = (
            _over_channels(kernel.view(*kernel.shape[:2], *part.shape[1:]))
            for kernel, part in zip(kernels, spread, strict=True)
        )
        return FusedKernels(inside, tuple(ring), conv.bias.to(wide), bias_taps.sum(1).view(-1, 1, k, k))


def packed(x: Tensor, kernels: FusedKernels) -> Tensor:
    """Both convolutions of x [B, C, H, W] at once: [B, E, H, W], equal to one after the other less rounding."""
    radius = kernels.bias_taps.shape[-1] // 2
    result = F.conv2d(x, kernels.inside.to(x.dtype), kernels.bias.to(x.dtype), padding=radius + 1)
    result += F.conv2d(x.new_ones(1, 1, *x.shape[-2:]), kernels.bias_taps.to(x.dtype), padding=radius)
    vertical, horizontal = (
        ((ALL, radius + 1, ALL), (FIRST, radius - 1, slice(reach)), (LAST, radius - 1, slice(-reach, None)))
        for reach in (min(radius, size) for size in x.shape[-2:])
    )  # of each axis: pixels that a kernel sees, with this padding, and where in the image they add to it
    _, *places = product(vertical, horizontal)
    for kernel, ((rows, above, high), (columns, beside, wide)) in zip(kernels.ring, places, strict=True):
        added = F.conv2d(x[:, :, rows, columns], kernel.to(x.dtype), padding=(above, beside))
        result[:, :, high, wide] += added[:, :, high, wide]
    return result


class TapProduct(torch.autograd.Function):
    """Kernels [E, D, C, k, k] times [D * k * k, S], summed over features and taps: [E, C, S].

    As one matrix product, several times faster on a CPU than a transposed convolution. It needs a copy of the kernels,
    which is not kept for the gradient but made again: they are PackNet's largest.
    """

    @staticmethod
    def forward(kernels: Tensor, spread: Tensor) -> Tensor:
        """Multiply."""
        return _by_channels(kernels) @ spread

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        """Keep the inputs."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The gradients of kernels and spread, each if it is asked for."""
        kernels, spread = ctx.saved_tensors
        E, D, C, h, w = kernels.shape
        of_kernels = of_spread = None
        if ctx.needs_input_grad[0]:
            of_kernels = (gradient @ spread.mT).view(E, C, D, h, w).transpose(1, 2)
        if ctx.needs_input_grad[1]:
            of_spread = _by_channels(kernels).flatten(0, 1).mT @ gradient.flatten(0, 1)
        return of_kernels, of_spread


def _by_channels(kernels: Tensor) -> Tensor:
    """[E, D, C, k, k] to [E, C, D * k * k]."""
    return kernels.transpose(1, 2).flatten(2)


def _spread(inner: Tensor, k: int) -> Tensor:
    """Where each feature and tap of an outer kernel k x k goes, composed with the inner one.

    Args:
        inner: [D, 1, 3, m, n], the channel's neighbors first.
        k: size of the outer kernel.

    Returns:
        [D * k * k, 3, k + m - 1, k + n - 1].
    """
    taps = torch.eye(k * k, dtype=inner.dtype, device=inner.device).view(-1, 1, k, k)
    spread = F.conv_transpose2d(taps, inner.reshape(1, -1, *inner.shape[-2:]))  # [k * k, D * 3, k + m - 1, k + n - 1]
    return spread.view(k * k, -1, 3, *spread.shape[-2:]).transpose(0, 1).flatten(0, 1)


def _over_channels(kernel: Tensor) -> Tensor:
    """What each channel C adds to itself and to the one below and above, [E, C, 3, h, w], summed: [E, C, h, w]."""
    below, same, above = kernel.unbind(2)
    return same + F.pad(above[:, :-1], (0, 0, 0, 0, 1, 0)) + F.pad(below[:, 1:], (0, 0, 0, 0, 0, 1))
