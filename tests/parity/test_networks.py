"""Networks with the reference's weights give the reference's outputs (see the README beside the golden values)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fill import fill, smooth_image
from torch import nn

from packdepth.interop.packnet_sfm import depth_resnet_name, pose_resnet_name
from packdepth.networks.depth_resnet import DepthResNet
from packdepth.networks.packnet import PackNet
from packdepth.networks.pose_resnet import PoseResNet
from packdepth.networks.posenet import PoseNet


def same(name: str) -> str:
    return name


def load(network: nn.Module, golden: np.lib.npyio.NpzFile, name: Callable[[str], str]) -> nn.Module:
    """The network with the reference's deterministic weights, all of them but its unused classifier's."""
    shapes = {key: shape for key, shape in json.loads(str(golden["keys"])).items() if ".fc." not in key}
    theirs = {name(ours): ours for ours in network.state_dict()}
    assert theirs.keys() == shapes.keys()
    network.load_state_dict({theirs[key]: torch.from_numpy(np.asarray(fill(key, s))) for key, s in shapes.items()})
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
    build, renamed = DEPTH[name]
    values = np.load(golden / f"{name}.npz")
    with torch.inference_mode():
        scales = load(build(), values, renamed)(image(values, str(values["image_name"])))
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
