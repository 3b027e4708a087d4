"""What depth networks with a ResNet encoder have in common: all but the decoder."""

from __future__ import annotations

from typing import ClassVar

from pydantic import PositiveFloat, model_validator
from torch import Tensor, nn

from packdepth.networks.blocks import INITIAL_DEPTH, LAYERS, DepthNetworkBlock, Layers
from packdepth.networks.guidance import Guidance, Guide, unguided
from packdepth.networks.layers.head import InverseDepthHead
from packdepth.networks.layers.padding import crop_scales, pad_to_multiple
from packdepth.networks.layers.resnet import STRIDE, ResNetEncoder

MIN_DEPTH, MAX_DEPTH = 0.1, 100.0  # metres, as in monodepth2
MIN_COARSEST = 2  # pixels, height and width of the coarsest features: reflection padding needs that many


class ResNetDepthBlock(DepthNetworkBlock):
    """The options of depth networks with a ResNet encoder."""

    layers: Layers = LAYERS
    """Layers of the encoder."""
    min_depth: PositiveFloat = MIN_DEPTH
    """Metres: the smallest depth that the network can predict."""
    max_depth: PositiveFloat = MAX_DEPTH
    """Metres: the largest depth that the network can predict."""
    initial_depth: PositiveFloat = INITIAL_DEPTH
    """Metres that an untrained network predicts, between the two."""

    training_options: ClassVar[frozenset[str]] = DepthNetworkBlock.training_options | {"initial_depth"}

    @model_validator(mode="after")
    def _ordered(self) -> ResNetDepthBlock:
        if not self.min_depth < self.initial_depth < self.max_depth:
            raise ValueError(
                f"initial_depth {self.initial_depth:g} must lie between min_depth {self.min_depth:g} "
                f"and max_depth {self.max_depth:g}"
            )
        return self


class ResNetDecoder(nn.Module):
    """Features at strides 2 to 32 to logits [B, 1, ., .] at strides 1, 2, 4 and 8.

    Attributes:
        disparity: the layers that make the logits.
        channels: of the features that a guide filters, before they meet a skip connection, by stride.
    """

    disparity: nn.ModuleList
    channels: ClassVar[dict[int, int]]

    def __init__(self, encoder_channels: list[int]) -> None:
        super().__init__()

    def forward(self, features: list[Tensor], guide: Guide = unguided) -> list[Tensor]:
        """Logits, finest first."""
        raise NotImplementedError


class ResNetDepth(nn.Module):
    """Image [B, 3, H, W], RGB in [0, 1], to inverse depths at strides 1, 2, 4 and 8, finest first, in 1/metres.

    Any H and W: what is no multiple of 32 is padded inside and cropped from the result. A subclass names its decoder.

    Args:
        layers: of the encoder: 18, 34 or 50.
        min_depth, max_depth: metres, the range of the head.
        initial_depth: metres that the untrained network predicts.

    Attributes:
        guidance: what filters the decoder's features before they meet a skip connection; None for nothing.
        decoder_channels: of these features, by stride.
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

    def forward(self, image: Tensor, guide_input: Tensor | None = None) -> list[Tensor]:
        """Inverse depths [B, 1, H / 2^s, W / 2^s] for s = 0, 1, 2, 3. Guidance sees `guide_input`."""
        height, width = image.shape[-2:]
        image = pad_to_multiple(image, STRIDE, MIN_COARSEST)
        guide = unguided if self.guidance is None else self.guidance(image, guide_input)
        logits = self.decoder(self.encoder(image), guide)
        return crop_scales([self.head(x) for x in logits], height, width)
