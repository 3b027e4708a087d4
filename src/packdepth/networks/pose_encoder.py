"""Ego-motion by any encoder and the pose decoder of monodepth2 (Godard et al. 2019)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.blocks import RegressedPoseBlock
from packdepth.networks.ego_motion import PUBLISHED, PairPoseNetwork, scaled_motion, start_motion
from packdepth.networks.encoders.encoder import AnyEncoder, Encoder, EncoderBlock
from packdepth.networks.layers.padding import pad_to_multiple

ROTATION, TRANSLATION = slice(0, 3), slice(3, 6)  # channels of the last convolution, as in monodepth2
IMAGES = 2  # images of a pair


class EncoderPoseBlock(RegressedPoseBlock):
    """The options of ego-motion networks of an encoder and monodepth2's pose decoder."""

    @property
    def part(self) -> EncoderBlock:
        """The encoder."""
        raise NotImplementedError

    @property
    def keeps_random(self) -> str | None:
        """The option that keeps random weights or statistics of the encoder as they are; None if there is none."""
        option = self.part.keeps_random
        return None if option is None else f"encoder.{option}"

    def describe(self) -> str:
        """Return kind, encoder and origin of its weights."""
        return f"{self.kind}, {self.part.describe()}"

    def build(self) -> EncoderPose:
        """Return the network with random weights."""
        return EncoderPose(self.part.assemble(3 * IMAGES), self.initial_forward, self.motion_scales)

    def start(self, network: nn.Module) -> None:
        """Load the pretrained weights of the encoder, if its block names some.

        Raises InputError if they cannot be used.
        """
        assert isinstance(network, EncoderPose)
        self.part.start(network.encoder)


class PoseEncoderBlock(EncoderPoseBlock):
    """Any encoder and monodepth2's pose decoder, on pairs in temporal order.

    The first convolution takes two images: its pretrained kernel is repeated and halved.

    >>> type(PoseEncoderBlock(encoder={"kind": "efficientnet_lite"}).build().encoder).__name__
    'EfficientNetLite'
    """

    described: ClassVar[frozenset[str]] = frozenset({"encoder"})

    kind: Literal["pose_encoder"] = "pose_encoder"
    encoder: AnyEncoder
    """The encoder, and the weights that it starts from."""

    @property
    def part(self) -> EncoderBlock:
        """The encoder."""
        return self.encoder


class EncoderPose(PairPoseNetwork):
    """An ego-motion network of an encoder and monodepth2's pose decoder.

    The last convolution has room for two motions and, as in monodepth2, the first is used; each is a rotation vector,
    then a translation.

    Args:
        encoder: the encoder of pairs of images, with 6 input channels.
        initial_forward: metres along the optical axis between two frames that the untrained network predicts.
        motion_scales: metres and radians for each unit of translation and rotation that the last convolution gives.

    >>> import torch
    >>> from packdepth.networks.encoders.resnet import ResNetEncoder
    >>> pose = EncoderPose(ResNetEncoder(18, channels_in=6))
    >>> pose(torch.rand(1, 3, 64, 64), torch.rand(1, 2, 3, 64, 64), offsets=(-1, 1)).shape
    torch.Size([1, 2, 4, 4])
    """

    def __init__(
        self, encoder: Encoder, initial_forward: float = 0.0, motion_scales: tuple[float, float] = PUBLISHED
    ) -> None:
        super().__init__()
        self.motion_scales = motion_scales
        self.encoder = encoder
        self.squeeze = nn.Conv2d(self.encoder.channels[-1], 256, 1)
        self.pose0 = nn.Conv2d(256, 256, 3, padding=1)
        self.pose1 = nn.Conv2d(256, 256, 3, padding=1)
        self.pose2 = nn.Conv2d(256, 12, 1)
        start_motion(self.pose2, initial_forward, motion_scales, TRANSLATION, ROTATION)

    def pair_motion(self, pair: Tensor) -> Tensor:
        """Return six-vectors [B, 6] of T_later_earlier."""
        x = F.relu(self.squeeze(self.encoder(pad_to_multiple(pair, self.encoder.multiple))[-1]))
        x = F.relu(self.pose1(F.relu(self.pose0(x))))
        vector = self.pose2(x).mean((2, 3)).float()
        return scaled_motion(vector[:, TRANSLATION], vector[:, ROTATION], self.motion_scales)
