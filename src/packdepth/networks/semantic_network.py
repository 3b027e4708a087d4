"""The contract of a segmentation network, on which the guidance of a depth network relies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Semantics:
    """The output of a segmentation network for images [B, 3, H, W]."""

    features: tuple[Tensor, ...]  # [B, C_s, ~H / s, ~W / s] at each stride s of the network, finest first
    logits: Tensor  # [B, K, h, w], scores of the K classes; they cover the whole image, at any resolution


class SemanticNetwork(nn.Module):
    """A segmentation network: it maps images [B, 3, H, W], RGB in [0, 1], to `Semantics`.

    A subclass sets the attributes and implements `forward` and `save`.

    Attributes:
        classes: names of the classes, by class id.
        strides: strides of the feature maps, finest first.
        channels: number of channels of each feature map, in the order of `strides`.

    >>> import torch
    >>> class Brightness(SemanticNetwork):
    ...     classes, strides, channels = ("dark", "bright"), (1,), (3,)
    ...     def forward(self, image):
    ...         bright = image.mean(1, keepdim=True)
    ...         return Semantics(features=(image,), logits=torch.cat([1 - bright, bright], dim=1))
    >>> Brightness().labels(torch.ones(1, 3, 2, 2)).tolist()
    [[[1, 1], [1, 1]]]
    """

    classes: tuple[str, ...]
    strides: tuple[int, ...]
    channels: tuple[int, ...]

    def forward(self, image: Tensor) -> Semantics:
        """Return the feature maps and the logits of images.

        Args:
            image: [B, 3, H, W], RGB in [0, 1]; H and W may have any value.
        """
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        """Write the network, so that its block can build it again from this copy.

        Args:
            folder: an existing, empty folder.
        """
        raise NotImplementedError

    def labels(self, image: Tensor) -> Tensor:
        """Return the class with the highest score at each pixel, [B, H, W] int64 class ids.

        Args:
            image: [B, 3, H, W], RGB in [0, 1].
        """
        logits = self(image).logits
        return F.interpolate(logits, image.shape[-2:], mode="bilinear", align_corners=False).argmax(1)
