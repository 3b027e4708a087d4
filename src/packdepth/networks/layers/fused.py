"""The fused form of a packing block: its 3D and its 2D convolution as one 2D convolution, which is the same linear map.

There is no nonlinearity between the two convolutions, so their composition is a convolution whose kernel is two pixels
wider. The two forms differ at the border. The second convolution pads the intermediate map with zeros. The composed
kernel does not: it extends the intermediate map by a ring of one pixel, where the 3D convolution reaches the image. A
small convolution of each border row and column subtracts what the ring adds. The part of a corner is subtracted twice,
by a row and by a column, so it is added back once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.layers.formats import without_autocast

ALL, FIRST, LAST = slice(None), slice(1), slice(-1, None)  # rows or columns of a map


@dataclass(frozen=True)
class FusedKernels:
    """The composition of a 3D convolution (1 to D channels) and a 2D one (D * C to E channels, kernel k, radius r)."""

    inside: Tensor  # [E, C, k + 2, k + 2], the composed kernel
    ring: tuple[Tensor, ...]  # eight kernels [E, C, k + 2 or r, k + 2 or r] that correct the border, see `compose`
    bias: Tensor  # [E], bias of the 2D convolution
    bias_taps: Tensor  # [E, 1, k, k], kernel that adds the 3D convolution's bias, applied to a map of ones

    def to(self, dtype: torch.dtype) -> FusedKernels:
        """Return the kernels in another dtype.

        Args:
            dtype: the dtype.
        """
        ring = tuple(kernel.to(dtype) for kernel in self.ring)
        return FusedKernels(self.inside.to(dtype), ring, self.bias.to(dtype), self.bias_taps.to(dtype))


def compose(conv3d: nn.Conv3d, conv: nn.Conv2d) -> FusedKernels:
    """Return the fused kernels of `conv(conv3d(x[:, None]).flatten(1, 2))`, differentiable, in float32 or wider.

    There is one kernel for the inside and one for each of the four sides and four corners of the ring. Along one axis,
    take the ring position before the first pixel. Only the last tap of the inner (3D) kernel connects it with the
    image, and only the taps before the center of the outer (2D) kernel connect it with the result. Behind the last
    pixel it is the first inner tap and the outer taps after the center.

    Source: PackNet, CVPR 2020, section 4.1, composed.

    Args:
        conv3d: the inner convolution, from 1 to D channels, kernel 3, padding 1.
        conv: the outer convolution, from D * C to E channels, odd kernel k of at least 3, padding k // 2.

    >>> conv3d, conv = nn.Conv3d(1, 2, 3, padding=1), nn.Conv2d(2 * 4, 5, 3, padding=1)
    >>> compose(conv3d, conv).inside.shape
    torch.Size([5, 4, 5, 5])
    """
    assert conv3d.bias is not None
    assert conv.bias is not None
    with without_autocast(conv.weight.device):
        wide = torch.promote_types(conv.weight.dtype, torch.float32)
        weight, inner, inner_bias = conv.weight.to(wide), conv3d.weight.to(wide), conv3d.bias.to(wide)
        outer = weight.view(conv.out_channels, len(inner), -1, *conv.kernel_size)  # [E, D, C, k, k]
        k = conv.kernel_size[0]
        taps = ((ALL, ALL), (LAST, slice(k // 2)), (FIRST, slice(k // 2 + 1, None)))  # (inner, outer) along one axis
        spread = [
            (-1) ** ((rows != ALL) + (columns != ALL)) * _spread(inner[..., rows, columns], k)[..., above, beside]
            for (rows, above), (columns, beside) in product(taps, repeat=2)
        ]
        bias_part = torch.kron(inner_bias[:, None], torch.eye(k * k, dtype=wide, device=weight.device))
        all_parts = torch.cat([*(part.flatten(1) for part in spread), bias_part], dim=1)
        composed: Tensor = TapProduct.apply(outer, all_parts)  # type: ignore[no-untyped-call]
        *kernels, bias_taps = torch.split(composed, [*(part[0].numel() for part in spread), k * k], dim=2)
        inside, *ring = (
            _over_channels(kernel.view(*kernel.shape[:2], *part.shape[1:]))
            for kernel, part in zip(kernels, spread, strict=True)
        )
        return FusedKernels(inside, tuple(ring), conv.bias.to(wide), bias_taps.sum(1).view(-1, 1, k, k))


def packed(x: Tensor, kernels: FusedKernels) -> Tensor:
    """Return the result of both convolutions of a map, which equals computing one after the other, except for rounding.

    Args:
        x: [B, C, H, W].
        kernels: the fused kernels of the two convolutions.

    Returns:
        [B, E, H, W].

    >>> conv3d, conv, x = nn.Conv3d(1, 2, 3, padding=1), nn.Conv2d(2 * 4, 5, 3, padding=1), torch.rand(1, 4, 6, 8)
    >>> torch.allclose(packed(x, compose(conv3d, conv)), conv(conv3d(x[:, None]).flatten(1, 2)), atol=1e-5)
    True
    """
    radius = kernels.bias_taps.shape[-1] // 2
    result = F.conv2d(x, kernels.inside.to(x.dtype), kernels.bias.to(x.dtype), padding=radius + 1)
    result += F.conv2d(x.new_ones(1, 1, *x.shape[-2:]), kernels.bias_taps.to(x.dtype), padding=radius)
    vertical, horizontal = (
        ((ALL, radius + 1, ALL), (FIRST, radius - 1, slice(reach)), (LAST, radius - 1, slice(-reach, None)))
        for reach in (min(radius, size) for size in x.shape[-2:])
    )  # for each axis: the input positions of a kernel, their padding, and the output positions that it changes
    _, *places = product(vertical, horizontal)
    for kernel, ((rows, above, high), (columns, beside, wide)) in zip(kernels.ring, places, strict=True):
        correction = F.conv2d(x[:, :, rows, columns], kernel.to(x.dtype), padding=(above, beside))
        result[:, :, high, wide] += correction[:, :, high, wide]
    return result


class FoldedPacking(nn.Module):
    """The function `packed` for export: convolutions, of which those that correct the border are padded and added.

    The 3D convolution's bias adds the same number everywhere but near the border, where taps of the 2D convolution
    reach over it. That number is part of the bias, and what is missing near the border is part of the corrections.

    Space-to-depth can be part of the convolutions: their kernels are then twice as large, and their stride is 2.

    Args:
        kernels: the fused kernels.
        block: 1 for maps after space-to-depth, 2 for maps before it.

    >>> conv3d, conv, x = nn.Conv3d(1, 2, 3, padding=1), nn.Conv2d(2 * 4, 5, 3, padding=1), torch.rand(1, 1, 12, 16)
    >>> kernels, rearranged = compose(conv3d, conv), F.pixel_unshuffle(x, 2)
    >>> expected = packed(rearranged, kernels)
    >>> torch.allclose(FoldedPacking(kernels)(rearranged), expected, atol=1e-5)
    True
    >>> torch.allclose(FoldedPacking(kernels, block=2)(x), expected, atol=1e-5)
    True
    """

    def __init__(self, kernels: FusedKernels, block: int = 1) -> None:
        super().__init__()
        taps = kernels.bias_taps.detach()
        radius = taps.shape[-1] // 2
        self.inside = with_kernel(kernels.inside, kernels.bias + taps.sum((1, 2, 3)), radius + 1, block)
        self.places = [place for place in product((ALL, FIRST, LAST), repeat=2) if place != (ALL, ALL)]
        self.block = block
        corrections = []
        for kernel, (rows, columns) in zip(kernels.ring, self.places, strict=True):
            missing = beyond(beyond(taps, rows, 2, radius), columns, 3, radius)
            sign = (-1) ** ((rows != ALL) + (columns != ALL))
            padding = tuple(radius + 1 if place == ALL else radius - 1 for place in (rows, columns))
            corrections.append(Correction(kernel, sign * missing[None, :, 0], padding, block))
        self.corrections = nn.ModuleList(corrections)

    def forward(self, x: Tensor) -> Tensor:
        """Return the result [B, E, H, W] of both convolutions of maps [B, C, H, W] or, in blocks, [B, ., 2H, 2W]."""
        result: Tensor = self.inside(x)
        height, width = result.shape[-2:]
        for (rows, columns), correction in zip(self.places, self.corrections, strict=True):
            part = correction(x[:, :, _times(rows, self.block), _times(columns, self.block)])
            top, bottom = _around(rows, height, part.shape[-2])
            left, right = _around(columns, width, part.shape[-1])
            result = result + F.pad(part, (left, right, top, bottom))
        return result


class Correction(nn.Module):
    """A convolution of a row, a column or a corner of the image, and the numbers that are added to its result.

    Args:
        kernel: the kernel [E, C, h, w].
        offset: the numbers [1, E, h', w'], each of h' and w' either that of the result or 1.
        padding: rows and columns of zeros at each side.
        block: 1 or, for an image before space-to-depth, 2.

    >>> Correction(torch.ones(2, 3, 1, 1), torch.ones(1, 2, 1, 1), (0, 0))(torch.ones(1, 3, 1, 1)).flatten()
    tensor([4., 4.])
    """

    offset: Tensor

    def __init__(self, kernel: Tensor, offset: Tensor, padding: tuple[int, ...], block: int = 1) -> None:
        super().__init__()
        self.conv = with_kernel(kernel, None, padding, block)
        self.register_buffer("offset", offset)

    def forward(self, x: Tensor) -> Tensor:
        """Return the corrections [B, E, H', W'] by a border [B, C, H, W]."""
        result: Tensor = self.conv(x) + self.offset
        return result


def with_kernel(kernel: Tensor, bias: Tensor | None, padding: int | tuple[int, ...], block: int = 1) -> nn.Conv2d:
    """Return the convolution with a kernel and a bias, which are constants.

    Args:
        kernel: the kernel [E, C, h, w].
        bias: the bias [E]; None for none.
        padding: rows and columns of zeros at each side.
        block: side of the blocks, in pixels, whose pixels the kernel takes for channels. The convolution takes the map
            before they became channels, at `block` times the size.

    >>> with_kernel(torch.ones(2, 3, 1, 1), None, padding=0)(torch.ones(1, 3, 1, 1)).flatten().tolist()
    [3.0, 3.0]
    >>> with_kernel(torch.ones(1, 4, 3, 3), None, padding=1, block=2)
    Conv2d(1, 1, kernel_size=(6, 6), stride=(2, 2), padding=(2, 2), bias=False)
    """
    kernel = F.pixel_shuffle(kernel.detach(), block)
    channels_out, channels, height, width = kernel.shape
    rows, columns = (padding, padding) if isinstance(padding, int) else padding
    around = (block * rows, block * columns)
    with torch.device("meta"):
        conv = nn.Conv2d(channels, channels_out, (height, width), block, around, bias=bias is not None)
    conv.weight = nn.Parameter(kernel, requires_grad=False)
    if bias is not None:
        conv.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return conv


def beyond(taps: Tensor, place: slice, axis: int, radius: int) -> Tensor:
    """Return the sums of the taps that reach over one end of an axis, for each of the pixels nearest to this end.

    Args:
        taps: a kernel with 2 r + 1 taps along the axis.
        place: `FIRST` or `LAST` for the end; `ALL` for the sum of all taps, as one pixel.
        axis: the axis.
        radius: r, which is also the number of pixels.

    >>> beyond(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), LAST, 0, radius=2)
    tensor([5., 9.])
    """
    if place == ALL:
        return taps.sum(axis, keepdim=True)
    if place == LAST:
        return beyond(taps.flip(axis), FIRST, axis, radius).flip(axis)
    return taps.cumsum(axis).narrow(axis, 0, radius).flip(axis)


def _times(place: slice, block: int) -> slice:
    """Return the rows or columns of an image before space-to-depth that those of a map come from."""
    return slice(*(None if end is None else block * end for end in (place.start, place.stop)))


def _around(place: slice, size: int, part: int) -> tuple[int, int]:
    """Return how many pixels to pad before and behind a part of an axis that lies at its beginning or its end."""
    return (0, size - part) if place != LAST else (size - part, 0)


class TapProduct(torch.autograd.Function):
    """The product of kernels [E, D, C, k, k] and a matrix [D * k * k, S], summed over features and taps: [E, C, S].

    It is one matrix product, several times faster on a CPU than a transposed convolution. The product needs a
    transposed copy of the kernels, which are PackNet's largest. To save memory, the gradient makes this copy again.

    >>> TapProduct.apply(torch.ones(1, 2, 3, 1, 1), torch.ones(2, 4)).shape
    torch.Size([1, 3, 4])
    """

    @staticmethod
    def forward(kernels: Tensor, spread: Tensor) -> Tensor:
        """Return the product [E, C, S].

        Args:
            kernels: [E, D, C, k, k].
            spread: [D * k * k, S].
        """
        return _by_channels(kernels) @ spread

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        """Keep the inputs for the gradient."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Return the gradients by kernels and spread, each if it is needed."""
        kernels, spread = ctx.saved_tensors
        E, D, C, h, w = kernels.shape
        by_kernels = by_spread = None
        if ctx.needs_input_grad[0]:
            by_kernels = (gradient @ spread.mT).view(E, C, D, h, w).transpose(1, 2)
        if ctx.needs_input_grad[1]:
            by_spread = _by_channels(kernels).flatten(0, 1).mT @ gradient.flatten(0, 1)
        return by_kernels, by_spread


