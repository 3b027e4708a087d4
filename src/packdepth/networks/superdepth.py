"""SuperDepth: ResNet encoder and a sub-pixel decoder that super-resolves disparities (Pillai et al., ICRA 2019)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.guided import Guidance, Guide, unguided
from packdepth.networks.head import InverseDepthHead
from packdepth.networks.padding import crop_scales, pad_to_multiple
from packdepth.networks.resnet import STRIDE, ResNetEncoder

CHANNELS = (32, 64, 128, 256)  # of the decoder, at strides 2 to 16
LEAST = 2  # pixels of the coarsest features that reflection padding needs


class SuperDepth(nn.Module):
    """Image [B, 3, H, W], RGB in [0, 1], to inverse depths at strides 1, 2, 4 and 8, finest first, in 1/metres.

    Every step up is a sub-pixel convolution, and the inverse depth of each stride is super-resolved from features at
    twice that stride: nothing is computed at full resolution but the result. Any H and W: what is no multiple of 32 is
    padded inside and cropped from the result.

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
        self.decoder = SubPixelDecoder(self.encoder.channels)
        self.head = InverseDepthHead(min_depth, max_depth)
        for disparity in self.decoder.disparity:
            assert isinstance(disparity, SubPixelConv)
            self.head.start_at(initial_depth, disparity.conv)
        self.decoder_channels = {2 ** (level + 1): channels for level, channels in enumerate(CHANNELS)}
        self.guidance: Guidance | None = None

    def forward(self, image: Tensor) -> list[Tensor]:
        """Inverse depths [B, 1, H / 2^s, W / 2^s] for s = 0, 1, 2, 3."""
        height, width = image.shape[-2:]
        image = pad_to_multiple(image, STRIDE, LEAST)
        guide = unguided if self.guidance is None else self.guidance(image)
        logits = self.decoder(self.encoder(image), guide)
        return crop_scales([self.head(x) for x in logits], height, width)


class SubPixelConv(nn.Module):
    """Double the resolution by a 3x3 convolution to four channels for each and depth-to-space (Shi et al. 2016).

    Initialised so that it begins as a convolution followed by nearest upsampling, without a checkerboard (ICNR, Aitken
    et al. 2017).
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, 4 * channels_out, 3, padding=1, padding_mode="reflect")
        with torch.no_grad():
            for parameter in self.conv.parameters():
                parameter.copy_(parameter[::4].repeat_interleave(4, dim=0))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, D, 2H, 2W]."""
        return F.pixel_shuffle(self.conv(x), 2)


class SubPixelDecoder(nn.Module):
    """Features at strides 2 to 32 to logits [B, 1, ., .] at strides 1, 2, 4 and 8."""

    def __init__(self, encoder_channels: list[int]) -> None:
        super().__init__()
        inputs = [*CHANNELS[1:], encoder_channels[-1]]
        self.up = nn.ModuleList(SubPixelConv(i, c) for i, c in zip(inputs, CHANNELS, strict=True))
        self.join = nn.ModuleList(
            nn.Conv2d(c + skip, c, 3, padding=1, padding_mode="reflect")
            for c, skip in zip(CHANNELS, encoder_channels[:-1], strict=True)
        )
        self.disparity = nn.ModuleList(SubPixelConv(c, 1) for c in CHANNELS)

    def forward(self, features: list[Tensor], guide: Guide = unguided) -> list[Tensor]:
        """Logits, finest first."""
        x = features[-1]
        logits: list[Tensor] = []
        for level in reversed(range(len(CHANNELS))):
            x = guide(F.elu(self.up[level](x)), 2 ** (level + 1))
            x = torch.cat([x, features[level]], dim=1)
            x = F.elu(self.join[level](x))
            logits.insert(0, self.disparity[level](x))
        return logits
