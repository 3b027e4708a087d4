"""Segmentation networks: what they give, and our own, a feature pyramid on the ResNet encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from packdepth.checkpoint import WEIGHTS
from packdepth.errors import InputError
from packdepth.networks.padding import pad_to_multiple
from packdepth.networks.resnet import STRIDE, ResNetEncoder
from packdepth.semantic_run import SemanticMeta, SemanticRun, read_semantic, write_semantic

GROUPS = 8  # of the group normalizations


@dataclass(frozen=True)
class Semantics:
    """What a segmentation network makes of images [B, 3, H, W]."""

    features: tuple[Tensor, ...]  # [B, C_s, ~H / s, ~W / s] at the strides that the network names, finest first
    logits: Tensor  # [B, K, h, w] of its K classes; they cover the image, at any resolution


class SemanticNetwork(nn.Module):
    """A segmentation network: images [B, 3, H, W], RGB in [0, 1], to `Semantics`.

    Attributes:
        classes: the names of its classes, by id.
        strides: of its features, finest first.
        channels: of its features.
    """

    classes: tuple[str, ...]
    strides: tuple[int, ...]
    channels: tuple[int, ...]

    def forward(self, image: Tensor) -> Semantics:
        """Features and logits."""
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        """Write the network into an existing folder, from which it can be loaded again."""
        raise NotImplementedError

    def labels(self, image: Tensor) -> Tensor:
        """The likeliest class of each pixel, [B, H, W] int64."""
        logits = self(image).logits
        return F.interpolate(logits, image.shape[-2:], mode="bilinear", align_corners=False).argmax(1)


class FPN(SemanticNetwork):
    """A feature pyramid on a ResNet encoder; its levels at strides 4 to 32, added up at stride 4, give the classes.

    Any H and W: what is no multiple of 32 is padded inside and cropped from the logits, not from the features.

    Args:
        classes: their names.
        layers: of the encoder: 18, 34 or 50.
        width: channels of the pyramid, a multiple of 8.

    Attributes:
        description: of the checkpoint that it comes from; None of a new network.

    Source: Lin et al., CVPR 2017 (the pyramid); Kirillov et al., CVPR 2019, section 3.2 (its use for classes).
    """

    strides = (4, 8, 16, 32)

    def __init__(self, classes: Sequence[str], layers: int = 18, width: int = 64) -> None:
        super().__init__()
        self.classes, self.channels = tuple(classes), (width,) * len(self.strides)
        self.description: tuple[SemanticRun, SemanticMeta] | None = None
        self.encoder = ResNetEncoder(layers)
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in self.encoder.channels[1:])
        self.smooth = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(GROUPS, width), nn.ReLU())
            for _ in self.strides
        )
        self.classify = nn.Conv2d(width, len(self.classes), 1)

    def forward(self, image: Tensor) -> Semantics:
        """Features at strides 4, 8, 16 and 32, and logits at stride 4."""
        height, width = image.shape[-2:]
        encoded = self.encoder(pad_to_multiple(image, STRIDE))[1:]
        x: Tensor | None = None
        features: list[Tensor] = []
        for lateral, smooth, level in reversed(list(zip(self.lateral, self.smooth, encoded, strict=True))):
            y = lateral(level)
            x = y if x is None else y + F.interpolate(x, scale_factor=2, mode="nearest")
            features.insert(0, smooth(x))
        fine = features[0].shape[-2:]
        merged = sum(F.interpolate(level, fine, mode="bilinear", align_corners=False) for level in features)
        logits = self.classify(merged)[..., : -(-height // 4), : -(-width // 4)]
        return Semantics(tuple(features), logits)

    def save(self, folder: Path) -> None:
        """Write a network that was loaded, as the checkpoint that it comes from."""
        assert self.description is not None
        write_semantic(folder, *self.description, self.state_dict())


def load_fpn(folder: Path) -> FPN:
    """The network of a checkpoint that `packdepth semantics train` wrote. Raises InputError if it is none."""
    run, meta = read_semantic(folder)
    network = FPN(meta.classes, run.network.layers, run.network.width)
    network.description = run, meta
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(
            f"{folder / WEIGHTS}: cannot be used ({' '.join(str(error).split())[:200]}); train again or copy it again"
        ) from None
    return network
