"""Depth networks with a ResNet encoder: the parts that all of them share, which is everything but the decoder."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from pydantic import PositiveFloat, model_validator
from torch import Tensor, nn

from packdepth.networks.blocks import DepthNetworkBlock
from packdepth.networks.guidance import Guidance, Guide, unguided
from packdepth.networks.layers.head import InverseDepthHead
from packdepth.networks.layers.padding import crop_scales, pad_to_multiple
from packdepth.networks.layers.resnet import STRIDE, ResNetEncoder
from packdepth.networks.options import INITIAL_DEPTH, LAYERS, Layers
from packdepth.networks.uncertainty import Estimate, LogScaleHead, estimated

MIN_DEPTH, MAX_DEPTH = 0.1, 100.0  # metres, range of the predicted depth, as in monodepth2
MIN_COARSEST = 2  # pixels, smallest height and width of the coarsest features: reflection padding needs two


class ResNetDepthBlock(DepthNetworkBlock):
    """The options of depth networks with a ResNet encoder."""

    layers: Layers = LAYERS
    """Number of layers of the encoder."""
    min_depth: PositiveFloat = MIN_DEPTH
    """Smallest depth that the network can predict, in metres."""
    max_depth: PositiveFloat = MAX_DEPTH
    """Largest depth that the network can predict, in metres."""
    initial_depth: PositiveFloat = INITIAL_DEPTH
    """Metres that an untrained network predicts, between `min_depth` and `max_depth`."""

    training_options: ClassVar[frozenset[str]] = DepthNetworkBlock.training_options | {"initial_depth"}

    @model_validator(mode="after")
    def _ordered(self) -> ResNetDepthBlock:
        if not self.min_depth < self.initial_depth < self.max_depth:
            raise ValueError(
                f"initial_depth {self.initial_depth:g} must lie between min_depth {self.min_depth:g} "
                f"and max_depth {self.max_depth:g}"
            )
        return self


class Decoded(NamedTuple):
    """The result of a decoder."""

    logits: list[Tensor]  # [B, 1, H / s, W / s] at strides s = 1, 2, 4 and 8, finest first
    features: dict[int, Tensor]  # features that the logits are computed from, by stride, [B, C_s, H / s, W / s]


class ResNetDecoder(nn.Module):
    """A decoder of features at strides 2 to 32 to logits [B, 1, ., .] at strides 1, 2, 4 and 8.

    Args:
        encoder_channels: channels of the features, finest first.

    Attributes:
        disparity: the layers that compute the logits.
        channels: number of channels of the features that can be guided, before they meet a skip connection, by stride.
        feature_channels: number of channels of the features that the logits are computed from, by stride.
    """

    disparity: nn.ModuleList
    channels: ClassVar[dict[int, int]]
    feature_channels: ClassVar[dict[int, int]]

    def __init__(self, encoder_channels: list[int]) -> None:
        super().__init__()

    def forward(self, features: list[Tensor], guide: Guide = unguided) -> Decoded:
        """Return the logits [B, 1, H / s, W / s], finest first, and the features that they are computed from.

        Args:
            features: features of the encoder [B, C_s, H / s, W / s], finest first.
            guide: the function that filters the features of each stage.
        """
        raise NotImplementedError


class ResNetDepth(nn.Module):
    """A depth network with a ResNet encoder; a subclass names its decoder.

    It maps images [B, 3, H, W], RGB in [0, 1], to inverse depths at strides 1, 2, 4 and 8, finest first, in 1/metres. H
    and W may have any value: the image is padded to multiples of 32, and the result is cropped.

    Args:
        layers: number of layers of the encoder: 18, 34 or 50.
        min_depth: smallest depth of the head, in metres.
        max_depth: largest depth of the head, in metres.
        initial_depth: metres that the untrained network predicts.

    Attributes:
        guidance: the module that filters the decoder's features before they meet a skip connection; None without
            guidance.
        decoder_channels: number of channels of these features, by stride.
        log_scale: the head that predicts uncertainty; None without it.
        feature_channels: number of channels of its input, by stride.
    """

    decoder_type: ClassVar[type[ResNetDecoder]]

    def __init__(
        self,
        layers: int = LAYERS,
        min_depth: float = MIN_DEPTH,
        max_depth: float = MAX_DEPTH,
        initial_depth: float = INITIAL_DEPTH,
    ) -> None:
        super().__init__()
        self.encoder = ResNetEncoder(layers)
        self.decoder = self.decoder_type(self.encoder.channels)
        self.head = InverseDepthHead(min_depth, max_depth)
        for layer in self.decoder.disparity.modules():
            if isinstance(layer, nn.Conv2d):
                self.head.start_at(initial_depth, layer)
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
