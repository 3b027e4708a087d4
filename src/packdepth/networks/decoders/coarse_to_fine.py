"""A light decoder that predicts depth at stride 32 first and refines it at each finer level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from packdepth.networks.contract import SCALES
from packdepth.networks.decoders.decoder import Decoded, Decoder, DecoderBlock, start_coarsest
from packdepth.networks.guidance import Guide, unguided
from packdepth.networks.layers.head import InverseDepthHead, LogitConv2d
from packdepth.networks.layers.upsampling import Refinement

CHANNELS = (16, 32, 64, 96, 128)  # channels of the decoder at strides 2 to 32
GROUPS = 8  # largest number of groups of the group normalizations


class CoarseToFineDecoderBlock(DecoderBlock):
    """The quickest decoder: depth at stride 32 first, which each finer level refines; nothing is computed at stride 1.

    >>> CoarseToFineDecoderBlock().build([8, 8, 8, 8, 8]).channels[16]
    96
    """

    kind: Literal["coarse_to_fine"] = "coarse_to_fine"
    channels: Annotated[tuple[PositiveInt, ...], Field(min_length=5, max_length=5)] = CHANNELS
    """Channels at strides 2, 4, 8, 16 and 32."""

    def build(self, encoder_channels: list[int]) -> CoarseToFineDecoder:
        """Return the decoder with random weights."""
        return CoarseToFineDecoder(encoder_channels, self.channels)


class CoarseToFineDecoder(Decoder):
    """A feature pyramid whose levels add corrections to the logits of the coarser level.

    A level upsamples the coarser features, adds those of the encoder, and filters the sum by a 3x3 convolution. The
    logits of stride 1 are four per pixel of stride 2, so that the finest features are never upsampled.

    Args:
        encoder_channels: channels of the encoder's features, at strides 2 to 32.
        channels: channels of the decoder at strides 2 to 32.

    >>> import torch
    >>> features = [torch.rand(1, 8, 32 // s, 64 // s) for s in (1, 2, 4, 8, 16)]
    >>> [tuple(x.shape) for x in CoarseToFineDecoder([8, 8, 8, 8, 8])(features).logits][0]
    (1, 1, 64, 128)
    """

    def __init__(self, encoder_channels: list[int], channels: Sequence[int] = CHANNELS) -> None:
        super().__init__()
        self.feature_channels = {2 ** (level + 1): width for level, width in enumerate(channels)}
        self.channels = {stride: self.feature_channels[stride] for stride in (2, 4, 8, 16)}
        self.lateral = nn.ModuleList(nn.Conv2d(e, c, 1) for e, c in zip(encoder_channels, channels, strict=True))
        self.narrow = nn.ModuleList(nn.Conv2d(i, c, 1) for i, c in zip(channels[1:], channels[:-1], strict=True))
        self.smooth = nn.ModuleList(_block(c) for c in channels)
        self.disparity = nn.ModuleList(
            [LogitConv2d(channels[0], 4, 3, padding=1), *(LogitConv2d(c, 1, 3, padding=1) for c in channels)]
        )
        self.refine = Refinement()

    def start_at(self, head: InverseDepthHead, depth: float) -> None:
        """Let the coarsest level predict the depth, and the finer ones add nothing to it."""
        start_coarsest(head, depth, [layer for layer in self.disparity if isinstance(layer, nn.Conv2d)])

    def forward(self, features: list[Tensor], guide: Guide = unguided) -> Decoded:
        """Return the logits [B, 1, H / s, W / s] at strides s = 1, 2, 4 and 8, finest first, and their features."""
        x = self.smooth[-1](self.lateral[-1](features[-1]))
        logits, smooth = [self.disparity[-1](x)], {2 ** len(self.smooth): x}
        for level in reversed(range(len(self.narrow))):
            x = guide(F.interpolate(self.narrow[level](x), scale_factor=2, mode="nearest"), 2 ** (level + 1))
            x = self.smooth[level](x + self.lateral[level](features[level]))
            logits.insert(0, self.refine(self.disparity[level + 1](x), logits[0]))
            smooth[2 ** (level + 1)] = x
        logits.insert(0, self.refine(F.pixel_shuffle(self.disparity[0](x), 2), logits[0]))
        return Decoded(logits[:SCALES], smooth)


def _block(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, padding_mode="replicate", bias=False),
        nn.GroupNorm(math.gcd(GROUPS, channels), channels),
        nn.ELU(inplace=True),
    )
