"""Pose networks of packnet-sfm: the same layers as ours, other inputs, and rotation in Euler angles."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from packdepth.geometry import se3
from packdepth.networks.blocks import PoseBlock
from packdepth.networks.options import Layers
from packdepth.networks.pose_resnet import PoseResNet
from packdepth.networks.posenet import PoseNet


class PacknetSfmPoseNetBlock(PoseBlock):
    """packnet-sfm's PoseNet: a frame with the one before and the one after at once, rotation in Euler angles."""

    kind: Literal["packnet_sfm_posenet"] = "packnet_sfm_posenet"

    def build(self) -> PacknetSfmPoseNet:
        """Return the network with random weights."""
        return PacknetSfmPoseNet()


class PacknetSfmPoseResNetBlock(PoseBlock):
    """packnet-sfm's PoseResNet: pairs of target and context in no order of time, rotation in Euler angles."""

    kind: Literal["packnet_sfm_pose_resnet"] = "packnet_sfm_pose_resnet"
    layers: Layers = 18
    """Layers of the encoder."""

    def build(self) -> PacknetSfmPoseResNet:
        """Return the network with random weights."""
        return PacknetSfmPoseResNet(self.layers, initial_forward=0.0)


def from_euler(vector: Tensor) -> Tensor:
    """Return the transformations of six-vectors in packnet-sfm's convention, R = Rx Ry Rz.

    Args:
        vector: six-vectors [..., 6]: translation (metres), then the angles about x, y and z (radians).

    Returns:
        T [..., 4, 4].

    >>> from_euler(torch.tensor([1.0, 2.0, 3.0, 0.0, 0.0, 0.0]))[:3, 3]
    tensor([1., 2., 3.])
    """
    axes = torch.eye(3, dtype=vector.dtype, device=vector.device)
    x, y, z = (se3.rotation_exp(vector[..., 3 + i, None] * axes[i]) for i in range(3))
    return se3.from_rotation(x @ y @ z, vector[..., :3])


class PacknetSfmPoseNet(PoseNet):
    """PoseNet on three stacked frames: the target, the frame before it and the frame after it."""

    context_offsets: ClassVar[tuple[int, ...]] = (-1, 1)

    def __init__(self) -> None:
        super().__init__(images=3)

    def forward(self, target: Tensor, context: Tensor, offsets: tuple[int, ...]) -> Tensor:
        """Predict the motion to the frame before the target and to the frame after it.

        Args:
            target: images [B, 3, H, W].
            context: images [B, 2, 3, H, W].
            offsets: always `context_offsets`.

        Returns:
            T_context_target [B, 2, 4, 4].
        """
        assert offsets == self.context_offsets
        return from_euler(self.scaled(self.vectors(torch.cat([target, context.flatten(1, 2)], dim=1))))


class PacknetSfmPoseResNet(PoseResNet):
    """PoseResNet on pairs of target and context frame, the target always first."""

    def forward(self, target: Tensor, context: Tensor, offsets: tuple[int, ...]) -> Tensor:
        """Predict the motion to each context frame.

        Args:
            target: images [B, 3, H, W].
            context: images [B, N, 3, H, W].
            offsets: offsets of the context frames from the target; without effect.

        Returns:
            T_context_target [B, N, 4, 4].
        """
        pairs = [torch.cat([target, frame], dim=1) for frame in context.unbind(1)]
        return from_euler(self.scaled(torch.stack([self.pair_motion(pair) for pair in pairs], dim=1)))
