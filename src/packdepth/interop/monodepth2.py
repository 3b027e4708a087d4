"""Checkpoints of monodepth2 (Godard et al. 2019): a folder with a file for each half of a network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from packdepth.errors import InputError
from packdepth.interop.found import Found, Part, state_dict
from packdepth.interop.layouts import CLASSIFIER, RESNETS, Layout
from packdepth.interop.pickles import read_pickle
from packdepth.networks.depth_resnet import DepthResNetBlock
from packdepth.networks.pose_resnet import PoseResNetBlock

ENCODER, DEPTH, POSE_ENCODER, POSE = "encoder.pth", "depth.pth", "pose_encoder.pth", "pose.pth"
ABOUT = ("height", "width", "use_stereo")  # entries of encoder.pth that are no tensors
WRAPPER = "module."  # prefix of the tensors of a network that was trained under DataParallel
POSE_LAYERS = ("squeeze", "pose0", "pose1", "pose2")  # layers of our PoseResNet, in order of use
STEREO = "stereo with a baseline of 0.1, so that times 5.4 it is metres on KITTI's rig"


def depth_name(ours: str) -> str:
    """Return monodepth2's name of a tensor of DepthResNet. Its decoder numbers convolutions in order of use.

    Args:
        ours: our name of the tensor.

    >>> depth_name("decoder.disparity.0.weight")
    'decoder.10.conv.weight'
    """
    match = re.fullmatch(r"decoder\.(before|after|disparity)\.(\d)\.(\w+)", ours)
    if not match:
        return ours
    part, level, kind = match[1], int(match[2]), match[3]
    if part == "disparity":
        return f"decoder.{10 + level}.conv.{kind}"
    return f"decoder.{2 * (4 - level) + (part == 'after')}.conv.conv.{kind}"


def pose_name(ours: str) -> str:
    """Return monodepth2's name of a tensor of PoseResNet.

    Args:
        ours: our name of the tensor.

    >>> pose_name("squeeze.bias")
    'net.0.bias'
    """
    layer, _, kind = ours.partition(".")
    return f"net.{POSE_LAYERS.index(layer)}.{kind}" if layer in POSE_LAYERS else ours


DEPTH_LAYOUTS = [
    Layout(f"ResNet {n}", DepthResNetBlock(kind="depth_resnet", layers=n), depth_name, CLASSIFIER) for n in RESNETS
]
POSE_LAYOUTS = [
    Layout(f"pose ResNet {n}", PoseResNetBlock(kind="pose_resnet", layers=n), pose_name, CLASSIFIER) for n in RESNETS
]


def read(folder: Path) -> Found:
    """Return the content of a checkpoint.

    Args:
        folder: the folder of the checkpoint.

    Raises InputError if a file is missing or broken.
    """
    depth, about = _network(folder, ENCODER, DEPTH)
    networks, others = {"depth": Part(depth, DEPTH_LAYOUTS)}, [name for name in about if name not in ABOUT]
    if any((folder / name).exists() for name in (POSE_ENCODER, POSE)):
        pose, beside = _network(folder, POSE_ENCODER, POSE)
        networks["pose"] = Part(pose, POSE_LAYOUTS)
        others += beside
    height, width = about.get("height"), about.get("width")
    return Found(
        project="monodepth2",
        networks=networks,
        others=others,
        image_size=(height, width) if isinstance(height, int) and isinstance(width, int) else None,
        metric=False,
        scale_source=STEREO if about.get("use_stereo") else "none",
    )


def _network(folder: Path, encoder: str, decoder: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of the two halves of a network, and the other entries of their files."""
    for name, other in ((encoder, decoder), (decoder, encoder)):
        if not (folder / name).is_file():
            advice = "add it" if name in (ENCODER, DEPTH) else f"add it, or move {other} away to use depth alone"
            raise InputError(f"{folder}: holds {other} but not {name}, the other half of its network; {advice}")
    tensors, rest = _half(folder / encoder)
    more, more_rest = _half(folder / decoder)
    twice = {name: value for name, value in more.items() if name in tensors}
    return more | tensors, more_rest | rest | twice


def _half(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of half a network, without the prefix that DataParallel gives them, and its other entries."""
    tensors, rest = state_dict(read_pickle(path), path)
    if all(name.startswith(WRAPPER) for name in tensors):
        tensors = {name.removeprefix(WRAPPER): tensor for name, tensor in tensors.items()}
    return tensors, rest
