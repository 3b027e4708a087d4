"""Semantic guidance of a depth decoder: features of a fixed segmentation network filter what the decoder makes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.guidance import PixelAdaptiveConv2d
from packdepth.networks.semantics import SemanticNetwork

Guide = Callable[[Tensor, int], Tensor]
"""Decoder features [B, C, H / s, W / s] and their stride s to the same, filtered."""


def unguided(x: Tensor, stride: int) -> Tensor:
    """The features as they are."""
    return x


class Guidance(nn.Module):
    """One pixel-adaptive convolution for each guided decoder stage; the encoder is not guided.

    What guides a stage is the feature map of the segmentation network whose stride is nearest, resized to the stage
    and of length one at each pixel: whatever the scale of the features, two pixels lie between 0 and 2 apart. The
    convolutions start out as the identity, so that an untrained guided network is the unguided one.

    The segmentation network is fixed: it is no part of the state dict and of what is trained, always in evaluation
    mode, and gives no gradient.

    Args:
        semantics: the segmentation network.
        channels: of the guided decoder stages, by stride.
        kernel: of the convolutions.

    Source: Guizilini et al., ICLR 2020, section 3.2; at which strides, and how features are scaled, it does not say.
    """

    def __init__(self, semantics: SemanticNetwork, channels: Mapping[int, int], kernel: int = 3) -> None:
        super().__init__()
        self._semantics = (semantics.eval().requires_grad_(False),)  # in a tuple it is no submodule
        self.layers = nn.ModuleDict({str(s): PixelAdaptiveConv2d(c, c, kernel) for s, c in channels.items()})
        for layer in self.layers.values():
            assert isinstance(layer, PixelAdaptiveConv2d)
            nn.init.dirac_(layer.weight)

    @property
    def semantics(self) -> SemanticNetwork:
        """The segmentation network."""
        return self._semantics[0]

    def forward(self, image: Tensor) -> Guide:
        """What filters the decoder's features of images [B, 3, H, W]."""
        with torch.no_grad():
            features = self.semantics(image).features

        def guide(x: Tensor, stride: int) -> Tensor:
            if str(stride) not in self.layers:
                return x
            nearest = min(range(len(features)), key=lambda i: abs(math.log2(self.semantics.strides[i] / stride)))
            resized = F.interpolate(features[nearest], x.shape[-2:], mode="bilinear", align_corners=False)
            filtered: Tensor = self.layers[str(stride)](x, F.normalize(resized.float(), dim=1))
            return filtered

        return guide

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Take the segmentation network along to another device or type."""
        self.semantics._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]


def guidance_of(network: nn.Module) -> Guidance | None:
    """What guides a depth network, flip layer or not; None if nothing does."""
    return next((module for module in network.modules() if isinstance(module, Guidance)), None)
