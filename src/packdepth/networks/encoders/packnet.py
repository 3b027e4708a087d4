"""The encoder of PackNet: packing blocks with 3D convolutions (Guizilini et al., CVPR 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from packdepth.networks.encoders.encoder import Encoder, EncoderBlock
from packdepth.networks.layers.packing import GROUPS, Conv2D, PackLayerConv3d, residual_block
from packdepth.networks.options import Unit

Preset = Literal["1A", "1B", "slim-1A", "small", "tiny"]


@dataclass(frozen=True)
class Architecture:
    """Widths and depths of a variant of PackNet."""

    stem: int  # channels of the first convolution
    channels: tuple[int, int, int, int, int]  # channels of the five levels, at strides 2 to 32
    blocks: tuple[int, int, int, int]  # residual convolutions at levels 2 to 5
    features: int  # features of the 3D convolutions (D)
    groups: int = GROUPS  # groups of the group normalizations
    add_skips: bool = False  # whether skip connections are joined by addition (B), not by concatenation (A)
    refines: bool = False  # whether a level predicts a correction that is added to the coarser level's logits


PRESETS: dict[Preset, Architecture] = {
    "1A": Architecture(64, (64, 64, 128, 256, 512), (2, 2, 3, 3), features=8),
    "1B": Architecture(64, (64, 64, 128, 256, 512), (2, 2, 3, 3), features=8, add_skips=True),
    "slim-1A": Architecture(32, (32, 64, 128, 256, 512), (2, 2, 3, 3), features=4),
    "small": Architecture(32, (32, 32, 64, 128, 256), (2, 2, 2, 2), features=2, refines=True),
    "tiny": Architecture(8, (8, 16, 32, 64, 128), (1, 1, 1, 1), features=2, groups=8, refines=True),
}


class PackNetEncoderBlock(EncoderBlock):
    """PackNet's packing blocks, with random weights.

    >>> PackNetEncoderBlock(preset="tiny").assemble().channels
    [8, 16, 32, 64, 128]
    """

    kind: Literal["packnet"] = "packnet"
    preset: Preset = "small"
    """Widths and depths, as those of the depth network `packnet`."""
    dropout: Unit = 0.0
    """Probability of dropout on the shortcuts of the residual convolutions."""

    training_options: ClassVar[frozenset[str]] = EncoderBlock.training_options | {"dropout"}

    def build(self, channels_in: int = 3) -> PackNetEncoder:
        """Return the encoder with random weights."""
        return PackNetEncoder(self.preset, self.dropout, channels_in)

    def describe(self) -> str:
        """Return the kind and the preset."""
        return f"packnet {self.preset}"


class Packing(nn.Module):
    """The packing blocks of PackNet, with the parameter names of the published checkpoints.

    Args:
        preset: widths and depths, by the name of a preset or as they are.
        dropout: probability of dropout on the shortcuts of the residual convolutions.
        channels_in: 3 for one image, 6 for a pair.

    >>> import torch
    >>> [tuple(x.shape) for x in Packing("tiny").features(torch.rand(1, 3, 64, 96))][-1]
    (1, 128, 2, 3)
    """

    def __init__(self, preset: Preset | Architecture, dropout: float = 0.0, channels_in: int = 3) -> None:
        super().__init__()
        architecture = preset if isinstance(preset, Architecture) else PRESETS[preset]
        n0, (n1, n2, n3, n4, n5) = architecture.stem, architecture.channels
        d, g = architecture.features, architecture.groups
        self.pre_calc = Conv2D(channels_in, n0, 5, g)
        self.conv1 = Conv2D(n0, n1, 7, g)
        self.conv2 = residual_block(n1, n2, architecture.blocks[0], dropout, g)
        self.conv3 = residual_block(n2, n3, architecture.blocks[1], dropout, g)
        self.conv4 = residual_block(n3, n4, architecture.blocks[2], dropout, g)
        self.conv5 = residual_block(n4, n5, architecture.blocks[3], dropout, g)
        self.pack1 = PackLayerConv3d(n1, 5, d, g)
        self.pack2 = PackLayerConv3d(n2, 3, d, g)
        self.pack3 = PackLayerConv3d(n3, 3, d, g)
        self.pack4 = PackLayerConv3d(n4, 3, d, g)
        self.pack5 = PackLayerConv3d(n5, 3, d, g)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return six feature maps, at strides 1, 2, 4, 8, 16 and 32.

        Args:
            image: images [B, C, H, W] in [0, 1], whose height and width are multiples of 32.
        """
        x0 = self.pre_calc(image)
        x1 = self.pack1(self.conv1(x0))  # [B, n1, H/2, W/2]
        x2 = self.pack2(self.conv2(x1))  # [B, n2, H/4, W/4]
        x3 = self.pack3(self.conv3(x2))  # [B, n3, H/8, W/8]
        x4 = self.pack4(self.conv4(x3))  # [B, n4, H/16, W/16]
        x5 = self.pack5(self.conv5(x4))  # [B, n5, H/32, W/32]
        return [x0, x1, x2, x3, x4, x5]


class PackNetEncoder(Packing, Encoder):
    """An encoder of packing blocks.

    Args:
        preset: widths and depths.
        dropout: probability of dropout on the shortcuts of the residual convolutions.
        channels_in: 3 for one image, 6 for a pair.

    >>> import torch
    >>> [tuple(x.shape) for x in PackNetEncoder("tiny")(torch.rand(1, 3, 64, 96))][-1]
    (1, 128, 2, 3)
    """

    def __init__(self, preset: Preset, dropout: float = 0.0, channels_in: int = 3) -> None:
        super().__init__(preset, dropout, channels_in)
        self.channels = list(PRESETS[preset].channels)
        initialize(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return five feature maps [B, C_s, H / s, W / s], finest first."""
        return self.features(image)[1:]


def initialize(network: nn.Module) -> None:
    """Draw the initial weights of the convolutions as published: Xavier, with biases of zero.

    Args:
        network: the network.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            nn.init.xavier_uniform_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
