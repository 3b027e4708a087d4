"""Networks of depth and ego-motion. One file holds one network: its block and its own layers.

To add a network, add a file with a subclass of `DepthNetworkBlock` or `PoseNetworkBlock`; nothing else changes.
`docs/extending.md` shows networks of an installed package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packdepth.lazy import lazy_names

if TYPE_CHECKING:
    from packdepth.networks.blocks import DepthNetworkBlock as DepthNetworkBlock
    from packdepth.networks.blocks import PoseNetworkBlock as PoseNetworkBlock
    from packdepth.networks.contract import DepthNetwork as DepthNetwork
    from packdepth.networks.contract import GuidedDepthNetwork as GuidedDepthNetwork
    from packdepth.networks.depth_resnet import DepthResNet as DepthResNet
    from packdepth.networks.ego_motion import PairPoseNetwork as PairPoseNetwork
    from packdepth.networks.ego_motion import start_forward as start_forward
    from packdepth.networks.layers.head import InverseDepthHead as InverseDepthHead
    from packdepth.networks.packnet import PackNet as PackNet
    from packdepth.networks.pose_resnet import PoseResNet as PoseResNet
    from packdepth.networks.posenet import PoseNet as PoseNet
    from packdepth.networks.superdepth import SuperDepth as SuperDepth
    from packdepth.networks.twostream import TwoStreamPoseNet as TwoStreamPoseNet
    from packdepth.networks.uncertainty import UncertainDepthNetwork as UncertainDepthNetwork

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "DepthNetwork": "packdepth.networks.contract",
        "DepthNetworkBlock": "packdepth.networks.blocks",
        "DepthResNet": "packdepth.networks.depth_resnet",
        "GuidedDepthNetwork": "packdepth.networks.contract",
        "InverseDepthHead": "packdepth.networks.layers.head",
        "PackNet": "packdepth.networks.packnet",
        "PairPoseNetwork": "packdepth.networks.ego_motion",
        "PoseNet": "packdepth.networks.posenet",
        "PoseNetworkBlock": "packdepth.networks.blocks",
        "PoseResNet": "packdepth.networks.pose_resnet",
        "SuperDepth": "packdepth.networks.superdepth",
        "TwoStreamPoseNet": "packdepth.networks.twostream",
        "UncertainDepthNetwork": "packdepth.networks.uncertainty",
        "start_forward": "packdepth.networks.ego_motion",
    },
)
