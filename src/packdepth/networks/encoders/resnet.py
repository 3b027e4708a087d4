"""The ResNet encoder (He et al. 2016), with torchvision's parameter names so that ImageNet weights load."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.errors import InputError
from packdepth.networks.encoders.encoder import Encoder, EncoderBlock, normalized, read_weights
from packdepth.networks.hub import read_hub_weights
from packdepth.networks.options import LAYERS, Layers

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}  # blocks of each stage, by the number of layers
IMAGENET = "imagenet"  # means microsoft/resnet-18, -34 or -50 on the Hub, of the Apache License 2.0
CLASSIFIER = ("fc.weight", "fc.bias")  # tensors of torchvision's files that no encoder needs

# Normalization of images in [0, 1], one number for all channels: that of monodepth2, whose weights expect it.
# It is near the mean and the deviation of ImageNet (0.485, 0.456, 0.406 and 0.229, 0.224, 0.225).
IMAGE_MEAN, IMAGE_DEVIATION = (0.45,), (0.225,)


class ResNetEncoderBlock(EncoderBlock):
    """A ResNet of 18, 34 or 50 layers (He et al. 2016).

    >>> ResNetEncoderBlock(layers=18).build().channels
    [64, 64, 128, 256, 512]
    """

    kind: Literal["resnet"] = "resnet"
    layers: Layers = LAYERS
    """Number of layers."""
    weights: str | None = None
    """Pretrained weights. `imagenet`: microsoft/resnet-18, -34 or -50 of the Hub, of the same number of layers.
    Otherwise the path of a file of torchvision's format (.pth or .safetensors), the folder of a ResNet of transformers,
    or its name on the Hub. If left out, weights are random."""

    def build(self, channels_in: int = 3) -> ResNetEncoder:
        """Return the encoder with random weights."""
        return ResNetEncoder(self.layers, channels_in)

    @property
    def is_pretrained(self) -> bool:
        """Whether the block names weights."""
        return self.weights is not None

    def describe(self) -> str:
        """Return the number of layers and the origin of the weights."""
        return f"resnet {self.layers}" + (f" pretrained ({self._origin})" if self.weights else "")

    @property
    def _origin(self) -> str:
        return f"microsoft/resnet-{self.layers}" if self.weights == IMAGENET else str(self.weights)

    def pretrained(self) -> dict[str, Tensor]:
        """Return the weights, without those of the classifier.

        Raises InputError if they are not there or cannot be read.
        """
        path = Path(self._origin)
        if path.suffix in (".pth", ".pt", ".safetensors"):
            if not path.is_file():
                raise InputError(f"{path}: there is no such file of weights; put it there, or name another")
            weights = read_weights(path)
            return {name: tensor for name, tensor in weights.items() if name not in CLASSIFIER}
        found = read_hub_weights(self._origin)
        return {
            torchvision_name(name, self.layers): tensor
            for name, tensor in found.items()
            if not name.startswith("classifier.")
        }


def torchvision_name(theirs: str, layers: int) -> str:
    """Return torchvision's name of a tensor of a ResNet of transformers.

    Args:
        theirs: the name that transformers gives it.
        layers: number of layers of the network.

    >>> torchvision_name("resnet.encoder.stages.0.layers.1.layer.0.convolution.weight", 18)
    'layer1.1.conv1.weight'
    """
    name = theirs.removeprefix("resnet.")
    stem = re.fullmatch(r"embedder\.embedder\.(convolution|normalization)\.(\w+)", name)
    if stem:
        return f"{'conv1' if stem[1] == 'convolution' else 'bn1'}.{stem[2]}"
    place = r"encoder\.stages\.(\d)\.layers\.(\d)\.(?:layer\.(\d)|(shortcut))\.(convolution|normalization)\.(\w+)"
    match = re.fullmatch(place, name)
    if not match:
        return theirs
    stage, block, index, shortcut, layer, kind = match.groups()
    is_conv = layer == "convolution"
    if shortcut:
        return f"layer{int(stage) + 1}.{block}.downsample.{0 if is_conv else 1}.{kind}"
    return f"layer{int(stage) + 1}.{block}.{'conv' if is_conv else 'bn'}{int(index) + 1}.{kind}"


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut.

    Args:
        channels_in: channels of the input.
        width: channels of the convolutions and of the result.
        stride: stride of the first convolution.

    >>> import torch
    >>> BasicBlock(4, width=8, stride=2)(torch.rand(2, 4, 8, 8)).shape
    torch.Size([2, 8, 4, 4])
    """

    expansion = 1

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(channels_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return features [B, width, H / stride, W / stride] of features [B, C, H, W]."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut.

    Args:
        channels_in: channels of the input.
        width: channels of the convolutions; the result has four times as many.
        stride: stride of the 3x3 convolution.

    >>> import torch
    >>> Bottleneck(4, width=8, stride=2)(torch.rand(2, 4, 8, 8)).shape
    torch.Size([2, 32, 4, 4])
    """

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.downsample = _shortcut(channels_in, width * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return features [B, 4 * width, H / stride, W / stride] of features [B, C, H, W]."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    if stride == 1 and channels_in == channels_out:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out))


class ResNetEncoder(Encoder):
    """An encoder of images [B, C, H, W] in [0, 1] to features at strides 2, 4, 8, 16 and 32.

    Args:
        layers: number of layers: 18, 34 or 50.
        channels_in: 3 for one image, 6 for a pair.

    Attributes:
        channels: channels of the five feature maps, finest first.

    >>> import torch
    >>> [tuple(x.shape) for x in ResNetEncoder(18).eval()(torch.rand(1, 3, 64, 96))][-1]
    (1, 512, 2, 3)
    """

    multiple = 1

    def __init__(self, layers: int, channels_in: int = 3) -> None:
        super().__init__()
        block: type[BasicBlock] | type[Bottleneck] = Bottleneck if layers >= 50 else BasicBlock
        self.conv1 = nn.Conv2d(channels_in, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.channels = [64]
        previous = 64
        for index, (width, count) in enumerate(zip((64, 128, 256, 512), DEPTHS[layers], strict=True)):
            stage = []
            for i in range(count):
                stage.append(block(previous, width, stride=2 if index > 0 and i == 0 else 1))
                previous = width * block.expansion
            self.add_module(f"layer{index + 1}", nn.Sequential(*stage))
            self.channels.append(previous)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return five feature maps [B, C_s, H / s, W / s], finest first.

        Args:
            image: images [B, C, H, W] in [0, 1].
        """
        x = F.relu(self.bn1(self.conv1(normalized(image, IMAGE_MEAN, IMAGE_DEVIATION))))
        features = [x]
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        for index in range(1, 5):
            x = self.get_submodule(f"layer{index}")(x)
            features.append(x)
        return features
