"""Cache of guidance features on disk, so that the segmentation network computes them only once for each image.

The features are a `MapCache` in half precision. Each map is divided by its largest magnitude, so that it fits half
precision. This does not change the guidance, which uses only the directions of the feature vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import torch
from torch import Tensor

from packdepth.data.dataset import ClipDataset
from packdepth.networks.contract import GuidedDepthNetwork
from packdepth.networks.guidance import NetworkGuidance
from packdepth.networks.layers.padding import pad_to_multiple
from packdepth.training.map_cache import MapCache, fingerprint
from packdepth.training.module import DepthModule

MIN_MAGNITUDE = 1e-12  # lower bound of the divisor of a map, so that an all-zero map stays zero


class FeatureCache(MapCache):
    """Cache of the feature maps that a segmentation network computes from images.

    Args:
        folder: folder of the cache; several networks and image sizes may share it.
        guidance: the guidance with the segmentation network. The hash of the network also covers the choice of its
            feature maps.
    """

    def __init__(self, folder: Path, guidance: NetworkGuidance) -> None:
        super().__init__(folder, fingerprint(guidance.semantics, f"{guidance.guiding}"))

    def packed(self, values: Tensor) -> Tensor:
        """Return a feature map over its largest magnitude, in half precision.

        Args:
            values: the feature map [C, h, w].
        """
        return (values / values.abs().amax().clamp(min=MIN_MAGNITUDE)).half()


def cache_features(module: DepthModule, folder: Path, parts: Sequence[ClipDataset]) -> str:
    """Attach a cache to the guidance of a depth network, and return a description of its content and maximum size.

    Args:
        module: the training module, whose depth network is guided by a segmentation network.
        folder: folder of the cache.
        parts: the samples for training, and those for validation.

    Raises InputError if the disk does not have enough room.
    """
    network = next(part for part in module.depth.modules() if isinstance(part, GuidedDepthNetwork))
    guidance = network.guidance
    assert isinstance(guidance, NetworkGuidance)
    cache = FeatureCache(folder, guidance)
    maps = guidance.computed(pad_to_multiple(torch.zeros(1, 3, *module.run.image_size), network.stride))
    mirrored = module.run.networks.depth.flip or module.run.data.augmentation.flip > 0
    images = sum(count_images(samples, module.depth_views) for samples in parts)
    size = sum(level.numel() * torch.half.itemsize for level in maps)
    description = cache.reserve(images, size, mirrored, "networks.depth.guidance.cache")
    guidance.cache = cache
    return description


def count_images(samples: ClipDataset, views: AbstractSet[str]) -> int:
    """Return the number of different images whose depth is predicted, not counting mirrored ones.

    Args:
        samples: the data set.
        views: the views whose depth is predicted, of "target", "context" and "right".
    """
    offsets = (0, *samples.offsets) if "context" in views else (0,)
    left = {(clip, index + offset) for clip, index in samples.targets for offset in offsets}
    return len(left) + (len(samples) if "right" in views else 0)
