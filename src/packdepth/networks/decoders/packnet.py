"""The decoder of PackNet: unpacking, and logits that refine those of the coarser level (CVPR 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from packdepth.networks.contract import SCALES
from packdepth.networks.decoders.decoder import Decoded, Decoder, DecoderBlock, level_widths, start_coarsest
from packdepth.networks.guidance import Guide, unguided
from packdepth.networks.layers.head import InverseDepthHead, LogitConv2d
from packdepth.networks.layers.packing import Conv2D, UnpackLayerConv3d
from packdepth.networks.layers.upsampling import Refinement

CHANNELS = (16, 32, 32, 64, 128)  # channels of the decoder at strides 1 to 16, near those of PackNet `small`
FEATURES = 2  # features of the 3D convolutions, as in PackNet `small` and `tiny`
GROUPS = 16  # largest number of groups of the group normalizations, as published


class PackNetDecoderBlock(DecoderBlock):
    """PackNet's unpacking blocks with 3D convolutions; each level refines the logits of the coarser one.

    >>> PackNetDecoderBlock(channels=[16, 16, 32, 32, 64]).build([8, 8, 8, 8, 8]).channels[16]
    64
    """

    kind: Literal["packnet"] = "packnet"
    channels: Annotated[tuple[PositiveInt, ...], Field(min_length=5, max_length=5)] = CHANNELS
    """Channels at strides 1, 2, 4, 8 and 16, multiples of 2."""

    def build(self, encoder_channels: list[int]) -> UnpackingDecoder:
        """Return the decoder with random weights."""
        return UnpackingDecoder(encoder_channels, self.channels)


class UnpackingDecoder(Decoder):
    """A decoder of unpacking blocks. Unlike in `PackNet`, level 1 has no skip connection: encoders begin at stride 2.

    Args:
        encoder_channels: channels of the encoder's features, at strides 2 to 32.
        channels: channels of the decoder at strides 1 to 16.

    >>> import torch
    >>> features = [torch.rand(1, 8, 32 // s, 64 // s) for s in (1, 2, 4, 8, 16)]
    >>> [tuple(x.shape) for x in UnpackingDecoder([8, 8, 8, 8, 8])(features).logits][0]
    (1, 1, 64, 128)
    """

    def __init__(self, encoder_channels: list[int], channels: Sequence[int] = CHANNELS) -> None:
        super().__init__()
        self.channels = {2**level: width for level, width in enumerate(channels)}
        self.feature_channels = {stride: self.channels[stride] for stride in (1, 2, 4, 8)}
        widths = level_widths(encoder_channels, channels)
        self.unpack = nn.ModuleList(
            UnpackLayerConv3d(i, c, 3, FEATURES, math.gcd(GROUPS, c * 4 // FEATURES)) for i, c, _ in widths
        )
        self.join = nn.ModuleList(
            Conv2D(c + skip + (level < SCALES - 1), c, 3, math.gcd(GROUPS, c))
            for level, (_, c, skip) in enumerate(widths)
        )
        self.disparity = nn.ModuleList(LogitConv2d(c, 1, 3, padding=1) for c in channels[:SCALES])
        self.refine = Refinement()

    def start_at(self, head: InverseDepthHead, depth: float) -> None:
        """Let the coarsest level predict the depth, and the finer ones add nothing to it."""
        start_coarsest(head, depth, [layer for layer in self.disparity if isinstance(layer, nn.Conv2d)])

    def forward(self, features: list[Tensor], guide: Guide = unguided) -> Decoded:
        """Return the logits [B, 1, H / s, W / s] at strides s = 1, 2, 4 and 8, finest first, and their features."""
        x = features[-1]
        logits: list[Tensor] = []
        joined: dict[int, Tensor] = {}
        for level in reversed(range(len(self.unpack))):
            maps = [guide(self.unpack[level](x), 2**level)]
            if level > 0:
                maps.append(features[level - 1])
            if logits:
                maps.append(F.interpolate(logits[0].sigmoid(), scale_factor=2, mode="nearest").to(x.dtype))
            x = self.join[level](*maps)
            if level < SCALES:
                logits.insert(0, self.refine(self.disparity[level](x), logits[0] if logits else None))
                joined[2**level] = x
        return Decoded(logits, joined)
