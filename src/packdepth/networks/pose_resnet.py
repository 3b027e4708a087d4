"""PoseResNet: ego-motion by a ResNet encoder and the pose decoder of monodepth2 (Godard et al. 2019)."""

from __future__ import annotations

from typing import ClassVar, Literal

from packdepth.networks.blocks import PoseNetworkBlock
from packdepth.networks.encoders.encoder import EncoderBlock
from packdepth.networks.encoders.resnet import ResNetEncoder, ResNetEncoderBlock
from packdepth.networks.options import LAYERS, Layers
from packdepth.networks.pose_encoder import IMAGES, EncoderPose, EncoderPoseBlock


class PoseResNetBlock(EncoderPoseBlock):
    """The short name of a `pose_encoder` of `resnet`.

    >>> type(PoseResNetBlock().build().encoder).__name__
    'ResNetEncoder'
    """

    kind: Literal["pose_resnet"] = "pose_resnet"
    layers: Layers = LAYERS
    """Number of layers of the encoder."""
    weights: str | None = None
    """Pretrained weights of the encoder, as those of the encoder `resnet`; random if left out."""

    training_options: ClassVar[frozenset[str]] = PoseNetworkBlock.training_options | {"weights"}
    described: ClassVar[frozenset[str]] = frozenset({"layers", "weights"})

    def describe(self) -> str:
        """Return kind, number of layers and origin of the weights."""
        return f"{self.kind}, layers {self.layers}" + ("" if self.weights is None else f", pretrained ({self.weights})")

    @property
    def part(self) -> EncoderBlock:
        """The encoder."""
        return ResNetEncoderBlock(layers=self.layers, weights=self.weights)


class PoseResNet(EncoderPose):
    """An ego-motion network of ResNet encoder and monodepth2's pose decoder.

    Args:
        layers: number of layers of the encoder: 18, 34 or 50.
        initial_forward: metres along the optical axis between two frames that the untrained network predicts.

    >>> import torch
    >>> PoseResNet()(torch.rand(1, 3, 64, 64), torch.rand(1, 2, 3, 64, 64), offsets=(-1, 1)).shape
    torch.Size([1, 2, 4, 4])
    """

    def __init__(self, layers: int = LAYERS, initial_forward: float = 0.0) -> None:
        super().__init__(ResNetEncoder(layers, channels_in=3 * IMAGES), initial_forward)
