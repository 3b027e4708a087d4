"""Cache on disk of maps that a fixed network computes from images, so that each is computed only once.

    CACHE/<network>-<height>x<width>/<image>.safetensors    the maps of an image

<network> is a hash of the network's layers and weights. <image> is a hash of the pixels, which may be mirrored. A
cached file therefore belongs to exactly these pixels and this network, whatever the image file is called.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from packdepth.disk import check_room, size_in_words
from packdepth.errors import InputError
from packdepth.files import make_folder, replacing
from packdepth.networks.layers.formats import without_autocast


class MapCache:
    """Cache of the maps that a fixed network computes from images, without loss.

    Args:
        folder: folder of the cache; several networks and image sizes may share it.
        network: hash of the network, see `fingerprint`.
    """

    def __init__(self, folder: Path, network: str) -> None:
        self.folder, self.network = folder, network

    def __call__(self, images: Tensor, compute: Callable[[Tensor], list[Tensor]]) -> list[Tensor]:
        """Return the maps of images, a list of [B, C_s, h_s, w_s] float32. Missing ones are computed and written.

        Args:
            images: [B, 3, H, W] RGB in [0, 1].
            compute: function `(images) -> maps`, which is called with the images that are not in the cache.
        """
        paths = [self._path(image) for image in images.cpu()]
        missing = [index for index, path in enumerate(paths) if not path.exists()]
        if missing:
            with without_autocast(images.device):
                maps = compute(images[missing].float())
            for index, parts in zip(missing, zip(*maps, strict=True), strict=True):
                content = {str(i): self.packed(x).contiguous().cpu() for i, x in enumerate(parts)}
                with replacing(paths[index]) as temporary:
                    temporary.write_bytes(save(content))  # save_file would write a temporary file of its own
        read = [_read(path) for path in paths]
        return [torch.stack(level).to(images.device, torch.float32) for level in zip(*read, strict=True)]

    def packed(self, values: Tensor) -> Tensor:
        """Return a map as it is stored: here, as it is.

        Args:
            values: the map [C, h, w].
        """
        return values

    def present_bytes(self) -> int:
        """Return the size of all cached files of the network, in bytes."""
        return sum(file.stat().st_size for file in self.folder.glob(f"{self.network}-*/[!.]*"))

    def reserve(self, images: int, size: int, mirrored: bool, option: str) -> str:
        """Make the folder, and return a description of the cache's content and maximum size.

        Args:
            images: number of different images, not counting mirrored ones.
            size: size of the maps of an image, in bytes.
            mirrored: whether mirrored images are cached, too.
            option: the option of the run file that names the folder.

        Raises InputError if the disk has too little room.
        """
        needed = images * (2 if mirrored else 1) * size
        make_folder(self.folder)
        present = self.present_bytes()
        check_room(self.folder, needed - present, f"name another folder as {option}, or leave it out")
        views = ", mirrored and not" if mirrored else ""
        there = size_in_words(present)
        return f"of {images} images{views}: up to {size_in_words(needed)} in {self.folder}, {there} are there"

    def _path(self, image: Tensor) -> Path:
        """Return the path of the cached maps of an image [3, H, W]."""
        height, width = image.shape[-2:]
        digest = hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=16).hexdigest()
        return self.folder / f"{self.network}-{height}x{width}" / f"{digest}.safetensors"


def fingerprint(network: nn.Module, facts: str) -> str:
    """Return a hash of a network's layers, weights and buffers, and of other facts that its maps depend on.

    Args:
        network: the network.
        facts: the other facts.

    >>> layer = nn.Conv2d(3, 1, 1)
    >>> fingerprint(layer, "one") == fingerprint(layer, "two")
    False
    """
    digest = hashlib.blake2b(f"{network!r} {facts}".encode(), digest_size=8)
    for name, tensor in sorted([*network.named_parameters(), *network.named_buffers()]):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path) -> list[Tensor]:
    try:
        return [tensor for _, tensor in sorted(load_file(path).items(), key=lambda item: int(item[0]))]
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove it, it is computed again") from None
