"""The decoder of monodepth2: convolutions and nearest upsampling (Godard et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from packdepth.networks.contract import SCALES
from packdepth.networks.decoders.decoder import Decoded, Decoder, DecoderBlock, level_widths
from packdepth.networks.guidance import Guide, unguided
from packdepth.networks.layers.finest import FoldedFinestLevel, finest_level
from packdepth.networks.layers.folding import fold_parts
from packdepth.networks.layers.head import LogitConv2d
from packdepth.networks.layers.upsampling import UpsamplingConv2d

CHANNELS = (16, 32, 64, 128, 256)  # channels of the decoder at strides 1 to 16, as in monodepth2
NARROW = (16, 24, 32, 64, 128)  # channels for light encoders: as accurate in short trainings, and quicker


class Monodepth2DecoderBlock(DecoderBlock):
    """The decoder of monodepth2: convolutions and nearest upsampling.

    >>> Monodepth2DecoderBlock(channels=[16, 24, 32, 64, 128]).build([8, 8, 8, 8, 8]).channels[16]
    128
    """

    kind: Literal["monodepth2"] = "monodepth2"
    channels: Annotated[tuple[PositiveInt, ...], Field(min_length=5, max_length=5)] = CHANNELS
    """Channels at strides 1, 2, 4, 8 and 16."""

    def build(self, encoder_channels: list[int]) -> DepthDecoder:
        """Return the decoder with random weights."""
        return DepthDecoder(encoder_channels, self.channels)


class DepthDecoder(Decoder):
    """The decoder of monodepth2: convolutions and nearest upsampling.

    Args:
        encoder_channels: channels of the encoder's features, at strides 2 to 32.
        channels: channels of the decoder at strides 1 to 16.

    >>> import torch
    >>> features = [torch.rand(1, 8, 32 // s, 64 // s) for s in (1, 2, 4, 8, 16)]
    >>> [tuple(x.shape) for x in DepthDecoder([8, 8, 8, 8, 8])(features).logits][0]
    (1, 1, 64, 128)
    """

    def __init__(self, encoder_channels: list[int], channels: Sequence[int] = CHANNELS) -> None:
        super().__init__()
        self.channels = {2**level: width for level, width in enumerate(channels)}
        self.feature_channels = {stride: self.channels[stride] for stride in (1, 2, 4, 8)}
        widths = level_widths(encoder_channels, channels)
        self.before = nn.ModuleList(_conv(i, c) for i, c, _ in widths)
        self.after = nn.ModuleList(UpsamplingConv2d(c, skip, c) for _, c, skip in widths)
        self.disparity = nn.ModuleList(_conv(c, 1, LogitConv2d) for c in channels[:SCALES])
        self.finest: FoldedFinestLevel | None = None  # takes the place of the last two layers where nothing guides

    def folded(self) -> DepthDecoder:
        """Return the decoder for export, changed in place."""
        self.finest = self.finest or finest_level(self.after[0], self.disparity[0])
        fold_parts(self)
        return self

    def forward(self, features: list[Tensor], guide: Guide = unguided) -> Decoded:
        """Return the logits [B, 1, H / s, W / s] at strides s = 1, 2, 4 and 8, finest first, and their features."""
        x = features[-1]
        decoded = Decoded([], {})
        for level in reversed(range(len(self.before))):
            skip = features[level - 1] if level > 0 else None
            guided = None if guide is unguided else lambda maps, stride=2**level: guide(maps, stride)
            x = F.elu(self.before[level](x))
            if level == 0 and guided is None and self.finest is not None:
                logits, decoded.features[1] = self.finest(x)
                decoded.logits.insert(0, logits)
                break
            x = F.elu(self.after[level](x, skip, guided))
            if level < SCALES:
                decoded.logits.insert(0, self.disparity[level](x))
                decoded.features[2**level] = x
        return decoded


def _conv(channels_in: int, channels_out: int, kind: type[nn.Conv2d] = nn.Conv2d) -> nn.Conv2d:
    """Return a 3x3 convolution that reflects its input at the border."""
    return kind(channels_in, channels_out, 3, padding=1, padding_mode="reflect")
