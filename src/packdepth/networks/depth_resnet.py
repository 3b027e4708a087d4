"""DepthResNet: ResNet encoder and the decoder of monodepth2 (Godard et al. 2019)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.guidance import Guide, unguided
from packdepth.networks.layers.head import LogitConv2d
from packdepth.networks.resnet_depth import Decoded, ResNetDecoder, ResNetDepth, ResNetDepthBlock

CHANNELS = (16, 32, 64, 128, 256)  # channels of the decoder at strides 1 to 16, as in monodepth2
SCALES = 4  # number of inverse depths, at strides 1, 2, 4 and 8


class DepthDecoder(ResNetDecoder):
    """The decoder of monodepth2: convolutions and nearest upsampling.

    Args:
        encoder_channels: channels of the encoder's features, at strides 2 to 32.

    >>> features = [torch.rand(1, 8, 32 // s, 64 // s) for s in (1, 2, 4, 8, 16)]
    >>> [tuple(x.shape) for x in DepthDecoder([8, 8, 8, 8, 8])(features).logits][0]
    (1, 1, 64, 128)
    """

    channels: ClassVar[dict[int, int]] = {2**level: channels for level, channels in enumerate(CHANNELS)}
    feature_channels: ClassVar[dict[int, int]] = {2**level: CHANNELS[level] for level in range(SCALES)}

    def __init__(self, encoder_channels: list[int]) -> None:
        super().__init__(encoder_channels)
        inputs = [*CHANNELS[1:], encoder_channels[-1]]
        skips = [0, *encoder_channels[:-1]]
        self.before = nn.ModuleList(_conv(i, c) for i, c in zip(inputs, CHANNELS, strict=True))
        self.after = nn.ModuleList(_conv(c + s, c) for c, s in zip(CHANNELS, skips, strict=True))
        self.disparity = nn.ModuleList(_conv(c, 1, LogitConv2d) for c in CHANNELS[:SCALES])

    def forward(self, features: list[Tensor], guide: Guide = unguided) -> Decoded:
        """Return the logits [B, 1, H / s, W / s] at strides s = 1, 2, 4 and 8, finest first, and their features."""
        x = features[-1]
        decoded = Decoded([], {})
        for level in reversed(range(len(CHANNELS))):
            x = F.interpolate(F.elu(self.before[level](x)), scale_factor=2, mode="nearest")
            x = guide(x, 2**level)
            if level > 0:
                x = torch.cat([x, features[level - 1]], dim=1)
            x = F.elu(self.after[level](x))
            if level < SCALES:
                decoded.logits.insert(0, self.disparity[level](x))
                decoded.features[2**level] = x
        return decoded


class DepthResNetBlock(ResNetDepthBlock):
    """ResNet encoder and monodepth2's decoder.

    >>> type(DepthResNetBlock(layers=18).build()).__name__
    'DepthResNet'
    """

    kind: Literal["depth_resnet"] = "depth_resnet"

    def build(self) -> DepthResNet:
        """Return the network with random weights."""
        return DepthResNet(self.layers, self.min_depth, self.max_depth, self.initial_depth)


class DepthResNet(ResNetDepth):
    """A depth network of ResNet encoder and monodepth2's decoder; `ResNetDepth` documents its arguments.

    >>> [tuple(x.shape) for x in DepthResNet().eval()(torch.rand(1, 3, 64, 96))]
    [(1, 1, 64, 96), (1, 1, 32, 48), (1, 1, 16, 24), (1, 1, 8, 12)]
    """

    decoder_type: ClassVar[type[ResNetDecoder]] = DepthDecoder


def _conv(channels_in: int, channels_out: int, kind: type[nn.Conv2d] = nn.Conv2d) -> nn.Conv2d:
    """Return a 3x3 convolution that reflects its input at the border."""
    return kind(channels_in, channels_out, 3, padding=1, padding_mode="reflect")
