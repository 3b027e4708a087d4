"""PackNet: depth from one image through packing and unpacking blocks (Guizilini et al., CVPR 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from packdepth.networks.blocks import DepthNetworkBlock
from packdepth.networks.guidance import Guidance, unguided
from packdepth.networks.layers.head import InverseDepthHead
from packdepth.networks.layers.packing import (
    GROUPS,
    Conv2D,
    InvDepth,
    PackLayerConv3d,
    UnpackLayerConv3d,
    residual_block,
)
from packdepth.networks.layers.padding import crop_scales, pad_to_multiple
from packdepth.networks.options import INITIAL_DEPTH, Unit
from packdepth.networks.uncertainty import Estimate, LogScaleHead, estimated

Preset = Literal["1A", "1B", "slim-1A", "small", "tiny"]


class PackNetBlock(DepthNetworkBlock):
    """PackNet (CVPR 2020): packing and unpacking blocks with 3D convolutions.

    >>> type(PackNetBlock(preset="tiny").build()).__name__
    'PackNet'
    """

    kind: Literal["packnet"] = "packnet"
    preset: Preset = "1A"
    """Architecture: 1A, 1B and slim-1A as published; small and tiny are narrower and can be trained on a CPU."""
    dropout: Unit = 0.0
    """Probability of dropout on the shortcuts of the residual convolutions."""
    initial_depth: Annotated[float, Field(gt=0.5)] = INITIAL_DEPTH
    """Depth that the untrained network predicts, in metres, more than 0.5. Short trainings need a typical depth."""

    training_options: ClassVar[frozenset[str]] = DepthNetworkBlock.training_options | {"dropout", "initial_depth"}

    def build(self) -> PackNet:
        """Return the network with random weights."""
        return PackNet(self.preset, self.dropout, self.initial_depth)


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
STRIDE = 32  # stride of the coarsest features, in pixels of the image
MIN_DEPTH = 0.5  # smallest predicted depth, in metres: the inverse depth lies in (0, 2), as in packnet-sfm


class PackNet(nn.Module):
    """A depth network of packing and unpacking blocks.

    It maps images [B, 3, H, W], RGB in [0, 1], to inverse depths at strides 1, 2, 4 and 8, finest first, in 1/metres. H
    and W may have any value: the image is padded to multiples of 32, and the result is cropped.

    Args:
        preset: `1A`, `1B`, `slim-1A` are the published architectures (128.3 M, 124.2 M and 77.0 M parameters); `small`
            and `tiny` have the same topology with fewer channels, for training on a CPU. Their levels refine the logits
            of the coarser level, so that they learn in fewer steps (docs/results/2026-11-21-demo.md).
        dropout: probability of dropout on the shortcuts of the residual convolutions.
        initial_depth: depth that the untrained network predicts, in metres.

    Attributes:
        guidance: the module that filters the decoder's features before they meet a skip connection; None without
            guidance.
        decoder_channels: number of channels of these features, by stride. Those of stride 1 are never guided.
        log_scale: the head that predicts uncertainty; None without it.
        feature_channels: number of channels of its input, by stride.

    >>> import torch
    >>> network = PackNet("tiny")
    >>> [tuple(level.shape) for level in network(torch.rand(1, 3, 64, 96))]
    [(1, 1, 64, 96), (1, 1, 32, 48), (1, 1, 16, 24), (1, 1, 8, 12)]
    """

    def __init__(self, preset: Preset, dropout: float = 0.0, initial_depth: float = INITIAL_DEPTH) -> None:
        super().__init__()
        architecture = PRESETS[preset]
        n0, (n1, n2, n3, n4, n5), d, g = (
            architecture.stem,
            architecture.channels,
            architecture.features,
            architecture.groups,
        )
        self.add_skips, self.refines = architecture.add_skips, architecture.refines

        self.pre_calc = Conv2D(3, n0, 5, g)
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

        skips = (n4, n3, n2, n1, n0)  # channels of the skip connections, coarse to fine
        unpacked = skips if self.add_skips else (n5, n4, n3, n2, n1)
        joined = [u if self.add_skips else u + s for u, s in zip(unpacked, skips, strict=True)]
        self.unpack5 = UnpackLayerConv3d(n5, unpacked[0], 3, d, g)
        self.unpack4 = UnpackLayerConv3d(n5, unpacked[1], 3, d, g)
        self.unpack3 = UnpackLayerConv3d(n4, unpacked[2], 3, d, g)
        self.unpack2 = UnpackLayerConv3d(n3, unpacked[3], 3, d, g)
        self.unpack1 = UnpackLayerConv3d(n2, unpacked[4], 3, d, g)
        self.iconv5 = Conv2D(joined[0], n5, 3, g)
        self.iconv4 = Conv2D(joined[1], n4, 3, g)
        self.iconv3 = Conv2D(joined[2] + 1, n3, 3, g)
        self.iconv2 = Conv2D(joined[3] + 1, n2, 3, g)
        self.iconv1 = Conv2D(joined[4] + 1, n1, 3, g)
        self.disp4_layer = InvDepth(n4)
        self.disp3_layer = InvDepth(n3)
        self.disp2_layer = InvDepth(n2)
        self.disp1_layer = InvDepth(n1)
        self.head = InverseDepthHead(MIN_DEPTH)
        self.decoder_channels = dict(zip((16, 8, 4, 2, 1), unpacked, strict=True))
        self.stride = STRIDE
        self.guidance: Guidance | None = None
        self.feature_channels = {1: n1, 2: n2, 4: n3, 8: n4}
        self.log_scale: LogScaleHead | None = None
        self._initialize(initial_depth)

    def _initialize(self, initial_depth: float) -> None:
        """Draw the initial weights, and set the biases so that the network predicts the initial depth, in metres."""
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Conv3d)):
                nn.init.xavier_uniform_(module.weight)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        finer = (self.disp3_layer, self.disp2_layer, self.disp1_layer)
        for layer in (self.disp4_layer, *finer):
            self.head.start_at(initial_depth, layer.conv1)
        if self.refines:
            for layer in finer:
                assert layer.conv1.bias is not None
                nn.init.zeros_(layer.conv1.bias)

    def forward(
        self, image: Tensor, guide_input: Tensor | None = None, with_log_scale: bool = False
    ) -> list[Tensor] | Estimate:
        """Return the inverse depths [B, 1, H / 2^s, W / 2^s], rounded up, in 1/metres, for s = 0, 1, 2, 3.

        Args:
            image: [B, 3, H, W], RGB in [0, 1].
            guide_input: input of the guidance [B, C, H, W]; None for the image itself.
            with_log_scale: return an `Estimate`.
        """
        height, width = image.shape[-2:]
        image = pad_to_multiple(image, STRIDE)
        guide = unguided if self.guidance is None else self.guidance(image, guide_input)
        x0 = self.pre_calc(image)
        x1 = self.pack1(self.conv1(x0))  # [B, n1, H/2, W/2]
        x2 = self.pack2(self.conv2(x1))  # [B, n2, H/4, W/4]
        x3 = self.pack3(self.conv3(x2))  # [B, n3, H/8, W/8]
        x4 = self.pack4(self.conv4(x3))  # [B, n4, H/16, W/16]
        x5 = self.pack5(self.conv5(x4))  # [B, n5, H/32, W/32]

        y5 = self.iconv5(*self._joined(guide(self.unpack5(x5), 16), x4))
        y4 = self.iconv4(*self._joined(guide(self.unpack4(y5), 8), x3))
        logits4 = self.disp4_layer(y4)
        inv4 = self.head(logits4)
        y3 = self.iconv3(*self._joined(guide(self.unpack3(y4), 4), x2, inv4))
        logits3 = self._refined(self.disp3_layer(y3), logits4)
        inv3 = self.head(logits3)
        y2 = self.iconv2(*self._joined(guide(self.unpack2(y3), 2), x1, inv3))
        logits2 = self._refined(self.disp2_layer(y2), logits3)
        inv2 = self.head(logits2)
        y1 = self.iconv1(*self._joined(self.unpack1(y2), x0, inv2))
        inv1 = self.head(self._refined(self.disp1_layer(y1), logits2))
        inv_depths = crop_scales([inv1, inv2, inv3, inv4], height, width)
        return estimated(inv_depths, self.log_scale, {1: y1, 2: y2, 4: y3, 8: y4}, with_log_scale)

    def _joined(self, x: Tensor, skip: Tensor, coarser: Tensor | None = None) -> list[Tensor]:
        """Return the input maps of a level: features, skip connection and the upsampled coarser inverse depth."""
        maps = [x + skip] if self.add_skips else [x, skip]
        if coarser is not None:
            maps.append(F.interpolate(coarser, scale_factor=2, mode="nearest").to(x.dtype))
        return maps

    def _refined(self, logits: Tensor, coarser: Tensor) -> Tensor:
        """Return logits [B, 1, H, W]; if the network refines, with those of the coarser level, [B, 1, H/2, W/2], added.

        The coarser level finds depth where the image moves by many pixels. At the finer level, the photometric error
        has local minima there.
        """
        if not self.refines:
            return logits
        return logits + F.interpolate(coarser, scale_factor=2, mode="bilinear", align_corners=False)
