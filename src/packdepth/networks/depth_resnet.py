"""DepthResNet: ResNet encoder and the decoder of monodepth2 (Godard et al. 2019)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.guidance import Guide, unguided
from packdepth.networks.layers.head import LogitConv2d
from packdepth.networks.resnet_depth import ResNetDecoder, ResNetDepth, ResNetDepthBlock

CHANNELS = (16, 32, 64, 128, 256)  # of the decoder, at strides 1 to 16
SCALES = 4


class DepthDecoder(ResNetDecoder):
    """Convolutions and nearest upsampling."""

    channels: ClassVar[dict[int, int]] = {2**level: channels for level, channels in enumerate(CHANNELS)}

    def __init__(self, encoder_channels: list[int]) -> None:
        super().__init__(encoder_channels)
        inputs = [*CHANNELS[1:], encoder_channels[-1]]
        skips = [0, *encoder_channels[:-1]]
        self.before = nn.ModuleList(_conv(i, c) for i, c in zip(inputs, CHANNELS, strict=True))
        self.after = nn.ModuleList(_conv(c + s, c) for c, s in zip(CHANNELS, skips, strict=True))
        self.disparity = nn.ModuleList(_conv(c, 1, LogitConv2d) for c in CHANNELS[:SCALES])

    def forward(self, features: list[Tensor], guide: Guide = unguided) -> list[Tensor]:
        """Logits, finest first."""
        x = features[-1]
        logits: list[Tensor] = []
        for level in reversed(range(len(CHANNELS))):
            x = F.interpolate(F.elu(self.before[level](x)), scale_factor=2, mode="nearest")
            x = guide(x, 2**level)
            if level > 0:
                x = torch.cat([x, features[level - 1]], dim=1)
            x = F.elu(self.after[level](x))
            if level < SCALES:
                logits.insert(0, self.disparity[level](x))
        return logits


class DepthResNetBlock(ResNetDepthBlock):
    """ResNet encoder and monodepth2's decoder."""

    kind: Literal["depth_resnet"] = "depth_resnet"

    def build(self) -> DepthResNet:
        """Return the network with random weights."""
        return DepthResNet(self.layers, self.min_depth, self.max_depth, self.initial_depth)


class DepthResNet(ResNetDepth):
    """ResNet encoder and monodepth2's decoder; see `ResNetDepth`."""

    decoder_type: ClassVar[type[ResNetDecoder]] = DepthDecoder


def _conv(channels_in: int, channels_out: int, kind: type[nn.Conv2d] = nn.Conv2d) -> nn.Conv2d:
    return kind(channels_in, channels_out, 3, padding=1, padding_mode="reflect")
