"""A tiny checkpoint with random weights, images, and its exported networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from described import described
from PIL import Image
from torch import nn

from packdepth import checkpoint
from packdepth.checkpoint import Checkpoint, TrainedCamera
from packdepth.config import parse_run
from packdepth.export.command import export

SIZE = (32, 64)
META = described(
    epoch=3,
    step=1200,
    clips=["folder/a"],
    frames=51,
    trained_cameras=[TrainedCamera(width=83, height=45, fx=50, fy=50, cx=41, cy=22)],
)

Write = Callable[..., Path]


def move(network: nn.Module) -> None:
    """Add noise to parameters that training moves away from 0, or from the identity: biases, and those of guidance."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() == 1 or "guidance" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))


def write_checkpoint(folder: Path, depth: dict[str, Any], pose: dict[str, Any] | None = None) -> Path:
    """Write a checkpoint of random weights."""
    networks = {"depth": depth} | ({} if pose is None else {"pose": pose})
    objective = [{"kind": "photometric"}] if pose else [{"kind": "stereo", "both": False}]
    if depth.get("uncertainty"):
        objective.append({"kind": "uncertainty"})
    context = [-1, 1] if pose else []
    values = {
        "data": {"train": [{"kind": "folder", "root": "/clips"}], "image_size": list(SIZE), "context": context},
        "networks": networks,
        "objective": objective,
        "training": {"epochs": 3},
    }
    run = parse_run(values, "test")
    torch.manual_seed(0)
    modules = {name: block.assemble() for name, block in run.networks if block is not None}
    for module in modules.values():
        move(module)
    weights = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    checkpoint.write(folder, Checkpoint(run, META, weights))
    return folder


@pytest.fixture(scope="session")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A metric checkpoint of a ResNet, which is exported in a third of the time of PackNet. Not to be written to."""
    folder = tmp_path_factory.mktemp("checkpoint") / "best"
    return write_checkpoint(folder, {"kind": "depth_resnet"}, {"kind": "posenet", "initial_forward": 0.5})


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three smooth images, of odd size and not the network's."""
    folder = tmp_path_factory.mktemp("images")
    v, u = np.mgrid[:45, :83]
    for index in range(3):
        waves = [np.sin(u / 7 + phase + index) + np.cos(v / 5 - phase) for phase in (0, 1, 2)]
        pixels = ((np.stack(waves, axis=-1) + 2) / 4 * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="session")
def model(checkpoint_folder: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint as ONNX, for any number of images, with its ego-motion network. Not to be written to."""
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export(checkpoint_folder, path, batch="dynamic", pose=True, images=images)
    return path
