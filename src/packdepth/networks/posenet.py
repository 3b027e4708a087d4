"""PoseNet: ego-motion from stacked images by seven strided convolutions (Zhou et al. 2017)."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.blocks import PoseNetworkBlock
from packdepth.networks.ego_motion import PairPoseNetwork, start_forward
from packdepth.networks.layers.packing import GROUPS

CHANNELS = (16, 32, 64, 128, 256, 256, 256)
KERNELS = (7, 5, 3, 3, 3, 3, 3)
SCALE = 0.01  # of the output: a network starts out nearly still


class PoseNetBlock(PoseNetworkBlock):
    """PoseNet (Zhou et al. 2017, without the explainability mask), on pairs in temporal order."""

    kind: Literal["posenet"] = "posenet"

    def build(self) -> PoseNet:
        """Return the network with random weights."""
        return PoseNet(initial_forward=self.initial_forward)


class PoseNet(PairPoseNetwork):
    """Ego-motion of a pair of frames; the layers are those of packnet-sfm, which stacks three frames.

    Args:
        images: frames stacked at the input; 2 in this project, 3 in packnet-sfm (1,592,684 parameters).
        initial_forward: metres along the optical axis between two frames that the untrained network predicts.
    """

    def __init__(self, images: int = 2, initial_forward: float = 0.0) -> None:
        super().__init__()
        previous = 3 * images
        for index, channels in enumerate(CHANNELS):
            self.add_module(f"conv{index + 1}", pose_layer(index, previous))
            previous = channels
        self.pose_pred = nn.Conv2d(previous, 6 * (images - 1), 1)
        initialize(self)
        start_forward(self.pose_pred, initial_forward, translation_z=2, scale=SCALE)

    def vectors(self, images: Tensor) -> Tensor:
        """Raw six-vectors [B, n - 1, 6] of n stacked images [B, 3 n, H, W]: translation, then rotation."""
        x = images
        for index in range(1, len(CHANNELS) + 1):
            x = self.get_submodule(f"conv{index}")(x)
        mean = F.adaptive_avg_pool2d(self.pose_pred(x), 1)
        return SCALE * mean.float().view(mean.shape[0], -1, 6)

    def pair_motion(self, pair: Tensor) -> Tensor:
        """Six-vectors [B, 6] of T_later_earlier."""
        return self.vectors(pair)[:, 0]


def pose_layer(index: int, channels_in: int) -> nn.Sequential:
    """The layer of that index, from 0, which halves height and width."""
    channels, kernel = CHANNELS[index], KERNELS[index]
    conv = nn.Conv2d(channels_in, channels, kernel, stride=2, padding=kernel // 2)
    return nn.Sequential(conv, nn.GroupNorm(GROUPS, channels), nn.ReLU())


def initialize(network: nn.Module) -> None:
    """Set the first weights of all convolutions."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