def _by_channels(kernels: Tensor) -> Tensor:
    """Return kernels [E, D, C, k, k] as [E, C, D * k * k]."""
    return kernels.transpose(1, 2).flatten(2)


def _spread(inner: Tensor, k: int) -> Tensor:
    """Return the composition of the inner kernel with each single tap of an outer kernel k x k, for each feature.

    Args:
        inner: inner kernel [D, 1, 3, m, n]: (feature, 1, channel offset, row, column).
        k: size of the outer kernel.

    Returns:
        [D * k * k, 3, k + m - 1, k + n - 1].
    """
    taps = torch.eye(k * k, dtype=inner.dtype, device=inner.device).view(-1, 1, k, k)
    spread = F.conv_transpose2d(taps, inner.reshape(1, -1, *inner.shape[-2:]))  # [k * k, D * 3, k + m - 1, k + n - 1]
    return spread.view(k * k, -1, 3, *spread.shape[-2:]).transpose(0, 1).flatten(0, 1)


def _over_channels(kernel: Tensor) -> Tensor:
    """Return kernels [E, C, h, w] from [E, C, 3, h, w] by adding the parts of each channel and of its two neighbors."""
    below, same, above = kernel.unbind(2)
    return same + F.pad(above[:, :-1], (0, 0, 0, 0, 1, 0)) + F.pad(below[:, 1:], (0, 0, 0, 0, 0, 1))
