"""packdepth's own segmentation network: a feature pyramid on the ResNet encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.blocks import NetworkSemantics
from packdepth.networks.encoders.encoder import STRIDE
from packdepth.networks.encoders.resnet import ResNetEncoder
from packdepth.networks.layers.padding import pad_to_multiple
from packdepth.networks.semantic_network import SemanticNetwork, Semantics
from packdepth.segmentation.checkpoint import SemanticMeta, load_weights, read_description, write_checkpoint
from packdepth.segmentation.run_file import SemanticRun

GROUPS = 8  # number of groups of each group normalization; the width is a multiple of it


class FpnSemantics(NetworkSemantics):
    """A network that `packdepth semantics train` wrote. Checkpoints of the depth network hold a copy of it.

    >>> FpnSemantics(checkpoint="runs/segmentation").held
    True
    """

    kind: Literal["fpn"] = "fpn"
    checkpoint: Path
    """The folder of its checkpoint, or its address."""

    @property
    def held(self) -> bool:
        """Always true: checkpoints of the depth network hold a copy."""
        return True

    @property
    def checkpoint_name(self) -> str:
        """The folder or the address of the network."""
        return self.name

    @property
    def name(self) -> str:
        """The folder or the address of the network."""
        return str(self.checkpoint)

    def build(self, copy: Path | None = None) -> SemanticNetwork:
        """Return the network. Raises InputError if it cannot be loaded.

        Args:
            copy: a copy of the checkpoint to load in its place.
        """
        return load_fpn(copy or self.checkpoint)


class FPN(SemanticNetwork):
    """A feature pyramid network, which computes the classes from the sum of its levels at strides 4 to 32.

    Images of any height and width are accepted: they are padded to multiples of 32, and the logits are cropped again.
    The feature maps are not cropped.

    Args:
        classes: names of the classes, by class id.
        layers: number of layers of the ResNet encoder: 18, 34 or 50.
        width: number of channels of the pyramid, a multiple of 8.

    Attributes:
        description: the run and the description of the checkpoint that the network comes from; None for a new network.

    >>> import torch
    >>> semantics = FPN(("road", "sky", "car"), layers=18, width=8)(torch.rand(1, 3, 50, 70))
    >>> semantics.features[0].shape, semantics.logits.shape
    (torch.Size([1, 8, 16, 24]), torch.Size([1, 3, 13, 18]))

    Source: Lin et al., CVPR 2017 (the pyramid); Kirillov et al., CVPR 2019, section 3.2 (segmentation with it).
    """

    strides = (4, 8, 16, 32)

    def __init__(self, classes: Sequence[str], layers: int, width: int) -> None:
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
        """Return feature maps at strides 4, 8, 16 and 32, and logits at stride 4.

        Args:
            image: [B, 3, H, W], RGB in [0, 1].
        """
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
        """Write the network as a checkpoint like the one that it was loaded from.

        Args:
            folder: an existing folder.
        """
        assert self.description is not None
        write_checkpoint(folder, *self.description, self.state_dict())


def load_fpn(folder: Path) -> FPN:
    """Return the network of a checkpoint that `packdepth semantics train` wrote. Raises InputError if it is none.

    Args:
        folder: the folder of the checkpoint.
    """
    run, meta = read_description(folder)
    network = FPN(meta.classes, run.network.layers, run.network.width)
    network.description = run, meta
    load_weights(network, folder)
    return network
