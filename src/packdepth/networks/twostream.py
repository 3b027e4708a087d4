"""TwoStreamPoseNet: ego-motion from colors and inferred depth (after Ambrus et al., CoRL 2019, arXiv 1910.01764).

The paper gives the idea: one stream sees the pair of images, the other the pair of depth maps that the depth network
infers, and both are fused. Its layers are not public; those of PoseNet are used here, the rest is this project's own.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from packdepth.networks.blocks import PoseNetworkBlock
from packdepth.networks.ego_motion import PairPoseNetwork, start_forward
from packdepth.networks.posenet import CHANNELS, SCALE, initialize, pose_layer

Fusion = Literal["early", "middle", "late"]
DepthEncoding = Literal["log", "inverse"]
LengthUnit = Literal["depth", "metre"]

APART: dict[Fusion, int] = {"early": 0, "middle": 4, "late": len(CHANNELS)}  # layers that each stream goes alone
COLORS, DEPTHS = (0, 1, 2, 4, 5, 6), (3, 7)  # channels of a pair of views
TYPICAL = 10.0  # metres: at this mean depth a motion in units of depth is one in metres
MIN_RATIO = 0.01  # of the mean inverse depth: depth that is farther is seen as this far


class TwoStreamBlock(PoseNetworkBlock):
    """Ego-motion from a pair of images and the depth inferred for both (after Ambrus et al., CoRL 2019).

    `initial_forward` is that of a scene whose harmonic mean depth is 10 metres.
    """

    kind: Literal["two_stream"] = "two_stream"
    fusion: Fusion = "middle"
    """Where the streams of color and depth meet: at the input, after four of seven layers, or after all of them."""
    encoding: DepthEncoding = "log"
    """How the depth stream sees depth: the logarithm of inverse depth over its mean, or that ratio itself."""
    unit: LengthUnit = "depth"
    """Unit of the predicted translation: the mean depth, so that it has the scale of the depth, or a metre."""
    depth_gradient: bool = False
    """Let the ego-motion's gradient into the depth network."""

    training_options: ClassVar[frozenset[str]] = PoseNetworkBlock.training_options | {"depth_gradient"}
    uses_depth: ClassVar[bool] = True

    def build(self) -> TwoStreamPoseNet:
        """Return the network with random weights."""
        return TwoStreamPoseNet(self.fusion, self.encoding, self.unit, self.depth_gradient, self.initial_forward)


class TwoStreamPoseNet(PairPoseNetwork):
    """Ego-motion of a pair of frames and their inverse depth.

    A camera alone cannot tell how long its way is; the images tell it in units of the depth of what they show. So by
    default layers see depth in units of its mean and predict the translation in that unit: if all depth is multiplied
    by a factor, the translation is too, exactly. Ego-motion then has the scale of the depth network, in metres where
    that is metric, on roads and at speeds that it has not been trained on.

    Args:
        fusion: `early` joins the streams at the input, `middle` their features after four of seven layers, `late`
            their features after all of them, before the motion is regressed.
        encoding: `log` shows the logarithm of inverse depth over its mean, `inverse` that ratio less one; both are 0
            where depth is unknown or is the mean.
        unit: of the translation that layers predict: `depth`, the harmonic mean depth of the pair (over 10 m), or
            `metre`. Layers see depth in units of its mean if it is the former, else of 10 m.
        depth_gradient: let the gradient through to the depth.
        initial_forward: metres along the optical axis between two frames that the untrained network predicts, at a mean
            depth of 10 m.
    """

    uses_depth: ClassVar[bool] = True

    def __init__(
        self,
        fusion: Fusion,
        encoding: DepthEncoding,
        unit: LengthUnit,
        depth_gradient: bool = False,
        initial_forward: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoding, self.unit, self.depth_gradient = encoding, unit, depth_gradient
        apart = APART[fusion]
        # Spelled so in the checkpoints of every version.
        self.colour, color_channels = _layers(0, apart, len(COLORS))
        self.depth, depth_channels = _layers(0, apart, len(DEPTHS))
        self.joint, channels = _layers(apart, len(CHANNELS), color_channels + depth_channels)
        self.pose_pred = nn.Conv2d(channels, 6, 1)
        initialize(self)
        start_forward(self.pose_pred, initial_forward, translation_z=2, scale=SCALE)

    def pair_motion(self, pair: Tensor) -> Tensor:
        """Six-vectors [B, 6] of T_later_earlier of pairs of views with inverse depth [B, 8, H, W]."""
        inv_depth = pair[:, DEPTHS] if self.depth_gradient else pair[:, DEPTHS].detach()
        mean = (
            mean_inv_depth(inv_depth) if self.unit == "depth" else inv_depth.new_full((len(pair), 1, 1, 1), 1 / TYPICAL)
        )
        streams = [self.colour(pair[:, COLORS]), self.depth(encoded(inv_depth / mean, self.encoding))]
        motion = SCALE * self.pose_pred(self.joint(torch.cat(streams, dim=1))).mean((2, 3)).float()
        return torch.cat([motion[:, :3] / (TYPICAL * mean.flatten(1)), motion[:, 3:]], dim=1)


def mean_inv_depth(inv_depth: Tensor) -> Tensor:
    """Mean of what is known (more than 0) of inverse depths [B, C, H, W]: [B, 1, 1, 1], 1/metres.

    One over the harmonic mean depth: by how much the image moves tells the translation in this unit. That of 10 m
    where nothing is known.
    """
    known = (inv_depth > 0).sum((1, 2, 3), keepdim=True)
    mean = inv_depth.sum((1, 2, 3), keepdim=True) / known.clamp(min=1)
    return torch.where(mean > 0, mean, 1 / TYPICAL)


def encoded(ratio: Tensor, encoding: DepthEncoding) -> Tensor:
    """Inverse depth in a unit, as a stream sees it: of any shape, 0 where it is unknown (0) or 1."""
    shown = ratio.clamp(min=MIN_RATIO).log() if encoding == "log" else ratio - 1
    return torch.where(ratio > 0, shown, 0)


def _layers(first: int, last: int, channels: int) -> tuple[nn.Sequential, int]:
    """PoseNet's layers from one index up to another, and the channels that come out."""
    layers = []
    for index in range(first, last):
        layers.append(pose_layer(index, channels))
        channels = CHANNELS[index]
    return nn.Sequential(*layers), channels
