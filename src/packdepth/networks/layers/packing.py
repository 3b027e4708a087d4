"""The blocks of PackNet (CVPR 2020, section 4): downsampling and upsampling that rearrange values and discard none.

The names of parameters are those of the published checkpoints.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.layers.fused import FoldedPacking, FusedKernels, compose, packed, with_kernel
from packdepth.networks.layers.head import LogitConv2d

GROUPS = 16  # groups of the group normalizations, as published
NARROW = 128  # channels up to which `banded` and `FusedKernels` are fastest on a CPU; measured (bench/packing.py)
STRIDED = 32  # channels up to which runtimes are faster without space-to-depth (10 to 35 %; at 64, OpenVINO is slower)
COMPOSITION_COST = 22  # time of one multiplication in `compose`, in multiplications of a convolution; measured on a CPU
TAPS_3D = 27  # taps of a 3x3x3 kernel

Versions = tuple[tuple[int, torch.dtype, int], ...]
"""The address, the dtype and the number of in-place changes of each parameter."""


class Conv2D(nn.Module):
    """Convolution, group normalization, ELU: [B, C, H, W] to [B, D, H, W].

    The input may be given as several maps, whose channels together are the input channels. Each map is then convolved
    with its part of the kernel and the results are added. This saves memory: the maps are never concatenated.

    Args:
        channels_in: channels of the input, of all maps together.
        channels_out: channels of the result, a multiple of `groups`.
        kernel: side of the kernel, in pixels.
        groups: groups of the normalization.

    >>> Conv2D(4, 16, 3)(torch.rand(1, 3, 8, 8), torch.rand(1, 1, 8, 8)).shape
    torch.Size([1, 16, 8, 8])
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, groups: int = GROUPS) -> None:
        super().__init__()
        self.conv_base = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)
        self.normalize = nn.GroupNorm(groups, channels_out)

    def forward(self, *maps: Tensor) -> Tensor:
        """Return the filtered, normalized and activated maps, [B, D, H, W]."""
        conv, (first, *others) = self.conv_base, maps
        if not others:
            return self.activate(conv(first))
        weight, *weights = torch.split(conv.weight, [x.shape[1] for x in maps], dim=1)
        result = F.conv2d(first, weight, conv.bias, padding=conv.padding)
        for x, weight in zip(others, weights, strict=True):
            result += F.conv2d(x, weight, padding=conv.padding)
        return self.activate(result)

    def folded(self) -> FoldedConv2D:
        """Return the layer for export: it concatenates its input, so that its kernel is never split."""
        return FoldedConv2D(self.conv_base, self.normalize)

    def activate(self, x: Tensor) -> Tensor:
        """Return normalized and activated features.

        Args:
            x: [B, D, H, W].
        """
        return F.elu(self.normalize(x), inplace=True)  # the gradient of ELU needs only its result


class FoldedConv2D(nn.Module):
    """The layer `Conv2D` of an exported network.

    Args:
        conv: the convolution.
        normalize: the normalization.

    >>> FoldedConv2D(nn.Conv2d(4, 16, 3, padding=1), nn.GroupNorm(4, 16))(torch.rand(1, 4, 8, 8)).shape
    torch.Size([1, 16, 8, 8])
    """

    def __init__(self, conv: nn.Module, normalize: nn.Module) -> None:
        super().__init__()
        self.conv, self.normalize = conv, normalize

    def forward(self, *maps: Tensor) -> Tensor:
        """Return the filtered, normalized and activated maps, [B, D, H, W], of maps [B, C, H, W]."""
        x = maps[0] if len(maps) == 1 else torch.cat(maps, dim=1)
        return F.elu(self.normalize(self.conv(x)))


