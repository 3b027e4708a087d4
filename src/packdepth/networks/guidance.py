"""Semantic guidance of a depth decoder: pixel-adaptive convolutions filter its features, guided by semantics."""

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

SKY = "sky"  # name of the class of the sky, in lower case: that of Cityscapes, CamVid, ADE20K and most others

Guide = Callable[[Tensor, int], Tensor]
"""Signature: `(features [B, C, H / s, W / s], stride s) -> filtered features` of a decoder stage."""

Features = Callable[[int, Sequence[int]], Tensor]
"""Signature: `(stride, (h, w)) -> guidance features [B, G, h, w]` of a decoder stage."""

Cache = Callable[[Tensor, Callable[[Tensor], list[Tensor]]], list[Tensor]]
"""Signature: `(images, compute) -> features`; `compute` is called with the images that the cache lacks."""


def unguided(x: Tensor, stride: int) -> Tensor:
    """Return the features unchanged.

    Args:
        x: [B, C, H, W].
        stride: stride of the features.

    >>> unguided(torch.ones(1), stride=2)
    tensor([1.])
    """
    return x


class Guidance(nn.Module):
    """Pixel-adaptive convolutions, one for each guided decoder stage; the encoder is not guided.

    The guidance features of each pixel are normalized to length one. So the distance of two pixels lies between 0 and
    2, whatever the scale of the features. The convolutions start as the identity, so that an untrained guided network
    equals the unguided one. A subclass computes the guidance features.

    Source: Guizilini et al., ICLR 2020, section 3.2. The paper specifies neither the strides nor a normalization.

    Args:
        channels: number of channels of each guided decoder stage, by stride.
        kernel: side of the convolutions, in pixels of each stage.
    """

    def __init__(self, channels: Mapping[int, int], kernel: int = 3) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({str(s): PixelAdaptiveConv2d(c, c, kernel) for s, c in channels.items()})
        for layer in self.layers.values():
            assert isinstance(layer, PixelAdaptiveConv2d)
            nn.init.dirac_(layer.weight)

    def forward(self, image: Tensor, guide_input: Tensor | None = None) -> Guide:
        """Return the function `(features, stride) -> filtered features` for the decoder.

        Args:
            image: padded images [B, 3, H', W'], the input of the encoder.
            guide_input: images without color jitter or label maps, [B, C, H, W], not padded, from which the guidance
                features are computed; None for `image`.
        """
        padded = image if guide_input is None else padded_to(guide_input.to(image.dtype), *image.shape[-2:])
        features = self.features(padded)

        def guide(x: Tensor, stride: int) -> Tensor:
            if str(stride) not in self.layers:
                return x
            filtered: Tensor = self.layers[str(stride)](x, F.normalize(features(stride, x.shape[-2:]), dim=1))
            return filtered

        return guide

    def features(self, guide_input: Tensor) -> Features:
        """Return the function `(stride, size) -> guidance features` for the guided stages.

        Args:
            guide_input: images or label maps, padded, [B, C, H', W'].
        """
        raise NotImplementedError

    def describe(self) -> str:
        """Return in a few words which features guide which stages."""
        raise NotImplementedError

    @property
    def strides(self) -> str:
        """The strides of the guided stages, in words."""
        return f"at strides {', '.join(self.layers)}"


