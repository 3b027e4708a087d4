"""PoseNet: ego-motion from stacked images by seven strided convolutions (Zhou et al. 2017)."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.blocks import RegressedPoseBlock
from packdepth.networks.ego_motion import PUBLISHED, ROTATION, TRANSLATION, PairPoseNetwork, scaled_motion, start_motion
from packdepth.networks.layers.packing import GROUPS

CHANNELS = (16, 32, 64, 128, 256, 256, 256)  # channels of the seven convolutions
KERNELS = (7, 5, 3, 3, 3, 3, 3)  # sides of their kernels, in pixels


class PoseNetBlock(RegressedPoseBlock):
    """PoseNet (Zhou et al. 2017, without the explainability mask), on pairs in temporal order.

    >>> type(PoseNetBlock().build()).__name__
    'PoseNet'
    """

    kind: Literal["posenet"] = "posenet"

    def build(self) -> PoseNet:
        """Return the network with random weights."""
        return PoseNet(initial_forward=self.initial_forward, motion_scales=self.motion_scales)


class PoseNet(PairPoseNetwork):
    """An ego-motion network with the layers of packnet-sfm, which stacks three frames.

    Args:
        images: number of frames stacked at the input: 2 in this project, 3 in packnet-sfm (1,592,684 parameters).
        initial_forward: metres along the optical axis between two frames that the untrained network predicts.
        motion_scales: metres and radians for each unit of translation and rotation that the last convolution gives.

    >>> import torch
    >>> PoseNet()(torch.rand(1, 3, 128, 128), torch.rand(1, 2, 3, 128, 128), offsets=(-1, 1)).shape
    torch.Size([1, 2, 4, 4])
    """

    def __init__(
        self, images: int = 2, initial_forward: float = 0.0, motion_scales: tuple[float, float] = PUBLISHED
    ) -> None:
        super().__init__()
        self.motion_scales = motion_scales
        previous = 3 * images
        for index, channels in enumerate(CHANNELS):
            self.add_module(f"conv{index + 1}", pose_layer(index, previous))
            previous = channels
        self.pose_pred = nn.Conv2d(previous, 6 * (images - 1), 1)
        initialize(self)
        start_motion(self.pose_pred, initial_forward, motion_scales)

    def vectors(self, images: Tensor) -> Tensor:
        """Return six-vectors [B, n - 1, 6]: translation in metres, then rotation vector in radians.

        Args:
            images: n stacked images, [B, 3 n, H, W].
        """
        x = images
        for index in range(1, len(CHANNELS) + 1):
            x = self.get_submodule(f"conv{index}")(x)
        mean = F.adaptive_avg_pool2d(self.pose_pred(x), 1).float()
        mean = mean.view(mean.shape[0], -1, 6)  # an export takes the number of samples from the shape
        return scaled_motion(mean[..., TRANSLATION], mean[..., ROTATION], self.motion_scales)

    def pair_motion(self, pair: Tensor) -> Tensor:
        """Return six-vectors [B, 6] of T_later_earlier."""
        return self.vectors(pair)[:, 0]


def pose_layer(index: int, channels_in: int) -> nn.Sequential:
    """Return a layer of PoseNet, which halves height and width.

    Args:
        index: index of the layer, from 0 to 6.
        channels_in: channels of its input.

    >>> import torch
    >>> pose_layer(0, channels_in=3)(torch.rand(1, 3, 8, 8)).shape
    torch.Size([1, 16, 4, 4])
    """
    channels, kernel = CHANNELS[index], KERNELS[index]
    conv = nn.Conv2d(channels_in, channels, kernel, stride=2, padding=kernel // 2)
    return nn.Sequential(conv, nn.GroupNorm(GROUPS, channels), nn.ReLU())


def initialize(network: nn.Module) -> None:
    """Initialize all convolutions: weights from Xavier's uniform distribution, biases zero.

    Args:
        network: the network, changed in place.

    >>> conv = nn.Conv2d(4, 8, 3)
    >>> initialize(conv)
    >>> bool((conv.bias == 0).all())
    True
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
