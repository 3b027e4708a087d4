"""Semantic guidance of a depth decoder: features of a segmentation network, or label maps, filter what it makes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.errors import InputError
from packdepth.networks.layers.padding import padded_to
from packdepth.networks.layers.pixel_adaptive import PixelAdaptiveConv2d
from packdepth.networks.semantic_network import SemanticNetwork

Guide = Callable[[Tensor, int], Tensor]
"""Signature: `(features [B, C, H / s, W / s], stride s) -> filtered features` of a decoder stage."""

Features = Callable[[int, Sequence[int]], Tensor]
"""Signature: `(stride, (h, w)) -> guidance features [B, G, h, w]` of a decoder stage."""

Cache = Callable[[Tensor, Callable[[Tensor], list[Tensor]]], list[Tensor]]
"""Signature: `(images, compute) -> features`; `compute` is called with the images that the cache lacks."""


def unguided(x: Tensor, stride: int) -> Tensor:
    """Return the features as they are."""
    return x


class Guidance(nn.Module):
    """One pixel-adaptive convolution for each guided decoder stage; the encoder is not guided.

    The vector that guides a pixel has length one: whatever the scale of the features, two pixels lie between 0 and 2
    apart. The convolutions start out as the identity, so that an untrained guided network is the unguided one. A
    subclass says what guides.

    Args:
        channels: of the guided decoder stages, by stride.
        kernel: of the convolutions.

    Source: Guizilini et al., ICLR 2020, section 3.2; at which strides, and how features are scaled, it does not say.
    """

    def __init__(self, channels: Mapping[int, int], kernel: int = 3) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({str(s): PixelAdaptiveConv2d(c, c, kernel) for s, c in channels.items()})
        for layer in self.layers.values():
            assert isinstance(layer, PixelAdaptiveConv2d)
            nn.init.dirac_(layer.weight)

    def forward(self, image: Tensor, guide_input: Tensor | None = None) -> Guide:
        """Return the function that filters the decoder's features.

        Args:
            image: [B, 3, H', W'], as the encoder sees it: padded.
            guide_input: [B, C, H, W], what guidance sees in place of the image, not padded: label maps, or the image
                without color jitter.
        """
        seen = image if guide_input is None else padded_to(guide_input.to(image.dtype), *image.shape[-2:])
        features = self.features(seen)

        def guide(x: Tensor, stride: int) -> Tensor:
            if str(stride) not in self.layers:
                return x
            filtered: Tensor = self.layers[str(stride)](x, F.normalize(features(stride, x.shape[-2:]), dim=1))
            return filtered

        return guide

    def features(self, guide_input: Tensor) -> Features:
        """Return the guidance features of images or label maps [B, C, H', W']."""
        raise NotImplementedError

    def describe(self) -> str:
        """Return in a few words what guides which stages."""
        raise NotImplementedError

    @property
    def strides(self) -> str:
        """The strides of the guided stages, in words."""
        return f"at strides {', '.join(self.layers)}"


class NetworkGuidance(Guidance):
    """Guidance by a segmentation network: by that of its feature maps whose stride is nearest, resized to the stage.

    The network is fixed: it is no part of the state dict and of what is trained, always in evaluation mode, and gives
    no gradient.

    Args:
        semantics: the segmentation network.
        channels, kernel: as of `Guidance`.

    Attributes:
        guiding: the indices of those of its feature maps that guide a stage.
        cache: looks the maps up before it computes them, if training wants that; None: always compute them.
    """

    def __init__(self, semantics: SemanticNetwork, channels: Mapping[int, int], kernel: int = 3) -> None:
        super().__init__(channels, kernel)
        self._semantics = (semantics.eval().requires_grad_(False),)  # in a tuple it is no submodule
        self.guiding = sorted({self._nearest(stride) for stride in channels})
        self.cache: Cache | None = None

    @property
    def semantics(self) -> SemanticNetwork:
        """The segmentation network."""
        return self._semantics[0]

    def features(self, guide_input: Tensor) -> Features:
        """Return the guidance features of images [B, 3, H', W']."""
        maps = self.computed(guide_input) if self.cache is None else self.cache(guide_input, self.computed)

        def resized(stride: int, size: Sequence[int]) -> Tensor:
            nearest = maps[self.guiding.index(self._nearest(stride))]
            return F.interpolate(nearest, tuple(size), mode="bilinear", align_corners=False).float()

        return resized

    def describe(self) -> str:
        """Return in a few words what guides which stages."""
        return f"a segmentation network of {len(self.semantics.classes)} classes, {self.strides}"

    @torch.no_grad()
    def computed(self, images: Tensor) -> list[Tensor]:
        """Return those feature maps of images [B, 3, H', W'] that guide a stage."""
        features = self.semantics(images).features
        return [features[index] for index in self.guiding]

    def _nearest(self, stride: int) -> int:
        """The index of the feature map that guides a stage."""
        strides = self.semantics.strides
        return min(range(len(strides)), key=lambda index: abs(math.log2(strides[index] / stride)))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Take the segmentation network along to another device or type."""
        self.semantics._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]


class LabelGuidance(Guidance):
    """Guidance by label maps: by the share of each class in each pixel of a stage, in a learned embedding.

    The embedding starts out as the identity: pixels of different classes lie sqrt(2) apart. Unlabeled pixels have the
    embedding zero, which is one apart from any class.

    Args:
        classes: how many there are.
        channels, kernel: as of `Guidance`.
    """

    def __init__(self, classes: int, channels: Mapping[int, int], kernel: int = 3) -> None:
        super().__init__(channels, kernel)
        self.classes = classes
        self.embedding = nn.Conv2d(classes, classes, 1, bias=False)
        nn.init.dirac_(self.embedding.weight)

    def forward(self, image: Tensor, guide_input: Tensor | None = None) -> Guide:
        """Return the function that filters the decoder's features.

        Args:
            image: [B, 3, H', W'], as the encoder sees it: padded.
            guide_input: class ids [B, 1, H, W], not padded.

        Raises InputError without class ids.
        """
        if guide_input is None:
            raise InputError("label maps guide this depth network; give the label map of each image with it")
        return super().forward(image, guide_input)

    def describe(self) -> str:
        """Return in a few words what guides which stages."""
        return f"label maps of {self.classes} classes on disk, {self.strides}"

    def features(self, guide_input: Tensor) -> Features:
        """Return the guidance features of class ids [B, 1, H', W']; ids beyond the classes are unlabeled."""
        ids = torch.arange(self.classes, dtype=guide_input.dtype, device=guide_input.device)
        member = (guide_input == ids[:, None, None]).to(self.embedding.weight.dtype)  # [B, K, H', W']

        def embedded(stride: int, size: Sequence[int]) -> Tensor:
            shares = F.interpolate(member, tuple(size), mode="area")
            features: Tensor = self.embedding(shares).float()
            return features

        return embedded


def guidance_of(network: nn.Module) -> Guidance | None:
    """Return what guides a depth network, with or without a flip layer; None if nothing does."""
    return next((module for module in network.modules() if isinstance(module, Guidance)), None)
