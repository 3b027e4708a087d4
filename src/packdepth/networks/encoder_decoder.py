"""Depth networks of any encoder and any decoder."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import PositiveFloat, model_validator
from torch import Tensor, nn

from packdepth.networks.blocks import DepthNetworkBlock
from packdepth.networks.decoders.decoder import AnyDecoder, Decoder, DecoderBlock
from packdepth.networks.decoders.monodepth2 import NARROW, Monodepth2DecoderBlock
from packdepth.networks.encoders.encoder import STRIDE, AnyEncoder, Encoder, EncoderBlock
from packdepth.networks.guidance import Guidance, unguided
from packdepth.networks.layers.head import InverseDepthHead
from packdepth.networks.layers.padding import crop_scales, pad_to_multiple
from packdepth.networks.options import INITIAL_DEPTH
from packdepth.networks.uncertainty import Estimate, LogScaleHead, estimated

MIN_DEPTH, MAX_DEPTH = 0.1, 100.0  # metres, range of the predicted depth, as in monodepth2
MIN_COARSEST = 2  # pixels, smallest height and width of the coarsest features: reflection padding needs two


class BoundedDepthBlock(DepthNetworkBlock):
    """The options of depth networks of an encoder, a decoder and a head with two bounds."""

    min_depth: PositiveFloat = MIN_DEPTH
    """Smallest depth that the network can predict, in metres."""
    max_depth: PositiveFloat = MAX_DEPTH
    """Largest depth that the network can predict, in metres."""
    initial_depth: PositiveFloat = INITIAL_DEPTH
    """Metres that an untrained network predicts, between `min_depth` and `max_depth`."""

    training_options: ClassVar[frozenset[str]] = DepthNetworkBlock.training_options | {"initial_depth"}

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min_depth < self.initial_depth < self.max_depth:
            raise ValueError(
                f"initial_depth {self.initial_depth:g} must lie between min_depth {self.min_depth:g} "
                f"and max_depth {self.max_depth:g}"
            )
        return self

    @property
    def parts(self) -> tuple[EncoderBlock, DecoderBlock]:
        """The encoder and the decoder."""
        raise NotImplementedError

    @property
    def keeps_random(self) -> str | None:
        """The option that keeps random weights or statistics of the encoder as they are; None if there is none."""
        option = self.parts[0].keeps_random
        return None if option is None else f"encoder.{option}"

    def describe(self) -> str:
        """Return kind, encoder, origin of its weights, and decoder."""
        encoder, decoder = self.parts
        return f"{self.kind}, {encoder.describe()}, decoder {decoder.kind}"

    def build(self) -> EncoderDecoder:
        """Return the network with random weights."""
        encoder, decoder = self.parts
        built = encoder.assemble()
        return EncoderDecoder(built, decoder.build(built.channels), self.min_depth, self.max_depth, self.initial_depth)

    def start(self, network: nn.Module) -> None:
        """Load the pretrained weights of the encoder, if its block names some.

        Raises InputError if they cannot be used.
        """
        encoder = next(module for module in network.modules() if isinstance(module, EncoderDecoder)).encoder
        self.parts[0].start(encoder)


class EncoderDecoderBlock(BoundedDepthBlock):
    """Any encoder and any decoder.

    >>> block = EncoderDecoderBlock(encoder={"kind": "efficientnet_lite"}, decoder={"kind": "monodepth2"})
    >>> type(block.build().decoder).__name__
    'DepthDecoder'
    """

    described: ClassVar[frozenset[str]] = frozenset({"encoder", "decoder"})

    kind: Literal["encoder_decoder"] = "encoder_decoder"
    encoder: AnyEncoder
    """The encoder, and the weights that it starts from."""
    decoder: AnyDecoder = Monodepth2DecoderBlock(channels=NARROW)
    """The decoder. If left out, `monodepth2` with the channels 16, 24, 32, 64 and 128: the best of short trainings."""

    @property
    def parts(self) -> tuple[EncoderBlock, DecoderBlock]:
        """The encoder and the decoder."""
        return self.encoder, self.decoder


class EncoderDecoder(nn.Module):
    """A depth network of an encoder and a decoder.

    It maps images [B, 3, H, W], RGB in [0, 1], to inverse depths at strides 1, 2, 4 and 8, finest first, in 1/metres. H
    and W may have any value: the image is padded to multiples of 32, and the result is cropped.

    Args:
        encoder: the encoder.
        decoder: the decoder of its features.
        min_depth: smallest depth of the head, in metres.
        max_depth: largest depth of the head, in metres.
        initial_depth: metres that the untrained network predicts.

    Attributes:
        guidance: the module that filters the decoder's features before they meet a skip connection; None without
            guidance.
        decoder_channels: number of channels of these features, by stride.
        log_scale: the head that predicts uncertainty; None without it.
        feature_channels: number of channels of its input, by stride.

    >>> import torch
    >>> from packdepth.networks.decoders.sub_pixel import SubPixelDecoder
    >>> from packdepth.networks.encoders.efficientnet_lite import EfficientNetLite
    >>> encoder = EfficientNetLite(0)
    >>> network = EncoderDecoder(encoder, SubPixelDecoder(encoder.channels))
    >>> [tuple(x.shape) for x in network.eval()(torch.rand(1, 3, 64, 96))]
    [(1, 1, 64, 96), (1, 1, 32, 48), (1, 1, 16, 24), (1, 1, 8, 12)]
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
        min_depth: float = MIN_DEPTH,
        max_depth: float = MAX_DEPTH,
        initial_depth: float = INITIAL_DEPTH,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.head = InverseDepthHead(min_depth, max_depth)
        self.decoder.start_at(self.head, initial_depth)
        self.decoder_channels = self.decoder.channels
        self.stride = STRIDE
        self.guidance: Guidance | None = None
        self.feature_channels = self.decoder.feature_channels
        self.log_scale: LogScaleHead | None = None

    def forward(
        self, image: Tensor, guide_input: Tensor | None = None, with_log_scale: bool = False
    ) -> list[Tensor] | Estimate:
        """Return the inverse depths [B, 1, H / 2^s, W / 2^s] for s = 0, 1, 2, 3.

        Args:
            image: [B, 3, H, W], RGB in [0, 1].
            guide_input: input of the guidance [B, C, H, W]; None for the image itself.
            with_log_scale: return an `Estimate`.
        """
        height, width = image.shape[-2:]
        image = pad_to_multiple(image, STRIDE, MIN_COARSEST)
        guide = unguided if self.guidance is None else self.guidance(image, guide_input)
        logits, features = self.decoder(self.encoder(image), guide)
        inv_depths = crop_scales([self.head(x) for x in logits], height, width)
        return estimated(inv_depths, self.log_scale, features, with_log_scale)
