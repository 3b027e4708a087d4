"""SuperDepth: ResNet encoder and a sub-pixel decoder that super-resolves disparities (Pillai et al., ICRA 2019)."""

from __future__ import annotations

from typing import ClassVar, Literal

from packdepth.networks.decoders.decoder import DecoderBlock
from packdepth.networks.decoders.sub_pixel import SubPixelDecoderBlock
from packdepth.networks.depth_resnet import ResNetDepth, ResNetDepthBlock


class SuperDepthBlock(ResNetDepthBlock):
    """The short name of an `encoder_decoder` of `resnet` and `sub_pixel` (SuperDepth, ICRA 2019).

    >>> type(SuperDepthBlock(layers=18).build().decoder).__name__
    'SubPixelDecoder'
    """

    kind: Literal["superdepth"] = "superdepth"

    decoder: ClassVar[DecoderBlock] = SubPixelDecoderBlock()


class SuperDepth(ResNetDepth):
    """A depth network of ResNet encoder and sub-pixel decoder; `ResNetDepth` documents its arguments.

    Every step up is a sub-pixel convolution, and the inverse depth of each stride is super-resolved from features at
    twice that stride: only the result is computed at full resolution.

    >>> import torch
    >>> [tuple(x.shape) for x in SuperDepth().eval()(torch.rand(1, 3, 64, 96))]
    [(1, 1, 64, 96), (1, 1, 32, 48), (1, 1, 16, 24), (1, 1, 8, 12)]
    """

    decoder_block: ClassVar[DecoderBlock] = SubPixelDecoderBlock()
