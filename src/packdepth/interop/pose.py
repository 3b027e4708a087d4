"""packnet-sfm's pose networks: the same layers as ours, other inputs, and rotation in Euler angles."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from packdepth.config import (
    ImportedPoseConfig,
    PacknetSfmPoseNetConfig,
    PacknetSfmPoseResNetConfig,
)
from packdepth.geometry import se3
from packdepth.networks.build import pose_network
from packdepth.networks.ego_motion import PairPoseNetwork
from packdepth.networks.pose_resnet import PoseResNet
from packdepth.networks.posenet import PoseNet


def imported_pose_network(config: ImportedPoseConfig) -> PairPoseNetwork:
    """The pose network of a checkpoint, ours or another project's."""
    if isinstance(config, PacknetSfmPoseNetConfig):
        return PacknetSfmPoseNet()
    if isinstance(config, PacknetSfmPoseResNetConfig):
        return PacknetSfmPoseResNet(config.layers)
    return pose_network(config)


def from_euler(vector: Tensor) -> Tensor:
    """T [..., 4, 4] of a six-vector [..., 6]: translation (metres), angles about x, y and z (radians).

    R = Rx Ry Rz, as in packnet-sfm.
    """
    axes = torch.eye(3, dtype=vector.dtype, device=vector.device)
    x, y, z = (se3.rotation_exp(vector[..., 3 + i, None] * axes[i]) for i in range(3))
    return se3.from_rotation(x @ y @ z, vector[..., :3])


class PacknetSfmPoseNet(PoseNet):
    """PoseNet on three stacked frames: the target, the one before it and the one after it."""

    context_offsets: ClassVar[tuple[int, ...]] = (-1, 1)

    def __init__(self) -> None:
        super().__init__(images=3)

    def forward(self, target: Tensor, context: Tensor, offsets: tuple[int, ...]) -> Tensor:
        """T_context_target [B, 2, 4, 4] of target [B, 3, H, W] and context [B, 2, 3, H, W]; offsets are (-1, 1)."""
        assert offsets == self.context_offsets
        return from_euler(self.vectors(torch.cat([target, context.flatten(1, 2)], dim=1)))


class PacknetSfmPoseResNet(PoseResNet):
    """PoseResNet on pairs of target and context frame, whichever was earlier."""

    def forward(self, target: Tensor, context: Tensor, offsets: tuple[int, ...]) -> Tensor:
        """T_context_target [B, N, 4, 4] of target [B, 3, H, W] and context [B, N, 3, H, W]; offsets do not matter."""
        pairs = [torch.cat([target, frame], dim=1) for frame in context.unbind(1)]
        return from_euler(torch.stack([self.pair_motion(pair) for pair in pairs], dim=1))
