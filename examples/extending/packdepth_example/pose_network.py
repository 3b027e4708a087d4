"""A small network that predicts the motion between two frames."""

from itertools import pairwise
from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from packdepth.networks import PairPoseNetwork, PoseNetworkBlock, start_forward

SCALE = 0.01  # of the output: an untrained network predicts hardly any motion


class SmallPoseNetBlock(PoseNetworkBlock):
    """Options of the small pose network in a run file."""

    kind: Literal["small_posenet"] = "small_posenet"
    width: PositiveInt = 16
    """Channels of the first layer; they double with each layer."""

    def build(self) -> PairPoseNetwork:
        """Return the network with random weights."""
        return SmallPoseNet(self.width, self.initial_forward)


class SmallPoseNet(PairPoseNetwork):
    """Four strided convolutions; the motion is the mean over their last feature map."""

    def __init__(self, width: int, initial_forward: float) -> None:
        super().__init__()
        channels = [6, width, width * 2, width * 4, width * 8]
        layers = [
            nn.Sequential(nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1), nn.ReLU())
            for channels_in, channels_out in pairwise(channels)
        ]
        self.layers = nn.Sequential(*layers)
        self.vector = nn.Conv2d(channels[-1], 6, 1)
        start_forward(self.vector, initial_forward, translation_z=2, scale=SCALE)

    def pair_motion(self, pair: Tensor) -> Tensor:
        """Return the motions [B, 6] of pairs of images [B, 6, H, W], the earlier image of a pair first."""
        motion: Tensor = SCALE * self.vector(self.layers(pair)).mean((2, 3))
        return motion
