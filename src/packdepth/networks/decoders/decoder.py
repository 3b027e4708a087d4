"""The contract of a decoder, which maps the features of an encoder to logits of inverse depth."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

from torch import Tensor, nn

from packdepth.blocks import ByKind, Family
from packdepth.networks.blocks import PartBlock
from packdepth.networks.guidance import Guide, unguided
from packdepth.networks.layers.head import InverseDepthHead


class Decoded(NamedTuple):
    """The result of a decoder."""

    logits: list[Tensor]  # [B, 1, H / s, W / s] at strides s = 1, 2, 4 and 8, finest first
    features: dict[int, Tensor]  # [B, C_s, H / s, W / s], by stride: what the logits are computed from


class Decoder(nn.Module):
    """A decoder of features at strides 2 to 32 to logits [B, 1, ., .] at strides 1, 2, 4 and 8.

    Attributes:
        disparity: the layers that compute the logits.
        channels: number of channels of the features that can be guided, before they meet a skip connection, by stride.
        feature_channels: number of channels of the features that the logits are computed from, by stride.
    """

    disparity: nn.ModuleList
    channels: Mapping[int, int]
    feature_channels: Mapping[int, int]

    def forward(self, features: list[Tensor], guide: Guide = unguided) -> Decoded:
        """Return the logits [B, 1, H / s, W / s], finest first, and the features that they are computed from.

        Args:
            features: features of the encoder [B, C_s, H / s, W / s], finest first.
            guide: the function that filters the features of each stage.
        """
        raise NotImplementedError

    def start_at(self, head: InverseDepthHead, depth: float) -> None:
        """Initialize the layers before the head so that the untrained network predicts about one depth everywhere.

        Args:
            head: the head.
            depth: the depth, in metres.
        """
        for layer in self.disparity.modules():
            if isinstance(layer, nn.Conv2d):
                head.start_at(depth, layer)


class DecoderBlock(PartBlock):
    """The options of all decoders.

    >>> from packdepth.networks.decoders.monodepth2 import Monodepth2DecoderBlock
    >>> Monodepth2DecoderBlock().build([8, 8, 8, 8, 8]).channels[16]
    256
    """

    @abstractmethod
    def build(self, encoder_channels: list[int]) -> Decoder:
        """Return the decoder with random weights.

        Args:
            encoder_channels: channels of the encoder's features, at strides 2 to 32.
        """


DECODERS = Family(DecoderBlock, "packdepth.decoders", ("packdepth.networks.decoders",))  # type: ignore[type-abstract]
AnyDecoder = Annotated[DecoderBlock, ByKind(DECODERS)]


def level_widths(encoder_channels: Sequence[int], channels: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return the channels of each decoder level at strides 1 to 16, finest first: of its input, its own, of its skip.

    The coarsest level takes the coarsest features of the encoder, any other one the level below. The level of stride 1
    has no skip connection, because encoders begin at stride 2.

    Args:
        encoder_channels: channels of the encoder's features, at strides 2 to 32.
        channels: channels of the decoder at strides 1 to 16.

    >>> level_widths([16, 24, 40, 112, 320], [8, 16, 32, 64, 128])[::4]
    [(16, 8, 0), (320, 128, 112)]
    """
    inputs, skips = [*channels[1:], encoder_channels[-1]], [0, *encoder_channels[:-1]]
    return list(zip(inputs, channels, skips, strict=True))


def start_coarsest(head: InverseDepthHead, depth: float, layers: Sequence[nn.Conv2d]) -> None:
    """Initialize the layers of a decoder that refines: the coarsest predicts a depth, the finer ones add nothing.

    Args:
        head: the head.
        depth: the depth, in metres.
        layers: the layers before the head, finest first.
    """
    for layer in layers:
        head.start_at(depth, layer)
    for layer in layers[:-1]:
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
