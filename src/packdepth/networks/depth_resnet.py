"""Short names of two networks of a ResNet encoder: `depth_resnet` (monodepth2) and what it shares with `superdepth`."""

from __future__ import annotations

from typing import ClassVar, Literal

from packdepth.networks.decoders.decoder import DecoderBlock
from packdepth.networks.decoders.monodepth2 import Monodepth2DecoderBlock
from packdepth.networks.encoder_decoder import MAX_DEPTH, MIN_DEPTH, BoundedDepthBlock, EncoderDecoder
from packdepth.networks.encoders.encoder import EncoderBlock
from packdepth.networks.encoders.resnet import ResNetEncoder, ResNetEncoderBlock
from packdepth.networks.options import INITIAL_DEPTH, LAYERS, Layers


class ResNetDepthBlock(BoundedDepthBlock):
    """The options of depth networks with a ResNet encoder; a subclass names its decoder."""

    layers: Layers = LAYERS
    """Number of layers of the encoder."""
    weights: str | None = None
    """Pretrained weights of the encoder, as those of the encoder `resnet`; random if left out."""

    training_options: ClassVar[frozenset[str]] = BoundedDepthBlock.training_options | {"weights"}
    described: ClassVar[frozenset[str]] = frozenset({"layers", "weights"})
    decoder: ClassVar[DecoderBlock]

    def describe(self) -> str:
        """Return kind, number of layers and origin of the weights."""
        return f"{self.kind}, layers {self.layers}" + ("" if self.weights is None else f", pretrained ({self.weights})")

    @property
    def parts(self) -> tuple[EncoderBlock, DecoderBlock]:
        """The encoder and the decoder."""
        return ResNetEncoderBlock(layers=self.layers, weights=self.weights), self.decoder


class DepthResNetBlock(ResNetDepthBlock):
    """The short name of an `encoder_decoder` of `resnet` and `monodepth2`.

    >>> type(DepthResNetBlock(layers=18).build().decoder).__name__
    'DepthDecoder'
    """

    kind: Literal["depth_resnet"] = "depth_resnet"

    decoder: ClassVar[DecoderBlock] = Monodepth2DecoderBlock()


class ResNetDepth(EncoderDecoder):
    """A depth network of a ResNet encoder; a subclass names its decoder.

    Args:
        layers: number of layers of the encoder: 18, 34 or 50.
        min_depth: smallest depth of the head, in metres.
        max_depth: largest depth of the head, in metres.
        initial_depth: metres that the untrained network predicts.
    """

    decoder_block: ClassVar[DecoderBlock]

    def __init__(
        self,
        layers: int = LAYERS,
        min_depth: float = MIN_DEPTH,
        max_depth: float = MAX_DEPTH,
        initial_depth: float = INITIAL_DEPTH,
    ) -> None:
        encoder = ResNetEncoder(layers)
        super().__init__(encoder, self.decoder_block.build(encoder.channels), min_depth, max_depth, initial_depth)


class DepthResNet(ResNetDepth):
    """A depth network of ResNet encoder and monodepth2's decoder; `ResNetDepth` documents its arguments.

    >>> import torch
    >>> [tuple(x.shape) for x in DepthResNet().eval()(torch.rand(1, 3, 64, 96))]
    [(1, 1, 64, 96), (1, 1, 32, 48), (1, 1, 16, 24), (1, 1, 8, 12)]
    """

    decoder_block: ClassVar[DecoderBlock] = Monodepth2DecoderBlock()
