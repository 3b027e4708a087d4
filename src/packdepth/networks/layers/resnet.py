"""The ResNet encoder (He et al. 2016), with torchvision's parameter names so that ImageNet weights load."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}  # blocks of each stage, by the number of layers
STRIDE = 32  # pixels of the image for each pixel of the coarsest features

# Normalization of images in [0, 1], one number for all channels: that of monodepth2, whose weights expect it.
# It is near the mean and the deviation of ImageNet (0.485, 0.456, 0.406 and 0.229, 0.224, 0.225).
IMAGE_MEAN, IMAGE_DEVIATION = 0.45, 0.225


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


class ResNetEncoder(nn.Module):
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
        x = F.relu(self.bn1(self.conv1((image - IMAGE_MEAN) / IMAGE_DEVIATION)))
        features = [x]
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        for index in range(1, 5):
            x = self.get_submodule(f"layer{index}")(x)
            features.append(x)
        return features
