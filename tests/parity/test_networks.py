"""Networks with the reference's weights give the reference's outputs (see the README beside the golden values)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fill import fill, smooth_image
from torch import nn

from packdepth.networks.depth_resnet import DepthResNet
from packdepth.networks.packnet import PackNet
from packdepth.networks.pose_resnet import PoseResNet
from packdepth.networks.posenet import PoseNet


def same(name: str) -> str:
    return name


def depth_resnet_name(name: str) -> str:
    """Our name of a tensor of the reference's DepthResNet."""
    match = re.fullmatch(r"decoder\.decoder\.(\d+)(?:\.conv)+\.(weight|bias)", name)
    if not match:
        return name.replace("encoder.encoder.", "encoder.")
    index, kind = int(match[1]), match[2]
    if index >= 10:
        return f"decoder.disparity.{index - 10}.{kind}"
    return f"decoder.{'after' if index % 2 else 'before'}.{4 - index // 2}.{kind}"


def pose_resnet_name(name: str) -> str:
    """Our name of a tensor of the reference's PoseResNet."""
    layers = ("squeeze", "pose0", "pose1", "pose2")
    name = re.sub(r"decoder\.net\.(\d)", lambda match: layers[int(match[1])], name)
    return name.replace("encoder.encoder.", "encoder.")


def load(network: nn.Module, golden: np.lib.npyio.NpzFile, rename: Callable[[str], str]) -> nn.Module:
    """The network with the reference's deterministic weights, less those of its unused classifier."""
    shapes = json.loads(str(golden["keys"]))
    weights = {
        rename(name): torch.from_numpy(np.asarray(fill(name, s))) for name, s in shapes.items() if ".fc." not in name
    }
    network.load_state_dict(weights)
    return network.eval()


def image(golden: np.lib.npyio.NpzFile, name: str) -> torch.Tensor:
    return torch.from_numpy(smooth_image(name, tuple(golden["image_shape"])))


DEPTH = {
    "packnet01_1A": (lambda: PackNet("1A"), same),
    "packnet01_1B": (lambda: PackNet("1B"), same),
    "packnetslim01_1A": (lambda: PackNet("slim-1A"), same),
    "depthresnet_18": (lambda: DepthResNet(18), depth_resnet_name),
    "depthresnet_50": (lambda: DepthResNet(50), depth_resnet_name),
}


@pytest.mark.parametrize("name", DEPTH)
def test_depth_network(golden: Path, name: str) -> None:
    build, rename = DEPTH[name]
    values = np.load(golden / f"{name}.npz")
    with torch.inference_mode():
        scales = load(build(), values, rename)(image(values, str(values["image_name"])))
    torch.testing.assert_close(scales[0], torch.from_numpy(values["inv_depth_eval"]), rtol=1e-4, atol=1e-6)
    for s, scale in enumerate(scales):
        torch.testing.assert_close(scale, torch.from_numpy(values[f"inv_depth_train_{s}"]), rtol=1e-4, atol=1e-6)


def test_posenet(golden: Path) -> None:
    values = np.load(golden / "posenet.npz")
    images = [image(values, str(name)) for name in (values["image_name"], *values["context_names"])]
    network = load(PoseNet(images=3), values, same)
    assert isinstance(network, PoseNet)
    with torch.inference_mode():
        vectors = network.vectors(torch.cat(images, dim=1))
    torch.testing.assert_close(vectors, torch.from_numpy(values["pose_vec"]), rtol=1e-5, atol=1e-7)


def test_pose_resnet(golden: Path) -> None:
    values = np.load(golden / "poseresnet_18.npz")
    target = image(values, str(values["image_name"]))
    network = load(PoseResNet(18), values, pose_resnet_name)
    assert isinstance(network, PoseResNet)
    for i, name in enumerate(values["context_names"]):
        with torch.inference_mode():
            vector = network.pair_motion(torch.cat([target, image(values, str(name))], dim=1))
        torch.testing.assert_close(vector, torch.from_numpy(values["pose_vec"][:, i]), rtol=1e-5, atol=1e-7)
