"""A packing block's 3D and 2D convolution as one 2D convolution: the same linear map, exactly.

Nothing nonlinear stands between the two, so their composition is a convolution whose kernel is two pixels wider. At
the border they differ from it: the 2D convolution pads its input, the map in between, with zeros, where the composed
kernel sees that map go on for one more pixel. What this ring adds is a small convolution of each border row, and is
taken off; the corners, which two sides take off, are added once.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class FusedKernels:
    """The composition of a 3D convolution (1 to D channels) and a 2D one (D * C to E channels, kernel k, radius r)."""

    inside: Tensor  # [E, C, k + 2, k + 2]
    bias: Tensor  # [E], of the 2D convolution
    bias_taps: Tensor  # [E, 1, k, k]: what the 3D bias adds where the map in between is
    sides: tuple[Tensor, ...]  # [r * E, C, 1, k + 2] each: what the ring above, below, left and right of an image adds
    corners: tuple[Tensor, ...]  # [r * r * E, C] each: top left, top right, bottom left, bottom right

    def to(self, dtype: torch.dtype) -> FusedKernels:
        """The same of another type."""
        sides, corners = (tuple(kernel.to(dtype) for kernel in kernels) for kernels in (self.sides, self.corners))
        return FusedKernels(self.inside.to(dtype), self.bias.to(dtype), self.bias_taps.to(dtype), sides, corners)


def compose(conv3d: nn.Conv3d, conv: nn.Conv2d) -> FusedKernels:
    """The kernels of `conv(conv3d(x[:, None]).flatten(1, 2))`, differentiable, in float32 or wider.

    Args:
        conv3d: 1 to D channels, kernel 3, padding 1.
        conv: D * C to E channels, odd kernel k of at least 3, padding k // 2.

    Source: PackNet, CVPR 2020, section 4.1, composed.
    """
    assert conv3d.bias is not None
    assert conv.bias is not None
    device = conv.weight.device.type
    with torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext():
        wide = torch.promote_types(conv.weight.dtype, torch.float32)
        weight, inner, inner_bias = conv.weight.to(wide), conv3d.weight.to(wide), conv3d.bias.to(wide)
        outer = weight.view(conv.out_channels, len(inner), -1, *conv.kernel_size)  # [E, D, C, k, k]
        return FusedKernels(
            inside=_composed(outer, inner),
            bias=conv.bias.to(wide),
            bias_taps=torch.einsum("edcij,d->eij", outer, inner_bias)[:, None],
            sides=tuple(
                _side(_flipped(o, flip, False), _flipped(i, flip, False))
                for o, i in ((outer, inner), (outer.mT, inner.mT))
                for flip in (False, True)
            ),
            corners=tuple(
                _corner(_flipped(outer, *flips), _flipped(inner, *flips)) for flips in product((False, True), repeat=2)
            ),
        )


def packed(x: Tensor, kernels: FusedKernels) -> Tensor:
    """Both convolutions of x [B, C, H, W] at once: [B, E, H, W], equal to one after the other less rounding."""
    size = kernels.inside.shape[-1]
    height, width = x.shape[-2:]
    result = F.conv2d(x, kernels.inside.to(x.dtype), kernels.bias.to(x.dtype), padding=size // 2)
    result = result + F.conv2d(x.new_ones(1, 1, height, width), kernels.bias_taps.to(x.dtype), padding=size // 2 - 1)
    result = result.to(x.dtype)
    top, bottom, left, right = kernels.sides
    rows = min(size // 2 - 1, height)  # that the ring above, or below, adds to
    result[:, :, :rows] -= _added(x[:, :, :1], top)[:, :, :rows]
    result[:, :, -rows:] -= _added(x[:, :, -1:], bottom)[:, :, :rows].flip(2)
    columns = min(size // 2 - 1, width)
    result[..., :columns] -= _added(x[..., :1].mT, left)[:, :, :columns].mT
    result[..., -columns:] -= _added(x[..., -1:].mT, right)[:, :, :columns].mT.flip(3)
    places = product((slice(None, rows), slice(-rows, None)), (slice(None, columns), slice(-columns, None)))
    for (vertical, horizontal), kernel in zip(places, kernels.corners, strict=True):
        corner = x[:, :, -1 if vertical.start else 0, -1 if horizontal.start else 0] @ kernel.to(x.dtype).mT
        radius = size // 2 - 1
        added = corner.view(len(x), radius, radius, -1).permute(0, 3, 1, 2)[:, :, :rows, :columns]
        result[:, :, vertical, horizontal] += _flipped(added, bool(vertical.start), bool(horizontal.start))
    return result


def _added(row: Tensor, kernel: Tensor) -> Tensor:
    """What the ring above a border row [B, C, 1, W] adds to the image, from there inwards: [B, E, r, W]."""
    radius = kernel.shape[-1] // 2 - 1
    added = F.conv2d(row, kernel.to(row.dtype), padding=(0, radius + 1))  # [B, r * E, 1, W]
    return added.view(len(row), radius, -1, row.shape[-1]).transpose(1, 2)


def _side(outer: Tensor, inner: Tensor) -> Tensor:
    """The kernel of the ring above an image: [r * E, C, 1, k + 2].

    Row i of the image meets the ring through row r - 1 - i of the outer kernel; the ring meets the image's first row
    through the last row of the inner kernel.
    """
    radius = outer.shape[-1] // 2
    taps = outer[..., :radius, :].flip(3).movedim(3, 0)  # [r, E, D, C, k]
    return _composed(taps.flatten(0, 1).unsqueeze(-2), inner[..., 2:, :])


def _corner(outer: Tensor, inner: Tensor) -> Tensor:
    """The kernel of the ring's pixel beyond the first row and column: [r * r * E, C]."""
    radius = outer.shape[-1] // 2
    taps = outer[..., :radius, :radius].flip(3, 4).permute(3, 4, 0, 1, 2)  # [r, r, E, D, C]
    return _composed(taps.flatten(0, 2)[..., None, None], inner[..., 2:, 2:])[..., 0, 0]


def _flipped(values: Tensor, rows: bool, columns: bool) -> Tensor:
    """The values with their last two axes reversed or not."""
    axes = [axis for axis, flip in ((-2, rows), (-1, columns)) if flip]
    return values.flip(axes) if axes else values


def _composed(outer: Tensor, inner: Tensor) -> Tensor:
    """Two kernels in one: full convolution over rows and columns; over channels it is cut to C.

    Args:
        outer: [E, D, C, h, w].
        inner: [D, 1, 3, m, n], the channel's neighbours first.

    Returns:
        [E, C, h + m - 1, w + n - 1]. The sum over features and taps is one matrix product, several times faster on a
        CPU than a transposed convolution.
    """
    E, D, C, h, w = outer.shape
    m, n = inner.shape[-2:]
    taps = torch.eye(h * w, dtype=outer.dtype, device=outer.device).view(h * w, 1, h, w)
    spread = F.conv_transpose2d(taps, inner.reshape(1, D * 3, m, n))  # [h * w, D * 3, h + m - 1, w + n - 1]
    spread = spread.view(h * w, D, -1).transpose(0, 1).flatten(0, 1)  # [D * h * w, 3 * (h + m - 1) * (w + n - 1)]
    summed = outer.transpose(1, 2).reshape(E * C, -1) @ spread
    below, same, above = summed.view(E, C, 3, h + m - 1, w + n - 1).unbind(2)
    return same + F.pad(above[:, :-1], (0, 0, 0, 0, 1, 0)) + F.pad(below[:, 1:], (0, 0, 0, 0, 0, 1))
