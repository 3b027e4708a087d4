"""The blocks of PackNet (CVPR 2020, section 4): downsampling and upsampling that keep every value.

Parameter names are those of the published checkpoints.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.layers.fused import FusedKernels, compose, packed
from packdepth.networks.layers.head import LogitConv2d

GROUPS = 16  # of the group normalizations, as published
NARROW = 128  # channels
COMPOSING = 22  # multiplications that a CPU's convolution does while a composition does one (bench/packing.py)

Versions = tuple[tuple[int, torch.dtype, int], ...]  # of parameters: where they are and how often they changed in place


class Conv2D(nn.Module):
    """Convolution, group normalization, ELU: [B, C, H, W] to [B, D, H, W].

    The channels may come as several maps, one after the other: the convolution is the sum of theirs, and the copy that
    joins them is neither made nor kept for the gradient.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, groups: int = GROUPS) -> None:
        super().__init__()
        self.conv_base = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)
        self.normalize = nn.GroupNorm(groups, channels_out)

    def forward(self, *maps: Tensor) -> Tensor:
        """Filter, normalize, activate."""
        conv, (first, *others) = self.conv_base, maps
        if not others:
            return self.activate(conv(first))
        weight, *weights = torch.split(conv.weight, [x.shape[1] for x in maps], dim=1)
        result = F.conv2d(first, weight, conv.bias, padding=conv.padding)
        for x, weight in zip(others, weights, strict=True):
            result += F.conv2d(x, weight, padding=conv.padding)
        return self.activate(result)

    def activate(self, x: Tensor) -> Tensor:
        """Normalize, activate."""
        return F.elu(self.normalize(x), inplace=True)  # its gradient needs its result alone


