"""Cache of guidance features on disk, so that the segmentation network computes them only once for each image.

    CACHE/<network>-<height>x<width>/<image>.safetensors    the guidance features of an image, in half precision

<network> is a hash of the network's layers and weights and of the choice of its feature maps. <image> is a hash of the
pixels, which may be mirrored. A cached file therefore belongs to exactly these pixels and this network, whatever the
image file is called. Each map is divided by its largest magnitude, so that it fits half precision. This does not change
the guidance, which uses only the directions of the feature vectors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from packdepth.data.dataset import ClipDataset
from packdepth.errors import InputError
from packdepth.files import check_room, make_folder, replacing, size_in_words
from packdepth.networks.contract import GuidedDepthNetwork
from packdepth.networks.guidance import NetworkGuidance
from packdepth.networks.layers.formats import without_autocast
from packdepth.networks.layers.padding import pad_to_multiple
from packdepth.training.module import DepthModule

MIN_MAGNITUDE = 1e-12  # lower bound of the divisor of a map, so that an all-zero map stays zero


class FeatureCache:
    """Cache of the feature maps that a segmentation network computes from images.

    Args:
        folder: folder of the cache; several networks and image sizes may share it.
        guidance: the guidance with the segmentation network.
    """

    def __init__(self, folder: Path, guidance: NetworkGuidance) -> None:
        self.folder, self.network = folder, fingerprint(guidance)

    def __call__(self, images: Tensor, compute: Callable[[Tensor], list[Tensor]]) -> list[Tensor]:
        """Return the feature maps of images, a list of [B, C_s, h_s, w_s]. Missing ones are computed and written.

        Args:
            images: [B, 3, H, W] RGB in [0, 1].
            compute: function `(images) -> feature maps`, which is called with the images that are not in the cache.
        """
        paths = [self._path(image) for image in images.cpu()]
        missing = [index for index, path in enumerate(paths) if not path.exists()]
        if missing:
            with without_autocast(images.device):
                maps = compute(images[missing].float())
            for index, features in zip(missing, zip(*maps, strict=True), strict=True):
                _write(paths[index], features)
        read = [_read(path) for path in paths]
        return [torch.stack(level).to(images.device, torch.float32) for level in zip(*read, strict=True)]

    def _path(self, image: Tensor) -> Path:
        """Return the path of the cached features of an image [3, H, W]."""
        height, width = image.shape[-2:]
        digest = hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=16).hexdigest()
        return self.folder / f"{self.network}-{height}x{width}" / f"{digest}.safetensors"


def fingerprint(guidance: NetworkGuidance) -> str:
    """Return a hash of a segmentation network's layers, weights and buffers, and of the choice of its feature maps.

    Args:
        guidance: the guidance with the segmentation network.
    """
    network = guidance.semantics
    digest = hashlib.blake2b(f"{network!r} {guidance.guiding}".encode(), digest_size=8)
    for name, tensor in sorted([*network.named_parameters(), *network.named_buffers()]):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


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
    views = 2 if module.run.networks.depth.flip or module.run.data.augmentation.flip > 0 else 1
    images = sum(count_images(samples, module.depth_views) for samples in parts)
    needed = images * views * sum(level.numel() * torch.half.itemsize for level in maps)
    there = sum(file.stat().st_size for file in folder.glob(f"{cache.network}-*/[!.]*"))
    make_folder(folder)
    check_room(folder, needed - there, "name another folder as networks.depth.guidance.cache, or leave it out")
    guidance.cache = cache
    mirrored = ", mirrored and not" if views == 2 else ""
    return f"of {images} images{mirrored}: up to {size_in_words(needed)} in {folder}, {size_in_words(there)} are there"


def count_images(samples: ClipDataset, views: AbstractSet[str]) -> int:
    """Return the number of different images whose depth is predicted, not counting mirrored ones.

    Args:
        samples: the data set.
        views: the views whose depth is predicted, of "target", "context" and "right".
    """
    offsets = (0, *samples.offsets) if "context" in views else (0,)
    left = {(clip, index + offset) for clip, index in samples.targets for offset in offsets}
    return len(left) + (len(samples) if "right" in views else 0)


def _write(path: Path, features: tuple[Tensor, ...]) -> None:
    half = {
        str(i): (x / x.abs().amax().clamp(min=MIN_MAGNITUDE)).half().contiguous().cpu() for i, x in enumerate(features)
    }
    with replacing(path) as temporary:
        save_file(half, temporary)


def _read(path: Path) -> list[Tensor]:
    try:
        return [tensor for _, tensor in sorted(load_file(path).items(), key=lambda item: int(item[0]))]
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove it, it is computed again") from None
