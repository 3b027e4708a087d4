"""Networks with the reference's weights give the reference's outputs (see the README beside the golden values).

A file does not say which network it is of: it is that whose tensors have the names and shapes of the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from fill import fill, smooth_image
from torch import nn

from packdepth.interop.packnet_sfm import depth_resnet_name, pose_resnet_name
from packdepth.networks.depth_resnet import DepthResNet
from packdepth.networks.packnet import PackNet
from packdepth.networks.pose_resnet import PoseResNet
from packdepth.networks.posenet import PoseNet


def same(name: str) -> str:
    """Our name of a tensor of the reference's PackNet and PoseNet."""
    return name


Build = Callable[[], nn.Module]
Rename = Callable[[str], str]

DEPTH: list[tuple[Build, Rename]] = [
    (lambda: PackNet("1A"), same),
    (lambda: PackNet("1B"), same),
    (lambda: PackNet("slim-1A"), same),
    *((partial(DepthResNet, layers), depth_resnet_name) for layers in (18, 34, 50)),
]
POSE: list[tuple[Build, Rename]] = [
    (lambda: PoseNet(images=3), same),
    *((partial(PoseResNet, layers), pose_resnet_name) for layers in (18, 34, 50)),
]


def load(values: np.lib.npyio.NpzFile, networks: list[tuple[Build, Rename]]) -> nn.Module:
    """The network that a file is of, with the reference's weights, those of its unused classifier left out."""
    shapes = {name: tuple(s) for name, s in json.loads(str(values["keys"])).items() if ".fc." not in name}
    for build, rename in networks:
        with torch.device("meta"):
            ours = {rename(name): (name, tuple(tensor.shape)) for name, tensor in build().state_dict().items()}
        if {name: shape for name, (_, shape) in ours.items()} == shapes:
            network = build()
            weights = {ours[name][0]: torch.from_numpy(np.asarray(fill(name, s))) for name, s in shapes.items()}
            network.load_state_dict(weights)
            return network.eval()
    raise AssertionError("none of our networks has tensors of these names and shapes")


def image(values: np.lib.npyio.NpzFile, name: str) -> torch.Tensor:
    return torch.from_numpy(smooth_image(str(name), tuple(values["image_shape"])))


def test_depth_network(depth_file: Path) -> None:
    values = np.load(depth_file)
    with torch.inference_mode():
        scales = load(values, DEPTH)(image(values, values["image_name"]))
    torch.testing.assert_close(scales[0], torch.from_numpy(values["inv_depth_eval"]), rtol=1e-4, atol=1e-6)
    for s, scale in enumerate(scales):
        torch.testing.assert_close(scale, torch.from_numpy(values[f"inv_depth_train_{s}"]), rtol=1e-4, atol=1e-6)


def test_pose_network(pose_file: Path) -> None:
    values = np.load(pose_file)
    network = load(values, POSE)
    target, *context = (image(values, name) for name in (values["image_name"], *values["context_names"]))
    with torch.inference_mode():
        if isinstance(network, PoseNet):
            vectors = network.vectors(torch.cat([target, *context], dim=1))
        else:
            assert isinstance(network, PoseResNet)
            pairs = [network.pair_motion(torch.cat([target, frame], dim=1)) for frame in context]
            vectors = torch.stack(pairs, dim=1)
    torch.testing.assert_close(vectors, torch.from_numpy(values["pose_vec"]), rtol=1e-5, atol=1e-7)