class ResidualConv(nn.Module):
    """Two convolutions beside a 1x1 shortcut; dropout, if any, falls on the shortcut."""

    def __init__(self, channels_in: int, channels_out: int, dropout: float = 0.0, groups: int = GROUPS) -> None:
        super().__init__()
        self.conv1 = Conv2D(channels_in, channels_out, 3, groups)
        self.conv2 = Conv2D(channels_out, channels_out, 3, groups)
        self.conv3 = nn.Conv2d(channels_in, channels_out, 1)
        self.dropout = nn.Dropout2d(dropout)
        self.normalize = nn.GroupNorm(groups, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, D, H, W]."""
        return F.elu(self.normalize(self.conv2(self.conv1(x)) + self.dropout(self.conv3(x))), inplace=True)


def residual_block(
    channels_in: int, channels_out: int, count: int, dropout: float = 0.0, groups: int = GROUPS
) -> nn.Sequential:
    """`count` residual convolutions, the first of which changes the number of channels."""
    inputs = [channels_in] + [channels_out] * (count - 1)
    return nn.Sequential(*[ResidualConv(channels, channels_out, dropout, groups) for channels in inputs])


def channelwise_conv3d(x: Tensor, conv3d: nn.Conv3d) -> Tensor:
    """A 3D convolution over (channel, row, column) with D features: [B, C, H, W] to [B, D * C, H, W].

    The feature is the slow index of the result. Source: PackNet, CVPR 2020, section 4.1.

    CPUs have no fast kernel for one input channel, and convolve in two dimensions instead: the same sum, several times
    faster (bench/packing.py); narrow maps with weights that are zero off a band of three channels, wide ones by rows.
    """
    if narrow_on_cpu(x):
        return F.conv2d(x, *banded(conv3d, x.shape[1]), padding=1)
    if x.device.type == "cpu":
        return row_by_row(x, conv3d)
    features: Tensor = conv3d(x.unsqueeze(1))  # [B, D, C, H, W]
    return features.flatten(1, 2)


def narrow_on_cpu(x: Tensor) -> bool:
    """Whether a map [B, C, H, W] is one for which the 2D forms of a channelwise 3D convolution are the faster ones."""
    return x.device.type == "cpu" and x.shape[1] <= NARROW


def banded(conv3d: nn.Conv3d, channels: int) -> tuple[Tensor, Tensor]:
    """Weight [D * C, C, 3, 3] and bias [D * C] of the 2D convolution that equals a 3D one over C channels."""
    weight, bias = conv3d.weight[:, 0], conv3d.bias  # [D, 3, 3, 3] by (feature, channel offset, row, column), [D]
    assert bias is not None
    ones = weight.new_ones(channels)
    neighbors = torch.stack([torch.diag(ones[abs(k) :], k) for k in (-1, 0, 1)])  # [3, C, C]
    return torch.einsum("dkij,kcn->dcnij", weight, neighbors).flatten(0, 1), bias.repeat_interleave(channels)


def row_by_row(x: Tensor, conv3d: nn.Conv3d) -> Tensor:
    """`channelwise_conv3d` as a 2D convolution over (channel, column), with a row and its neighbors as channels."""
    B, C, H, W = x.shape
    above_and_below = F.pad(x, (0, 0, 1, 1))
    rows = torch.stack([above_and_below[:, :, i : i + H] for i in range(3)], dim=1)  # [B, 3, C, H, W]
    rows = rows.permute(0, 3, 1, 2, 4).flatten(0, 1)  # [B * H, 3, C, W]
    features = F.conv2d(rows, conv3d.weight[:, 0].transpose(1, 2), conv3d.bias, padding=1)  # [B * H, D, C, W]
    return features.view(B, H, -1, C, W).permute(0, 2, 3, 1, 4).flatten(1, 2)


class PackLayerConv3d(nn.Module):
    """Halve the resolution by space-to-depth, 3D convolution and 2D convolution: [B, C, H, W] to [B, C, H/2, W/2].

    The two convolutions are computed as one where that is faster. In evaluation mode their composition is kept until a
    parameter changes, or gradients are asked for: fused optimizers change parameters without counting it.
    """

    def __init__(self, channels: int, kernel: int, features: int, groups: int = GROUPS) -> None:
        super().__init__()
        self.conv = Conv2D(channels * 4 * features, channels, kernel, groups)
        self.conv3d = nn.Conv3d(1, features, 3, padding=1)
        self._composed: tuple[Versions, torch.dtype, FusedKernels] | None = None

    def train(self, mode: bool = True) -> PackLayerConv3d:
        """Training or evaluation mode; what was composed before is forgotten."""
        self._composed = None
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        """Pack."""
        x = F.pixel_unshuffle(x, 2)
        if narrow_on_cpu(x) or self.is_faster_fused(x):
            return self.conv.activate(packed(x, self.kernels(x.dtype)))
        unfused: Tensor = self.conv(channelwise_conv3d(x, self.conv3d))
        return unfused

    def is_faster_fused(self, x: Tensor) -> bool:
        """Whether a map [B, C, H, W] takes less time so: by multiplications, for each pair of channels."""
        conv, features = self.conv.conv_base, self.conv3d.out_channels
        taps, wider = conv.kernel_size[0] ** 2, (conv.kernel_size[0] + 2) ** 2
        pixels = x.numel() // x.shape[1]
        plain = pixels * features * (taps + 27 / conv.out_channels)
        composing = 0 if self._keeps() else COMPOSING * features * taps * wider
        return pixels * wider + composing < plain

    def _keeps(self) -> bool:
        """Whether the composition is kept from call to call; tensors of inference mode and graphs count no changes."""
        weight = self.conv.conv_base.weight
        uncounted = torch.compiler.is_compiling() or weight.is_inference()
        return not (self.training or torch.is_grad_enabled() or uncounted)

    def kernels(self, dtype: torch.dtype) -> FusedKernels:
        """The composition; where it is kept, in the type in which it is used."""
        if torch.is_grad_enabled():
            self._composed = None  # a step of an optimizer may follow
        if not self._keeps():
            return compose(self.conv3d, self.conv.conv_base)
        versions = tuple((parameter.data_ptr(), parameter.dtype, parameter._version) for parameter in self.parameters())
        if self._composed is None or self._composed[:2] != (versions, dtype):
            self._composed = versions, dtype, compose(self.conv3d, self.conv.conv_base).to(dtype)
        return self._composed[2]


class UnpackLayerConv3d(nn.Module):
    """Double the resolution by 2D convolution, 3D convolution and depth-to-space: [B, C, H, W] to [B, D, 2H, 2W]."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, features: int, groups: int = GROUPS) -> None:
        super().__init__()
        self.conv = Conv2D(channels_in, channels_out * 4 // features, kernel, groups)
        self.conv3d = nn.Conv3d(1, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Unpack."""
        return F.pixel_shuffle(channelwise_conv3d(self.conv(x), self.conv3d), 2)


class InvDepth(nn.Module):
    """The convolution before an inverse depth head: [B, C, H, W] to [B, 1, H, W]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = LogitConv2d(channels, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.conv1(x)
        return logits