class NetworkGuidance(Guidance):
    """Guidance by a segmentation network: its feature map of the nearest stride, resized to the stage, guides a stage.

    The segmentation network is fixed: it is not in the state dict, is not trained, is always in evaluation mode and is
    computed without gradient.

    Args:
        semantics: the segmentation network.
        channels: number of channels of each guided decoder stage, by stride.
        kernel: side of the convolutions, in pixels of each stage.

    Attributes:
        guiding: indices of the segmentation network's feature maps that guide at least one stage.
        cache: function that returns feature maps from a cache and computes only those that are missing there. Training
            may set it; with None, feature maps are always computed.
    """

    def __init__(self, semantics: SemanticNetwork, channels: Mapping[int, int], kernel: int = 3) -> None:
        super().__init__(channels, kernel)
        self._semantics = (semantics.eval().requires_grad_(False),)  # a tuple, so that it is no submodule
        self.guiding = sorted({self._nearest(stride) for stride in channels})
        self.cache: Cache | None = None

    @property
    def semantics(self) -> SemanticNetwork:
        """The segmentation network."""
        return self._semantics[0]

    def features(self, guide_input: Tensor) -> Features:
        """Return the function that gives the guidance features of each stage."""
        maps = self.computed(guide_input) if self.cache is None else self.cache(guide_input, self.computed)

        def resized(stride: int, size: Sequence[int]) -> Tensor:
            nearest = maps[self.guiding.index(self._nearest(stride))]
            return F.interpolate(nearest, tuple(size), mode="bilinear", align_corners=False).float()

        return resized

    def describe(self) -> str:
        """Return in a few words which features guide which stages."""
        return f"a segmentation network of {len(self.semantics.classes)} classes, {self.strides}"

    @torch.no_grad()
    def computed(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps that guide at least one stage, in the order of `guiding`: [B, C_s, h_s, w_s] each.

        Args:
            images: [B, 3, H', W'], RGB in [0, 1].
        """
        features = self.semantics(images).features
        return [features[index] for index in self.guiding]

    @property
    def sky_class(self) -> int:
        """The id of the class of the segmentation network that is named sky. Raises InputError without one."""
        names = [name.lower() for name in self.semantics.classes]
        if SKY not in names:
            raise InputError(
                f"networks.depth.guidance: no class of the segmentation network is named {SKY} (its classes are "
                f"{', '.join(self.semantics.classes)}); name another network, or another source of the sky"
            )
        return names.index(SKY)

    @torch.no_grad()
    def sky(self, images: Tensor) -> Tensor:
        """Return the pixels that the segmentation network takes for sky, [B, 1, H, W] bool.

        Args:
            images: [B, 3, H, W], RGB in [0, 1].

        Raises InputError if the network has no such class.
        """
        return (self.semantics.labels(images) == self.sky_class)[:, None]

    def _nearest(self, stride: int) -> int:
        """Return the index of the feature map that guides the stage of a stride."""
        strides = self.semantics.strides
        return min(range(len(strides)), key=lambda index: abs(math.log2(strides[index] / stride)))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Convert the module to another device or dtype, and the segmentation network with it."""
        self.semantics._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]


class LabelGuidance(Guidance):
    """Guidance by label maps. The guidance features of a stage's pixel embed the share that each class has in it.

    The learned linear embedding starts as the identity: the distance of pixels of different classes is then sqrt(2).
    The features of unlabeled pixels are zero, at a distance of 1 from every class.

    Args:
        classes: number of classes.
        channels: number of channels of each guided decoder stage, by stride.
        kernel: side of the convolutions, in pixels of each stage.

    >>> guidance = LabelGuidance(classes=3, channels={2: 4})
    >>> guide = guidance(torch.rand(1, 3, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
    >>> guide(torch.rand(1, 4, 4, 4), 2).shape
    torch.Size([1, 4, 4, 4])
    """

    def __init__(self, classes: int, channels: Mapping[int, int], kernel: int = 3) -> None:
        super().__init__(channels, kernel)
        self.classes = classes
        self.embedding = nn.Conv2d(classes, classes, 1, bias=False)
        nn.init.dirac_(self.embedding.weight)

    def forward(self, image: Tensor, guide_input: Tensor | None = None) -> Guide:
        """Return the function that filters the decoder's features.

        Args:
            image: padded images [B, 3, H', W'], the input of the encoder.
            guide_input: class ids [B, 1, H, W], not padded.

        Raises InputError without class ids.
        """
        if guide_input is None:
            raise InputError("label maps guide this depth network; give the label map of each image with it")
        return super().forward(image, guide_input)

    def describe(self) -> str:
        """Return in a few words which features guide which stages."""
        return f"label maps of {self.classes} classes on disk, {self.strides}"

    def features(self, guide_input: Tensor) -> Features:
        """Return the function `(stride, size) -> guidance features`. Ids from `classes` on count as unlabeled."""
        ids = torch.arange(self.classes, dtype=guide_input.dtype, device=guide_input.device)
        member = (guide_input == ids[:, None, None]).to(self.embedding.weight.dtype)  # [B, K, H', W']

        def embedded(stride: int, size: Sequence[int]) -> Tensor:
            shares = F.interpolate(member, tuple(size), mode="area")
            features: Tensor = self.embedding(shares).float()
            return features

        return embedded


def guidance_of(network: nn.Module) -> Guidance | None:
    """Return the guidance of a depth network, with or without a flip layer; None if it has none.

    Args:
        network: the depth network.

    >>> guidance_of(nn.Identity()) is None
    True
    """
    return next((module for module in network.modules() if isinstance(module, Guidance)), None)
