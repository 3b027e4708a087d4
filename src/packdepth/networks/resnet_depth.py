"""What depth networks with a ResNet encoder have in common: all but the decoder."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from packdepth.networks.guided import Guidance, Guide, unguided
from packdepth.networks.head import InverseDepthHead
from packdepth.networks.padding import crop_scales, pad_to_multiple
from packdepth.networks.resnet import STRIDE, ResNetEncoder

LEAST = 2  # pixels of the coarsest features that reflection padding needs


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
        self, layers: int = 18, min_depth: float = 0.1, max_depth: float = 100.0, initial_depth: float = 12.0
    ) -> None:
        super().__init__()
        self.encoder = ResNetEncoder(layers)
        self.decoder = self.decoder_type(self.encoder.channels)
        self.head = InverseDepthHead(min_depth, max_depth)
        for layer in self.decoder.disparity.modules():
            if isinstance(layer, nn.Conv2d):
                self.head.start_at(initial_depth, layer)
        self.decoder_channels = self.decoder.channels
        self.guidance: Guidance | None = None

    def forward(self, image: Tensor, shown: Tensor | None = None) -> list[Tensor]:
        """Inverse depths [B, 1, H / 2^s, W / 2^s] for s = 0, 1, 2, 3. `shown` is what the guidance sees, see there."""
        height, width = image.shape[-2:]
        image = pad_to_multiple(image, STRIDE, LEAST)
        guide = unguided if self.guidance is None else self.guidance(image, shown)
        logits = self.decoder(self.encoder(image), guide)
        return crop_scales([self.head(x) for x in logits], height, width)
