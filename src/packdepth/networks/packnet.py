"""PackNet: depth from one image through packing and unpacking blocks (Guizilini et al., CVPR 2020)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from packdepth.networks.blocks import DepthNetworkBlock
from packdepth.networks.decoders.decoder import start_coarsest
from packdepth.networks.encoders.encoder import STRIDE
from packdepth.networks.encoders.packnet import PRESETS as PRESETS
from packdepth.networks.encoders.packnet import Architecture, Packing, initialize
from packdepth.networks.encoders.packnet import Preset as Preset
from packdepth.networks.guidance import Guidance, unguided
from packdepth.networks.layers.head import InverseDepthHead
from packdepth.networks.layers.packing import Conv2D, InvDepth, UnpackLayerConv3d
from packdepth.networks.layers.padding import crop_scales, pad_to_multiple
from packdepth.networks.layers.upsampling import Refinement
from packdepth.networks.options import INITIAL_DEPTH, Unit
from packdepth.networks.uncertainty import Estimate, LogScaleHead, estimated


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


MIN_DEPTH = 0.5  # smallest predicted depth, in metres: the inverse depth lies in (0, 2), as in packnet-sfm


class PackNet(Packing):
    """A depth network of packing and unpacking blocks.

    It maps images [B, 3, H, W], RGB in [0, 1], to inverse depths at strides 1, 2, 4 and 8, finest first, in 1/metres. H
    and W may have any value: the image is padded to multiples of 32, and the result is cropped.

    Args:
        preset: `1A`, `1B`, `slim-1A` are the published architectures (128.3 M, 124.2 M and 77.0 M parameters); `small`
            and `tiny` have the same topology with fewer channels, for training on a CPU. Their levels refine the logits
            of the coarser level, so that they learn in fewer steps (docs/results/2026-11-21-demo.md). Experiments
            give an `Architecture` instead.
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

    def __init__(
        self, preset: Preset | Architecture, dropout: float = 0.0, initial_depth: float = INITIAL_DEPTH
    ) -> None:
        super().__init__(preset, dropout)
        architecture = preset if isinstance(preset, Architecture) else PRESETS[preset]
        n0, (n1, n2, n3, n4, n5) = architecture.stem, architecture.channels
        d, g = architecture.features, architecture.groups
        self.add_skips, self.refines = architecture.add_skips, architecture.refines
        self.refine = Refinement()

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
        initialize(self)
        levels = (self.disp1_layer, self.disp2_layer, self.disp3_layer, self.disp4_layer)
        convolutions = [level.conv1 for level in levels]
        if self.refines:
            start_coarsest(self.head, initial_depth, convolutions)
        else:
            for convolution in convolutions:
                self.head.start_at(initial_depth, convolution)

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
        x0, x1, x2, x3, x4, x5 = self.features(image)

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
        """Return logits [B, 1, H, W]; if the network refines, with those of the coarser level, [B, 1, H/2, W/2]."""
        refined: Tensor = self.refine(logits, coarser if self.refines else None)
        return refined
