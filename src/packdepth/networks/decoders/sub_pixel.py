"""The decoder of SuperDepth: sub-pixel convolutions that super-resolve disparities (Pillai et al., ICRA 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from packdepth.networks.decoders.decoder import Decoded, Decoder, DecoderBlock
from packdepth.networks.guidance import Guide, unguided
from packdepth.networks.layers.head import LogitConv2d

CHANNELS = (32, 64, 128, 256)  # channels of the decoder at strides 2 to 16


class SubPixelDecoderBlock(DecoderBlock):
    """Sub-pixel convolutions (SuperDepth, ICRA 2019): only the result is computed at full resolution.

    >>> SubPixelDecoderBlock().build([8, 8, 8, 8, 8]).channels[16]
    256
    """

    kind: Literal["sub_pixel"] = "sub_pixel"
    channels: Annotated[tuple[PositiveInt, ...], Field(min_length=4, max_length=4)] = CHANNELS
    """Channels at strides 2, 4, 8 and 16."""

    def build(self, encoder_channels: list[int]) -> SubPixelDecoder:
        """Return the decoder with random weights."""
        return SubPixelDecoder(encoder_channels, self.channels)


class SubPixelConv(nn.Module):
    """A layer that doubles the resolution: a 3x3 convolution to four times the channels, then depth-to-space.

    Its initial weights make it a convolution followed by nearest upsampling, without a checkerboard (ICNR, Aitken et
    al. 2017). Source: Shi et al. 2016.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the result.
        kind: class of the convolution.

    >>> SubPixelConv(4, 8)(torch.rand(1, 4, 6, 6)).shape
    torch.Size([1, 8, 12, 12])
    """

    def __init__(self, channels_in: int, channels_out: int, kind: type[nn.Conv2d] = nn.Conv2d) -> None:
        super().__init__()
        self.conv = kind(channels_in, 4 * channels_out, 3, padding=1, padding_mode="reflect")
        with torch.no_grad():
            for parameter in self.conv.parameters():
                parameter.copy_(parameter[::4].repeat_interleave(4, dim=0))

    def forward(self, x: Tensor) -> Tensor:
        """Return features [B, D, 2H, 2W] of features [B, C, H, W]."""
        return F.pixel_shuffle(self.conv(x), 2)


class SubPixelDecoder(Decoder):
    """A decoder of sub-pixel convolutions.

    Args:
        encoder_channels: channels of the encoder's features, at strides 2 to 32.
        channels: channels of the decoder at strides 2 to 16.

    >>> features = [torch.rand(1, 8, 64 // s, 64 // s) for s in (1, 2, 4, 8, 16)]
    >>> [tuple(x.shape) for x in SubPixelDecoder([8, 8, 8, 8, 8])(features).logits][0]
    (1, 1, 128, 128)
    """

    def __init__(self, encoder_channels: list[int], channels: Sequence[int] = CHANNELS) -> None:
        super().__init__()
        self.channels = self.feature_channels = {2 ** (level + 1): width for level, width in enumerate(channels)}
        inputs = [*channels[1:], encoder_channels[-1]]
        self.up = nn.ModuleList(SubPixelConv(i, c) for i, c in zip(inputs, channels, strict=True))
        self.join = nn.ModuleList(
            nn.Conv2d(c + skip, c, 3, padding=1, padding_mode="reflect")
            for c, skip in zip(channels, encoder_channels[:-1], strict=True)
        )
        self.disparity = nn.ModuleList(SubPixelConv(c, 1, LogitConv2d) for c in channels)

    def forward(self, features: list[Tensor], guide: Guide = unguided) -> Decoded:
        """Return the logits [B, 1, H / s, W / s] at strides s = 1, 2, 4 and 8, finest first, and their features."""
        x = features[-1]
        decoded = Decoded([], {})
        for level in reversed(range(len(self.up))):
            x = guide(F.elu(self.up[level](x)), 2 ** (level + 1))
            x = torch.cat([x, features[level]], dim=1)
            x = F.elu(self.join[level](x))
            decoded.logits.insert(0, self.disparity[level](x))
            decoded.features[2 ** (level + 1)] = x
        return decoded