class ResidualConv(nn.Module):
    """Two convolutions beside a 1x1 shortcut with dropout.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the result, a multiple of `groups`.
        dropout: probability of dropout on the shortcut.
        groups: groups of the normalizations.

    >>> ResidualConv(4, 16)(torch.rand(1, 4, 8, 8)).shape
    torch.Size([1, 16, 8, 8])
    """

    def __init__(self, channels_in: int, channels_out: int, dropout: float = 0.0, groups: int = GROUPS) -> None:
        super().__init__()
        self.conv1 = Conv2D(channels_in, channels_out, 3, groups)
        self.conv2 = Conv2D(channels_out, channels_out, 3, groups)
        self.conv3 = nn.Conv2d(channels_in, channels_out, 1)
        self.dropout = nn.Dropout2d(dropout)
        self.normalize = nn.GroupNorm(groups, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Return features [B, D, H, W] of features [B, C, H, W]."""
        return F.elu(self.normalize(self.conv2(self.conv1(x)) + self.dropout(self.conv3(x))), inplace=True)


def residual_block(
    channels_in: int, channels_out: int, count: int, dropout: float = 0.0, groups: int = GROUPS
) -> nn.Sequential:
    """Return a sequence of residual convolutions, the first of which changes the number of channels.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the result, a multiple of `groups`.
        count: number of residual convolutions.
        dropout: probability of dropout on the shortcuts.
        groups: groups of the normalizations.

    >>> len(residual_block(4, 16, count=2))
    2
    """
    inputs = [channels_in] + [channels_out] * (count - 1)
    return nn.Sequential(*[ResidualConv(channels, channels_out, dropout, groups) for channels in inputs])


def channelwise_conv3d(x: Tensor, conv3d: nn.Conv3d) -> Tensor:
    """Return a 3D convolution over (channel, row, column) with D features: [B, C, H, W] to [B, D * C, H, W].

    The feature is the slow index of the result. Source: PackNet, CVPR 2020, section 4.1.

    A 3D convolution with one input channel is slow on CPUs. There a 2D convolution computes the same result several
    times faster (bench/packing.py): `banded` for maps with few channels, `row_by_row` for others.

    Args:
        x: [B, C, H, W].
        conv3d: the convolution, from 1 to D channels, kernel 3, padding 1.

    >>> channelwise_conv3d(torch.rand(1, 4, 6, 8), nn.Conv3d(1, 2, 3, padding=1)).shape
    torch.Size([1, 8, 6, 8])
    """
    if narrow_on_cpu(x):
        return F.conv2d(x, *banded(conv3d, x.shape[1]), padding=1)
    if x.device.type == "cpu":
        return row_by_row(x, conv3d)
    features: Tensor = conv3d(x.unsqueeze(1))  # [B, D, C, H, W]
    return features.flatten(1, 2)


def narrow_on_cpu(x: Tensor) -> bool:
    """Return whether a map is on a CPU and has at most `NARROW` channels, for which `banded` is faster.

    Args:
        x: [B, C, H, W].

    >>> narrow_on_cpu(torch.rand(1, 4, 8, 8)), narrow_on_cpu(torch.rand(1, 256, 8, 8))
    (True, False)
    """
    return x.device.type == "cpu" and x.shape[1] <= NARROW


def banded(conv3d: nn.Conv3d, channels: int) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the 2D convolution that equals a channelwise 3D convolution.

    Its weight from channel c to a feature of channel c' is zero unless c and c' differ by at most 1.

    Args:
        conv3d: the 3D convolution, from 1 to D channels, kernel 3.
        channels: number of channels C of the map.

    Returns:
        Weight [D * C, C, 3, 3] and bias [D * C].

    >>> x, conv3d = torch.rand(1, 4, 6, 8), nn.Conv3d(1, 2, 3, padding=1)
    >>> torch.allclose(F.conv2d(x, *banded(conv3d, 4), padding=1), conv3d(x[:, None]).flatten(1, 2), atol=1e-6)
    True
    """
    weight, bias = conv3d.weight[:, 0], conv3d.bias  # [D, 3, 3, 3] by (feature, channel offset, row, column), [D]
    assert bias is not None
    ones = weight.new_ones(channels)
    neighbors = torch.stack([torch.diag(ones[abs(k) :], k) for k in (-1, 0, 1)])  # [3, C, C]
    return torch.einsum("dkij,kcn->dcnij", weight, neighbors).flatten(0, 1), bias.repeat_interleave(channels)


def row_by_row(x: Tensor, conv3d: nn.Conv3d) -> Tensor:
    """Return `channelwise_conv3d` as a 2D convolution over (channel, column), with three neighboring rows as channels.

    Args:
        x: [B, C, H, W].
        conv3d: the 3D convolution, from 1 to D channels, kernel 3.

    >>> x, conv3d = torch.rand(1, 4, 6, 8), nn.Conv3d(1, 2, 3, padding=1)
    >>> torch.allclose(row_by_row(x, conv3d), conv3d(x[:, None]).flatten(1, 2), atol=1e-6)
    True
    """
    B, C, H, W = x.shape
    above_and_below = F.pad(x, (0, 0, 1, 1))
    rows = torch.stack([above_and_below[:, :, i : i + H] for i in range(3)], dim=1)  # [B, 3, C, H, W]
    rows = rows.permute(0, 3, 1, 2, 4).flatten(0, 1)  # [B * H, 3, C, W]
    features = F.conv2d(rows, conv3d.weight[:, 0].transpose(1, 2), conv3d.bias, padding=1)  # [B * H, D, C, W]
    return features.view(B, H, -1, C, W).permute(0, 2, 3, 1, 4).flatten(1, 2)


class PackLayerConv3d(nn.Module):
    """A layer that halves the resolution by space-to-depth, 3D and 2D convolution: [B, C, H, W] to [B, C, H/2, W/2].

    The two convolutions are computed as one where that is faster (`layers.fused`). In evaluation mode without gradients
    the composed kernels are cached until a parameter changes. With gradients they are not cached, because fused
    optimizers change parameters without increasing their version counter.

    Args:
        channels: channels of the input and of the result.
        kernel: side of the 2D convolution's kernel, in pixels.
        features: features D of the 3D convolution.
        groups: groups of the normalization.

    >>> PackLayerConv3d(16, kernel=3, features=2)(torch.rand(1, 16, 8, 8)).shape
    torch.Size([1, 16, 4, 4])
    """

    def __init__(self, channels: int, kernel: int, features: int, groups: int = GROUPS) -> None:
        super().__init__()
        self.conv = Conv2D(channels * 4 * features, channels, kernel, groups)
        self.conv3d = nn.Conv3d(1, features, 3, padding=1)
        self._composed: tuple[Versions, torch.dtype, FusedKernels] | None = None

    def train(self, mode: bool = True) -> PackLayerConv3d:
        """Set training or evaluation mode, and clear the cached composition."""
        self._composed = None
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        """Return packed features [B, C, H/2, W/2] of features [B, C, H, W]."""
        x = F.pixel_unshuffle(x, 2)
        if narrow_on_cpu(x) or self.is_faster_fused(x):
            return self.conv.activate(packed(x, self.kernels(x.dtype)))
        unfused: Tensor = self.conv(channelwise_conv3d(x, self.conv3d))
        return unfused

    def is_faster_fused(self, x: Tensor) -> bool:
        """Return whether the fused form is faster for a map after space-to-depth, [B, 4 C, H/2, W/2].

        It compares the numbers of multiplications, divided by the number of pairs of input and output channels.

        Args:
            x: the map.
        """
        conv, features = self.conv.conv_base, self.conv3d.out_channels
        taps, wider = conv.kernel_size[0] ** 2, (conv.kernel_size[0] + 2) ** 2
        pixels = x.numel() // x.shape[1]
        unfused = pixels * features * (taps + TAPS_3D / conv.out_channels)
        composing = 0 if self._keeps() else COMPOSITION_COST * features * taps * wider
        return pixels * wider + composing < unfused

    def folded(self) -> nn.Module:
        """Return the layer for export: its convolutions, composed; for few channels, with space-to-depth in them."""
        kernels, normalize = compose(self.conv3d, self.conv.conv_base), self.conv.normalize
        if self.conv.conv_base.out_channels <= STRIDED:
            return FoldedConv2D(FoldedPacking(kernels, block=2), normalize)
        return nn.Sequential(nn.PixelUnshuffle(2), FoldedConv2D(FoldedPacking(kernels), normalize))

    def _keeps(self) -> bool:
        """Return whether the composition is cached from call to call.

        In inference mode and in compiled graphs, changes of parameters are not counted, so it is not cached there.
        """
        weight = self.conv.conv_base.weight
        uncounted = torch.compiler.is_compiling() or weight.is_inference()
        return not (self.training or torch.is_grad_enabled() or uncounted)

    def kernels(self, dtype: torch.dtype) -> FusedKernels:
        """Return the composed kernels: in float32 or wider or, where they are cached, in the given dtype.

        Args:
            dtype: dtype of the map that the kernels are applied to.
        """
        if torch.is_grad_enabled():
            self._composed = None  # an optimizer step may follow, which the version counters may miss
        if not self._keeps():
            return compose(self.conv3d, self.conv.conv_base)
        versions = tuple((parameter.data_ptr(), parameter.dtype, parameter._version) for parameter in self.parameters())
        if self._composed is None or self._composed[:2] != (versions, dtype):
            self._composed = versions, dtype, compose(self.conv3d, self.conv.conv_base).to(dtype)
        return self._composed[2]


class UnpackLayerConv3d(nn.Module):
    """A layer that doubles the resolution by 2D and 3D convolution and depth-to-space: [B, C, H, W] to [B, D, 2H, 2W].

    Args:
        channels_in: channels of the input.
        channels_out: channels of the result.
        kernel: side of the 2D convolution's kernel, in pixels.
        features: features of the 3D convolution.
        groups: groups of the normalization.

    >>> UnpackLayerConv3d(16, 8, kernel=3, features=2)(torch.rand(1, 16, 4, 4)).shape
    torch.Size([1, 8, 8, 8])
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, features: int, groups: int = GROUPS) -> None:
        super().__init__()
        self.conv = Conv2D(channels_in, channels_out * 4 // features, kernel, groups)
        self.conv3d = nn.Conv3d(1, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return unpacked features [B, D, 2H, 2W] of features [B, C, H, W]."""
        return F.pixel_shuffle(channelwise_conv3d(self.conv(x), self.conv3d), 2)

    def folded(self) -> nn.Sequential:
        """Return the layer for export: its 3D convolution becomes a 2D one, which runtimes compute faster."""
        conv3d = with_kernel(*banded(self.conv3d, self.conv.conv_base.out_channels), padding=1)
        return nn.Sequential(self.conv.folded(), conv3d, nn.PixelShuffle(2))


class InvDepth(nn.Module):
    """The convolution before an inverse depth head: [B, C, H, W] to [B, 1, H, W].

    Args:
        channels: channels of the input.

    >>> InvDepth(4)(torch.rand(1, 4, 8, 8)).shape
    torch.Size([1, 1, 8, 8])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = LogitConv2d(channels, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [B, 1, H, W] of features [B, C, H, W]."""
        logits: Tensor = self.conv1(x)
        return logits
