"""TwoStreamPoseNet: ego-motion from colors and predicted depth (after Ambrus et al., CoRL 2019, arXiv 1910.01764).

As in the paper, one stream gets the pair of images, the other one the pair of predicted depth maps, and both are fused.
The layers of the paper are not published. This network uses those of PoseNet and its own fusion.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from packdepth.networks.blocks import RegressedPoseBlock
from packdepth.networks.ego_motion import PUBLISHED, ROTATION, TRANSLATION, PairPoseNetwork, scaled_motion, start_motion
from packdepth.networks.posenet import CHANNELS, initialize, pose_layer

Fusion = Literal["early", "middle", "late"]
DepthEncoding = Literal["log", "inverse"]
LengthUnit = Literal["depth", "metre"]

STREAM_LAYERS: dict[Fusion, int] = {"early": 0, "middle": 4, "late": len(CHANNELS)}  # layers before the fusion
COLORS, DEPTHS = (0, 1, 2, 4, 5, 6), (3, 7)  # channels of a pair of views
TYPICAL_DEPTH = 10.0  # metres, about the mean depth of a street: with this mean depth, `unit: depth` is one metre
MIN_RATIO = 0.01  # lower bound of inverse depth over its mean, before the logarithm: limits the input for the sky


class TwoStreamBlock(RegressedPoseBlock):
    """Ego-motion from a pair of images and the depth predicted for both (after Ambrus et al., CoRL 2019).

    With `unit: depth`, the initial motion is `initial_forward` at a harmonic mean depth of 10 metres, and proportional
    to this depth.

    >>> TwoStreamBlock(fusion="late").uses_depth
    True
    """

    kind: Literal["two_stream"] = "two_stream"
    fusion: Fusion = "middle"
    """Place where the streams of color and depth are fused: `early`, `middle` or `late`.

    early: at the input. middle: after four of seven layers. late: after all seven layers.
    """
    encoding: DepthEncoding = "log"
    """Input of the depth stream, computed from the ratio of inverse depth and its mean: `log` or `inverse`.

    log: the logarithm of the ratio. inverse: the ratio minus one.
    """
    unit: LengthUnit = "depth"
    """Unit in which the layers predict the translation: `depth` or `metre`.

    depth: a tenth of the harmonic mean depth, so that the ego-motion has the scale of the predicted depth. metre: one
    metre.
    """
    depth_gradient: bool = False
    """Let the gradient flow through the ego-motion into the depth network."""

    training_options: ClassVar[frozenset[str]] = RegressedPoseBlock.training_options | {"depth_gradient"}
    uses_depth: ClassVar[bool] = True

    def build(self) -> TwoStreamPoseNet:
        """Return the network with random weights."""
        return TwoStreamPoseNet(
            self.fusion, self.encoding, self.unit, self.depth_gradient, self.initial_forward, self.motion_scales
        )


class TwoStreamPoseNet(PairPoseNetwork):
    """An ego-motion network of a pair of frames and their inverse depth.

    A camera alone cannot measure the length of its motion; the images determine it in units of the depth of the scene.
    So by default the layers get depth divided by its mean, and predict the translation in a unit that is proportional
    to this mean: if all depth is multiplied by a factor, the translation is multiplied by exactly this factor. The
    ego-motion then has the scale of the depth network, in metres if that is metric, even on roads and at speeds that
    were not in the training data.

    Args:
        fusion: `early` joins the streams at the input, `middle` joins their features after four of seven layers, `late`
            after all of them, before the motion is regressed.
        encoding: `log` is the logarithm of inverse depth over its mean, `inverse` this ratio minus one; both are 0
            where depth is unknown and where it equals the mean.
        unit: unit of the translation that the layers predict: `depth`, a tenth of the harmonic mean depth of the pair,
            or `metre`. With `depth` the layers get depth divided by its mean, with `metre` divided by 10 m.
        depth_gradient: whether the gradient flows through the inverse depth of the views into the depth network.
        initial_forward: metres along the optical axis between two frames that the untrained network predicts, at a mean
            depth of 10 m.
        motion_scales: metres and radians for each unit of translation and rotation that the last convolution gives.

    >>> network = TwoStreamPoseNet("middle", "log", "depth")
    >>> network(torch.rand(1, 4, 128, 128), torch.rand(1, 2, 4, 128, 128), offsets=(-1, 1)).shape
    torch.Size([1, 2, 4, 4])
    """

    uses_depth: ClassVar[bool] = True

    def __init__(
        self,
        fusion: Fusion,
        encoding: DepthEncoding,
        unit: LengthUnit,
        depth_gradient: bool = False,
        initial_forward: float = 0.0,
        motion_scales: tuple[float, float] = PUBLISHED,
    ) -> None:
        super().__init__()
        self.motion_scales = motion_scales
        self.encoding, self.unit, self.depth_gradient = encoding, unit, depth_gradient
        own = STREAM_LAYERS[fusion]
        # Weights of all checkpoints have this British spelling, so it must stay.
        self.colour, color_channels = _layers(0, own, len(COLORS))
        self.depth, depth_channels = _layers(0, own, len(DEPTHS))
        self.joint, channels = _layers(own, len(CHANNELS), color_channels + depth_channels)
        self.pose_pred = nn.Conv2d(channels, 6, 1)
        initialize(self)
        start_motion(self.pose_pred, initial_forward, motion_scales)

    def pair_motion(self, pair: Tensor) -> Tensor:
        """Return six-vectors [B, 6] of T_later_earlier."""
        inv_depth = pair[:, DEPTHS] if self.depth_gradient else pair[:, DEPTHS].detach()
        if self.unit == "depth":
            mean = mean_inv_depth(inv_depth)
        else:
            mean = inv_depth.new_full((pair.shape[0], 1, 1, 1), 1 / TYPICAL_DEPTH)
        streams = [self.colour(pair[:, COLORS]), self.depth(encoded(inv_depth / mean, self.encoding))]
        motion = self.pose_pred(self.joint(torch.cat(streams, dim=1))).mean((2, 3)).float()
        motion = scaled_motion(motion[:, TRANSLATION], motion[:, ROTATION], self.motion_scales)
        return torch.cat([motion[:, TRANSLATION] / (TYPICAL_DEPTH * mean.flatten(1)), motion[:, ROTATION]], dim=1)


def mean_inv_depth(inv_depth: Tensor) -> Tensor:
    """Return the mean of the known inverse depths of each sample, which is one over the harmonic mean depth.

    The mean image motion that a translation causes is about proportional to this mean. Without any known depth the
    result is 1 / 10 m.

    Args:
        inv_depth: inverse depths [B, C, H, W], 1/metres, 0 where unknown.

    Returns:
        [B, 1, 1, 1], 1/metres.

    >>> mean_inv_depth(torch.tensor([[[[0.0, 0.1, 0.3]]]])).flatten()
    tensor([0.2000])
    """
    known = (inv_depth > 0).sum((1, 2, 3), keepdim=True)
    mean = inv_depth.sum((1, 2, 3), keepdim=True) / known.clamp(min=1)
    return torch.where(mean > 0, mean, 1 / TYPICAL_DEPTH)


def encoded(ratio: Tensor, encoding: DepthEncoding) -> Tensor:
    """Return the input of the depth stream. It is 0 where inverse depth is unknown or equal to its mean.

    Args:
        ratio: inverse depth over its mean, of any shape, 0 where unknown.
        encoding: `log` for the logarithm, `inverse` for the ratio minus one.

    >>> encoded(torch.tensor([0.0, 1.0, 2.0]), "inverse")
    tensor([0., 0., 1.])
    """
    known = ratio.clamp(min=MIN_RATIO).log() if encoding == "log" else ratio - 1
    return torch.where(ratio > 0, known, 0)


def _layers(first: int, last: int, channels: int) -> tuple[nn.Sequential, int]:
    """Return PoseNet's layers `first` to `last` - 1, and the number of channels of their result."""
    layers = []
    for index in range(first, last):
        layers.append(pose_layer(index, channels))
        channels = CHANNELS[index]
    return nn.Sequential(*layers), channels
