"""DepthResNet: ResNet encoder and the decoder of monodepth2 (Godard et al. 2019)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.guided import Guidance, Guide, unguided
from packdepth.networks.head import InverseDepthHead
from packdepth.networks.padding import crop_scales, pad_to_multiple
from packdepth.networks.resnet import STRIDE, ResNetEncoder

CHANNELS = (16, 32, 64, 128, 256)  # of the decoder, at strides 1 to 16
SCALES = 4
LEAST = 2  # pixels of the coarsest features that reflection padding needs


class DepthResNet(nn.Module):
    """Image [B, 3, H, W], RGB in [0, 1], to inverse depths at strides 1, 2, 4 and 8, finest first, in 1/metres.

    Any H and W: what is no multiple of 32 is padded inside and cropped from the result.

    Args:
        layers: of the encoder: 18, 34 or 50.
        min_depth, max_depth: metres, the range of the head.
        initial_depth: metres that the untrained network predicts.

    Attributes:
        guidance: what filters the decoder's features before they meet a skip connection; None for nothing.
        decoder_channels: of these features, by stride.
    """

    def __init__(
        self, layers: int = 18, min_depth: float = 0.1, max_depth: float = 100.0, initial_depth: float = 12.0
    ) -> None:
        super().__init__()
        self.encoder = ResNetEncoder(layers)
        self.decoder = DepthDecoder(self.encoder.channels)
        self.head = InverseDepthHead(min_depth, max_depth)
        for conv in self.decoder.disparity:
            self.head.start_at(initial_depth, conv)
        self.decoder_channels = {2**level: channels for level, channels in enumerate(CHANNELS)}
        self.guidance: Guidance | None = None

    def forward(self, image: Tensor) -> list[Tensor]:
        """Inverse depths [B, 1, H / 2^s, W / 2^s] for s = 0, 1, 2, 3."""
        height, width = image.shape[-2:]
        image = pad_to_multiple(image, STRIDE, LEAST)
        guide = unguided if self.guidance is None else self.guidance(image)
        logits = self.decoder(self.encoder(image), guide)
        return crop_scales([self.head(x) for x in logits], height, width)


class DepthDecoder(nn.Module):
    """Features at strides 2 to 32 to logits [B, 1, ., .] at strides 1, 2, 4 and 8."""

    def __init__(self, encoder_channels: list[int]) -> None:
        super().__init__()
        inputs = [*CHANNELS[1:], encoder_channels[-1]]
        skips = [0, *encoder_channels[:-1]]
        self.before = nn.ModuleList(_conv(i, c) for i, c in zip(inputs, CHANNELS, strict=True))
        self.after = nn.ModuleList(_conv(c + s, c) for c, s in zip(CHANNELS, skips, strict=True))
        self.disparity = nn.ModuleList(_conv(c, 1) for c in CHANNELS[:SCALES])

    def forward(self, features: list[Tensor], guide: Guide = unguided) -> list[Tensor]:
        """Logits, finest first."""
        x = features[-1]
        logits: list[Tensor] = []
        for level in reversed(range(len(CHANNELS))):
            x = F.interpolate(F.elu(self.before[level](x)), scale_factor=2, mode="nearest")
            x = guide(x, 2**level)
            if level > 0:
                x = torch.cat([x, features[level - 1]], dim=1)
            x = F.elu(self.after[level](x))
            if level < SCALES:
                logits.insert(0, self.disparity[level](x))
        return logits


def _conv(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, padding_mode="reflect")
