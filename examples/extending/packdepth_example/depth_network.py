"""A small U-Net that predicts inverse depth."""

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from packdepth.networks import DepthNetworkBlock, InverseDepthHead

SCALES = 4  # inverse depths at strides 1, 2, 4 and 8


class SmallUNetBlock(DepthNetworkBlock):
    """Options of the small U-Net in a run file."""

    kind: Literal["small_unet"] = "small_unet"
    width: PositiveInt = 16
    """Channels at full resolution; they double with each stride."""
    min_depth: PositiveFloat = 0.5
    """The smallest depth that the network can predict, in metres."""

    def build(self) -> nn.Module:
        """Return the network with random weights."""
        return SmallUNet(self.width, self.min_depth)


class SmallUNet(nn.Module):
    """Image [B, 3, H, W] to inverse depths at strides 1, 2, 4 and 8 in 1/metres, finest first, for any H and W."""

    def __init__(self, width: int, min_depth: float) -> None:
        super().__init__()
        channels = [width * 2**s for s in range(SCALES)]
        pairs = list(pairwise(channels))
        self.first = layer(3, width)
        self.down = nn.ModuleList([layer(fine, coarse, stride=2) for fine, coarse in pairs])
        self.up = nn.ModuleList([layer(coarse + fine, fine) for fine, coarse in pairs])
        self.logits = nn.ModuleList([nn.Conv2d(c, 1, 3, padding=1) for c in channels])
        self.head = InverseDepthHead(min_depth, max_depth=100.0)
        for conv in self.logits:
            self.head.start_at(12.0, conv)  # metres: an untrained network predicts the usual depth of a street

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the inverse depths [B, 1, ceil(H / s), ceil(W / s)] of an image in [0, 1]."""
        features = [self.first(image)]
        for down in self.down:
            features.append(down(features[-1]))
        for s in reversed(range(SCALES - 1)):  # each scale learns from the next coarser one
            upsampled = F.interpolate(features[s + 1], size=features[s].shape[-2:], mode="nearest")
            features[s] = self.up[s](torch.cat([upsampled, features[s]], dim=1))
        return [self.head(conv(x)) for conv, x in zip(self.logits, features, strict=True)]


def layer(channels_in: int, channels: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution with normalization and activation; stride 2 rounds odd sizes up."""
    conv = nn.Conv2d(channels_in, channels, 3, stride, padding=1)
    return nn.Sequential(conv, nn.GroupNorm(1, channels), nn.ELU())
