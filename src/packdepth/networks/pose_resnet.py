"""PoseResNet: ego-motion by a ResNet encoder and the pose decoder of monodepth2 (Godard et al. 2019)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.blocks import PoseNetworkBlock
from packdepth.networks.ego_motion import PairPoseNetwork, start_forward
from packdepth.networks.layers.resnet import ResNetEncoder
from packdepth.networks.options import LAYERS, Layers

SCALE = 0.01  # factor of the output, as in monodepth2: an untrained network predicts almost no motion


class PoseResNetBlock(PoseNetworkBlock):
    """ResNet encoder and monodepth2's pose decoder, on pairs in temporal order.

    >>> type(PoseResNetBlock().build()).__name__
    'PoseResNet'
    """

    kind: Literal["pose_resnet"] = "pose_resnet"
    layers: Layers = LAYERS
    """Number of layers of the encoder."""

    def build(self) -> PoseResNet:
        """Return the network with random weights."""
        return PoseResNet(self.layers, self.initial_forward)


class PoseResNet(PairPoseNetwork):
    """An ego-motion network of ResNet encoder and monodepth2's pose decoder.

    The last convolution has room for two motions and, as in monodepth2, the first is used; each is a rotation vector,
    then a translation.

    Args:
        layers: number of layers of the encoder: 18, 34 or 50.
        initial_forward: metres along the optical axis between two frames that the untrained network predicts.

    >>> PoseResNet()(torch.rand(1, 3, 64, 64), torch.rand(1, 2, 3, 64, 64), offsets=(-1, 1)).shape
    torch.Size([1, 2, 4, 4])
    """

    def __init__(self, layers: int = LAYERS, initial_forward: float = 0.0) -> None:
        super().__init__()
        self.encoder = ResNetEncoder(layers, channels_in=6)
        self.squeeze = nn.Conv2d(self.encoder.channels[-1], 256, 1)
        self.pose0 = nn.Conv2d(256, 256, 3, padding=1)
        self.pose1 = nn.Conv2d(256, 256, 3, padding=1)
        self.pose2 = nn.Conv2d(256, 12, 1)
        start_forward(self.pose2, initial_forward, translation_z=5, scale=SCALE)

    def pair_motion(self, pair: Tensor) -> Tensor:
        """Return six-vectors [B, 6] of T_later_earlier."""
        x = F.relu(self.squeeze(self.encoder(pair)[-1]))
        x = F.relu(self.pose1(F.relu(self.pose0(x))))
        vector = SCALE * self.pose2(x).mean((2, 3)).float()
        return torch.cat([vector[:, 3:6], vector[:, 0:3]], dim=1)
