"""From the networks block of a run file to networks."""

from __future__ import annotations

from pathlib import Path

from packdepth.config import (
    DepthConfig,
    FpnSemantics,
    PackNetConfig,
    PoseConfig,
    PoseNetConfig,
    TransformersSemantics,
)
from packdepth.networks.depth_resnet import DepthResNet
from packdepth.networks.ego_motion import PairPoseNetwork
from packdepth.networks.guided import Guidance
from packdepth.networks.packnet import PackNet
from packdepth.networks.pose_resnet import PoseResNet
from packdepth.networks.posenet import PoseNet
from packdepth.networks.pretrained import load_pretrained
from packdepth.networks.semantics import SemanticNetwork, load_fpn


def depth_network(config: DepthConfig, semantics: Path | None = None) -> PackNet | DepthResNet:
    """The depth network: image [B, 3, H, W] to inverse depths [B, 1, H / 2^s, W / 2^s], finest first.

    Args:
        config: of the network.
        semantics: a checkpoint's copy of the network that guides it; None for the one that the config names.
    """
    network: PackNet | DepthResNet
    if isinstance(config, PackNetConfig):
        network = PackNet(config.preset, config.dropout, config.initial_depth)
    else:
        network = DepthResNet(config.layers, config.min_depth, config.max_depth, config.initial_depth)
    guidance = config.guidance
    if guidance is not None:
        channels: dict[int, int] = {stride: network.decoder_channels[stride] for stride in guidance.strides}
        network.guidance = Guidance(semantic_network(guidance.semantics, semantics), channels, guidance.kernel)
    return network


def semantic_network(config: FpnSemantics | TransformersSemantics, copy: Path | None = None) -> SemanticNetwork:
    """The segmentation network that a config names, or a copy of it. Raises InputError if it is not there."""
    if isinstance(config, FpnSemantics):
        return load_fpn(copy or config.checkpoint)
    return load_pretrained(str(copy or config.model))


def pose_network(config: PoseConfig) -> PairPoseNetwork:
    """The pose network: target, context and their offsets to T_context_target [B, N, 4, 4]."""
    if isinstance(config, PoseNetConfig):
        return PoseNet(initial_forward=config.initial_forward)
    return PoseResNet(config.layers, config.initial_forward)
