"""A packing block's 3D and 2D convolution as one 2D convolution: the same linear map, exactly.

Nothing nonlinear stands between the two, so their composition is a convolution whose kernel is two pixels wider. At
the border they differ from it: the 2D convolution pads its input, the map in between, with zeros, where the composed
kernel sees that map go on for one more pixel. What this ring adds is computed and taken off.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def fused_packing(x: Tensor, conv3d: nn.Conv3d, conv: nn.Conv2d) -> Tensor:
    """`conv(conv3d(x[:, None]).flatten(1, 2))`, less rounding, with fewer multiplications.

    Args:
        x: [B, C, H, W], H and W at least k // 2.
        conv3d: 1 to D channels, kernel 3, padding 1.
        conv: D * C to E channels, odd kernel k of at least 3, padding k // 2.

    Returns:
        [B, E, H, W]. Source: PackNet, CVPR 2020, section 4.1, composed.
    """
    assert conv3d.bias is not None
    inner = conv3d.weight  # [D, 1, 3, 3, 3]
    outer = conv.weight.view(conv.out_channels, inner.shape[0], -1, *conv.kernel_size)  # [E, D, C, k, k]
    radius = conv.kernel_size[0] // 2
    result = F.conv2d(x, composed_kernel(outer, inner), conv.bias, padding=radius + 1)

    # The 3D bias counts where the map in between is, inside the image.
    taps = torch.einsum("edcij,d->eij", outer, conv3d.bias)[:, None]  # [E, 1, k, k]
    result = result + F.conv2d(x.new_ones(1, 1, *x.shape[-2:]), taps, padding=radius)

    # Each side of the ring is a row above an image that is flipped or transposed to lie under it.
    weight = conv.weight
    result[:, :, :radius] -= _row_above(x[:, :, :1], inner, weight, corners=True)
    result[:, :, -radius:] -= _row_above(x[:, :, -1:], inner.flip(3), weight.flip(2), corners=True).flip(2)
    inner, weight = inner.mT, weight.mT
    result[..., :radius] -= _row_above(x[..., :1].mT, inner, weight, corners=False).mT
    result[..., -radius:] -= _row_above(x[..., -1:].mT, inner.flip(3), weight.flip(2), corners=False).flip(2).mT
    return result


def composed_kernel(outer: Tensor, inner: Tensor) -> Tensor:
    """The kernel of a 3D convolution followed by a 2D one: full convolution over rows and columns, cut to C channels.

    Args:
        outer: of the 2D convolution, [E, D, C, k, k].
        inner: of the 3D convolution, [D, 1, 3, 3, 3].

    Returns:
        [E, C, k + 2, k + 2]. The sum over features and taps is one matrix product, several times faster on a CPU
        than a transposed convolution.
    """
    E, D, C, k, _ = outer.shape
    taps = torch.eye(k * k, dtype=outer.dtype, device=outer.device).view(k * k, 1, k, k)
    spread = F.conv_transpose2d(taps, inner.reshape(1, -1, 3, 3))  # [k * k, D * 3, k + 2, k + 2], a tap each
    spread = spread.view(k * k, D, -1).transpose(0, 1).flatten(0, 1)  # [D * k * k, 3 * (k + 2)^2]
    summed = outer.transpose(1, 2).reshape(E * C, -1) @ spread
    below, same, above = summed.view(E, C, 3, k + 2, k + 2).unbind(2)
    return same + F.pad(above[:, :-1], (0, 0, 0, 0, 1, 0)) + F.pad(below[:, 1:], (0, 0, 0, 0, 0, 1))


def _row_above(first: Tensor, inner: Tensor, weight: Tensor, corners: bool) -> Tensor:
    """What the row of the ring above an image adds to the image's first rows.

    Args:
        first: the first row of x, [B, C, 1, W].
        inner: of the 3D convolution, [D, 1, 3, 3, 3].
        weight: of the 2D convolution, [E, D * C, k, k].
        corners: whether the row reaches one pixel beyond both ends.

    Returns:
        [B, E, k // 2, W].
    """
    size = weight.shape[-1]
    radius = size // 2
    ring = F.conv3d(first.unsqueeze(1), inner[..., 2:, :], padding=(1, 0, 2 if corners else 1)).flatten(1, 2)
    taps = weight[:, :, :radius].flip(2)  # row r sees the ring through tap radius - 1 - r: [E, D * C, radius, k]
    rows = taps.permute(0, 2, 1, 3).reshape(-1, weight.shape[1], 1, size)  # [E * radius, D * C, 1, k]
    added = F.conv2d(ring, rows, padding=(0, radius - corners))  # [B, E * radius, 1, W]
    return added.view(len(added), -1, radius, added.shape[-1])
