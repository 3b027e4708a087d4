"""PackNet of any width whose packing and unpacking blocks are replaced one by one, for the studies of its ablation.

Run files that name it are trained with `--use packdepth.studies.ablated_packnet`. Nothing but the studies uses it.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from packdepth.networks.blocks import DepthNetworkBlock
from packdepth.networks.encoders.packnet import Architecture
from packdepth.networks.layers.packing import Conv2D, PackLayerConv3d, UnpackLayerConv3d
from packdepth.networks.options import INITIAL_DEPTH
from packdepth.networks.packnet import PackNet

MODULE = __name__
"""Name of the module, for `--use`."""
LEVELS = (1, 1, 2, 4, 8)  # channels of the five levels in multiples of the width, as in PackNet 1A
FIRST_KERNEL = 5  # side of the first packing block's 2D convolution, in pixels, as in packnet-sfm; others have 3

Down = Literal["packing", "strided"]
Up = Literal["unpacking", "nearest", "bilinear"]


class AblatedPackNetBlock(DepthNetworkBlock):
    """PackNet with any width, and with packing or unpacking replaced.

    >>> AblatedPackNetBlock(features=0).down
    'packing'
    """

    kind: Literal["ablated_packnet"] = "ablated_packnet"
    width: Annotated[int, Field(ge=4, multiple_of=4)] = 64
    """Channels of the first two levels; the others have 2, 4 and 8 times as many. PackNet 1A has 64."""
    blocks: Annotated[int, Field(ge=1)] = 2
    """Residual convolutions of each of the levels 2 to 5. PackNet 1A has 2, 2, 3 and 3."""
    features: Literal[0, 1, 2, 4, 8] = 8
    """Features D of the 3D convolutions, as published 8; without 3D convolutions for 0."""
    down: Down = "packing"
    """Layers that halve the resolution: `packing`, or `strided` convolutions of the same kernels and channels."""
    up: Up = "unpacking"
    """Layers that double it: `unpacking`, or convolutions after `nearest` or `bilinear` upsampling."""
    refines: bool = True
    """Whether a level corrects the logits of the coarser one, as in the presets `small` and `tiny`."""
    initial_depth: Annotated[float, Field(gt=0.5)] = INITIAL_DEPTH
    """Depth that the untrained network predicts, in metres."""

    def build(self) -> AblatedPackNet:
        """Return the network with random weights."""
        return AblatedPackNet(self)


class AblatedPackNet(PackNet):
    """PackNet with other layers in place of packing and unpacking.

    Args:
        block: the options.

    >>> network = AblatedPackNetBlock(width=8, down="strided", up="bilinear", features=0).build()
    >>> type(network.pack1).__name__, type(network.unpack5).__name__
    ('StridedConv', 'UpsampledConv')
    """

    def __init__(self, block: AblatedPackNetBlock) -> None:
        n1, n2, n3, n4, n5 = channels = tuple(block.width * factor for factor in LEVELS)
        blocks, groups, features = (block.blocks,) * 4, block.width // 4, max(block.features, 1)
        architecture = Architecture(block.width, (n1, n2, n3, n4, n5), blocks, 1, groups, refines=block.refines)
        super().__init__(architecture, initial_depth=block.initial_depth)
        for level, width in enumerate(channels, start=1):
            kernel = FIRST_KERNEL if level == 1 else 3
            setattr(self, f"pack{level}", down_layer(block.down, width, kernel, block.features, groups))
        for level, (channels_in, width) in enumerate(((n2, n1), (n3, n2), (n4, n3), (n5, n4), (n5, n5)), start=1):
            layer = up_layer(block.up, channels_in, width, block.features, math.gcd(groups, width * 4 // features))
            setattr(self, f"unpack{level}", layer)
        self._initialize(block.initial_depth)


def down_layer(kind: Down, channels: int, kernel: int, features: int, groups: int) -> nn.Module:
    """Return a layer that halves the resolution: [B, C, H, W] to [B, C, H/2, W/2].

    Args:
        kind: the kind of the layer.
        channels: channels C.
        kernel: side of its 2D convolution's kernel, in pixels.
        features: features D of the 3D convolution; 0 for none.
        groups: groups of the normalization.
    """
    if kind == "strided":
        return StridedConv(channels, kernel, groups)
    if features == 0:
        return nn.Sequential(nn.PixelUnshuffle(2), Conv2D(4 * channels, channels, kernel, groups))
    return PackLayerConv3d(channels, kernel, features, groups)


def up_layer(kind: Up, channels_in: int, channels_out: int, features: int, groups: int) -> nn.Module:
    """Return a layer that doubles the resolution: [B, C, H, W] to [B, D, 2H, 2W].

    Args:
        kind: the kind of the layer.
        channels_in: channels C.
        channels_out: channels D.
        features: features of the 3D convolution; 0 for none.
        groups: groups of the normalization.
    """
    if kind != "unpacking":
        return UpsampledConv(channels_in, channels_out, kind, groups)
    if features == 0:
        return nn.Sequential(Conv2D(channels_in, 4 * channels_out, 3, groups), nn.PixelShuffle(2))
    return UnpackLayerConv3d(channels_in, channels_out, 3, features, groups)


class StridedConv(nn.Module):
    """Convolution of stride 2, group normalization, ELU: [B, C, H, W] to [B, C, H/2, W/2].

    Args:
        channels: channels C.
        kernel: side of the kernel, in pixels.
        groups: groups of the normalization.

    >>> import torch
    >>> StridedConv(4, 3, groups=2)(torch.rand(1, 4, 8, 6)).shape
    torch.Size([1, 4, 4, 3])
    """

    def __init__(self, channels: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel, stride=2, padding=kernel // 2)
        self.normalize = nn.GroupNorm(groups, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return features [B, C, H/2, W/2] of features [B, C, H, W]."""
        return F.elu(self.normalize(self.conv(x)))


class UpsampledConv(nn.Module):
    """Upsampling by two, then convolution, group normalization and ELU: [B, C, H, W] to [B, D, 2H, 2W].

    Args:
        channels_in: channels C.
        channels_out: channels D.
        mode: `nearest` or `bilinear`.
        groups: groups of the normalization.

    >>> import torch
    >>> UpsampledConv(4, 8, "bilinear", groups=2)(torch.rand(1, 4, 8, 6)).shape
    torch.Size([1, 8, 16, 12])
    """

    def __init__(self, channels_in: int, channels_out: int, mode: Literal["nearest", "bilinear"], groups: int) -> None:
        super().__init__()
        self.mode = mode
        self.conv = Conv2D(channels_in, channels_out, 3, groups)

    def forward(self, x: Tensor) -> Tensor:
        """Return features [B, D, 2H, 2W] of features [B, C, H, W]."""
        larger: Tensor = self.conv(F.interpolate(x, scale_factor=2, mode=self.mode))
        return larger
