"""From the networks block of a run file to networks."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from packdepth.config import (
    DepthConfig,
    GuidanceConfig,
    LabelMaps,
    PackNetConfig,
    PoseConfig,
    PoseNetConfig,
    SuperDepthConfig,
    TwoStreamConfig,
)
from packdepth.networks.depth_resnet import DepthResNet
from packdepth.networks.ego_motion import PairPoseNetwork
from packdepth.networks.flip import FlipFused
from packdepth.networks.guided import Guidance, LabelGuidance, NetworkGuidance
from packdepth.networks.packnet import PackNet
from packdepth.networks.pose_resnet import PoseResNet
from packdepth.networks.posenet import PoseNet
from packdepth.networks.resnet_depth import ResNetDepth
from packdepth.networks.superdepth import SuperDepth
from packdepth.networks.twostream import TwoStreamPoseNet


def depth_network(config: DepthConfig, semantics: Path | None = None) -> nn.Module:
    """The depth network: image [B, 3, H, W] to inverse depths [B, 1, H / 2^s, W / 2^s], finest first.

    Args:
        config: of the network.
        semantics: a checkpoint's copy of the network that guides it; None for the one that the config names.
    """
    network: PackNet | ResNetDepth
    if isinstance(config, PackNetConfig):
        network = PackNet(config.preset, config.dropout, config.initial_depth)
    else:
        kind = SuperDepth if isinstance(config, SuperDepthConfig) else DepthResNet
        network = kind(config.layers, config.min_depth, config.max_depth, config.initial_depth)
    guidance = config.guidance
    if guidance is not None:
        channels: dict[int, int] = {stride: network.decoder_channels[stride] for stride in guidance.strides}
        network.guidance = _guidance(guidance, channels, semantics)
    return FlipFused(network) if config.flip else network


def _guidance(config: GuidanceConfig, channels: dict[int, int], semantics: Path | None) -> Guidance:
    if isinstance(config.semantics, LabelMaps):
        return LabelGuidance(config.semantics.classes, channels, config.kernel)
    return NetworkGuidance(config.semantics.build(semantics), channels, config.kernel)


def pose_network(config: PoseConfig) -> PairPoseNetwork:
    """The pose network: target, context and their offsets to T_context_target [B, N, 4, 4]."""
    network = _pair_network(config)
    network.sparsity = config.sparsity
    return network


def _pair_network(config: PoseConfig) -> PairPoseNetwork:
    if isinstance(config, PoseNetConfig):
        return PoseNet(initial_forward=config.initial_forward)
    if isinstance(config, TwoStreamConfig):
        return TwoStreamPoseNet(
            config.fusion, config.encoding, config.unit, config.depth_gradient, config.initial_forward
        )
    return PoseResNet(config.layers, config.initial_forward)
