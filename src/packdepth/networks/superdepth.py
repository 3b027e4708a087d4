"""SuperDepth: ResNet encoder and a sub-pixel decoder that super-resolves disparities (Pillai et al., ICRA 2019)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.guidance import Guide, unguided
from packdepth.networks.layers.head import LogitConv2d
from packdepth.networks.resnet_depth import Decoded, ResNetDecoder, ResNetDepth, ResNetDepthBlock

CHANNELS = (32, 64, 128, 256)  # channels of the decoder at strides 2 to 16


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


class SubPixelDecoder(ResNetDecoder):
    """A decoder of sub-pixel convolutions.

    Args:
        encoder_channels: channels of the encoder's features, at strides 2 to 32.

    >>> features = [torch.rand(1, 8, 64 // s, 64 // s) for s in (1, 2, 4, 8, 16)]
    >>> [tuple(x.shape) for x in SubPixelDecoder([8, 8, 8, 8, 8])(features).logits][0]
    (1, 1, 128, 128)
    """

    channels: ClassVar[dict[int, int]] = {2 ** (level + 1): channels for level, channels in enumerate(CHANNELS)}
    feature_channels: ClassVar[dict[int, int]] = channels

    def __init__(self, encoder_channels: list[int]) -> None:
        super().__init__(encoder_channels)
        inputs = [*CHANNELS[1:], encoder_channels[-1]]
        self.up = nn.ModuleList(SubPixelConv(i, c) for i, c in zip(inputs, CHANNELS, strict=True))
        self.join = nn.ModuleList(
            nn.Conv2d(c + skip, c, 3, padding=1, padding_mode="reflect")
            for c, skip in zip(CHANNELS, encoder_channels[:-1], strict=True)
        )
        self.disparity = nn.ModuleList(SubPixelConv(c, 1, LogitConv2d) for c in CHANNELS)

    def forward(self, features: list[Tensor], guide: Guide = unguided) -> Decoded:
        """Return the logits [B, 1, H / s, W / s] at strides s = 1, 2, 4 and 8, finest first, and their features."""
        x = features[-1]
        decoded = Decoded([], {})
        for level in reversed(range(len(CHANNELS))):
            x = guide(F.elu(self.up[level](x)), 2 ** (level + 1))
            x = torch.cat([x, features[level]], dim=1)
            x = F.elu(self.join[level](x))
            decoded.logits.insert(0, self.disparity[level](x))
            decoded.features[2 ** (level + 1)] = x
        return decoded


class SuperDepthBlock(ResNetDepthBlock):
    """ResNet encoder and a decoder of sub-pixel convolutions (SuperDepth, ICRA 2019).

    >>> type(SuperDepthBlock(layers=18).build()).__name__
    'SuperDepth'
    """

    kind: Literal["superdepth"] = "superdepth"

    def build(self) -> SuperDepth:
        """Return the network with random weights."""
        return SuperDepth(self.layers, self.min_depth, self.max_depth, self.initial_depth)


class SuperDepth(ResNetDepth):
    """A depth network of ResNet encoder and sub-pixel decoder; `ResNetDepth` documents its arguments.

    Every step up is a sub-pixel convolution, and the inverse depth of each stride is super-resolved from features at
    twice that stride: only the result is computed at full resolution.

    >>> [tuple(x.shape) for x in SuperDepth().eval()(torch.rand(1, 3, 64, 96))]
    [(1, 1, 64, 96), (1, 1, 32, 48), (1, 1, 16, 24), (1, 1, 8, 12)]
    """

    decoder_type: ClassVar[type[ResNetDecoder]] = SubPixelDecoder
