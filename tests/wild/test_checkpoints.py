"""Checkpoints as other trainings leave them: wrapped, or with weights that are no numbers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import world
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

import packdepth
from packdepth.cli import main
from packdepth.config import parse_run
from packdepth.errors import InputError
from packdepth.inference.predictor import load
from packdepth.interop.monodepth2 import depth_name, pose_name
from packdepth.networks.depth_resnet import DepthResNetBlock
from packdepth.networks.pose_resnet import PoseResNetBlock
from packdepth.training.run import train

from .conftest import Command

WRAPPED = ("encoder.pth", "depth.pth", "pose_encoder.pth", "pose.pth")


def monodepth2(folder: Path, prefix: str = "") -> Path:
    """Write random networks as monodepth2 does, with a prefix for each tensor."""
    folder.mkdir()
    torch.manual_seed(0)
    networks = (
        (DepthResNetBlock(kind="depth_resnet", layers=18), depth_name, "encoder.pth", "depth.pth"),
        (PoseResNetBlock(kind="pose_resnet", layers=18), pose_name, "pose_encoder.pth", "pose.pth"),
    )
    for block, name, encoder, decoder in networks:
        halves: dict[str, dict[str, Any]] = {encoder: {}, decoder: {}}
        for ours, tensor in block.assemble().state_dict().items():
            theirs = name(ours)
            halves[encoder if theirs.startswith("encoder.") else decoder][prefix + theirs] = tensor
        if encoder == "encoder.pth":
            halves[encoder] |= {"height": 64, "width": 96, "use_stereo": False}
        for file, tensors in halves.items():
            torch.save(tensors, folder / file)
    return folder


def test_a_folder_of_monodepth2_trained_under_data_parallel_opens_and_predicts_the_same(tmp_path: Path) -> None:
    image = (np.random.default_rng(0).random((64, 96, 3)) * 255).astype(np.uint8)
    plain, wrapped = (
        load(monodepth2(tmp_path / name, prefix), "cpu") for name, prefix in (("a", ""), ("b", "module."))
    )
    assert wrapped.run.networks == plain.run.networks
    np.testing.assert_array_equal(wrapped.predict(image).depth, plain.predict(image).depth)
    images = [image, np.roll(image, 2, 1)]
    np.testing.assert_array_equal(wrapped.ego_motion(images), plain.ego_motion(images))


@pytest.mark.parametrize("file", WRAPPED)
def test_one_wrapped_file_of_four_makes_no_difference(tmp_path: Path, file: str) -> None:
    folder = monodepth2(tmp_path / "a")
    content = torch.load(folder / file, weights_only=True)
    kept = {name if name in ("height", "width", "use_stereo") else f"module.{name}": x for name, x in content.items()}
    torch.save(kept, folder / file)
    assert load(folder, "cpu").run.networks.pose is not None


def test_a_foreign_checkpoint_whose_weights_are_not_finite_is_refused(tmp_path: Path) -> None:
    folder = monodepth2(tmp_path / "a")
    content = torch.load(folder / "depth.pth", weights_only=True)
    content["decoder.0.conv.conv.weight"][0, 0, 0, 0] = torch.inf
    torch.save(content, folder / "depth.pth")
    with pytest.raises(InputError, match=r"1 of its \d+ tensors hold numbers that are not finite, such as depth\."):
        packdepth.load(folder, "cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of one step."""
    folder = tmp_path_factory.mktemp("run")
    content = {
        "data": {"train": [{"kind": "folder", "root": str(world.write(folder / "clip"))}], "image_size": [32, 64]},
        "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
        "objective": [{"kind": "photometric"}],
        "training": {"epochs": 1, "epoch_steps": 1, "batch_size": 1, "accelerator": "cpu"},
    }
    train(parse_run(content, "run"), folder / "out")
    return folder


@pytest.mark.parametrize("kind", [torch.int32, torch.bool, torch.complex64])
def test_weights_of_another_kind_of_numbers_are_not_converted(trained: Path, tmp_path: Path, kind: torch.dtype) -> None:
    name = _change(trained, tmp_path / "best", lambda weight: weight.to(kind))
    with pytest.raises(InputError, match=rf"another kind of numbers .* such as {name} \(\w+, where float32 is needed"):
        packdepth.load(tmp_path / "best", "cpu")
    assert _start_from(trained, tmp_path) == 2


def test_weights_that_do_not_fit_start_no_training(trained: Path, tmp_path: Path) -> None:
    _change(trained, tmp_path / "best", lambda weight: weight[:1].contiguous())
    assert _start_from(trained, tmp_path) == 2


def test_a_prediction_that_is_no_number_is_no_depth(trained: Path, tmp_path: Path, command: Command) -> None:
    _change(trained, tmp_path / "best", lambda weight: weight * 0 + 1e38)
    status, _, messages = command("predict", tmp_path / "best", trained / "clip", "-o", tmp_path / "out")
    assert status == 2
    assert "predicts inverse depths that are negative or not finite" in messages
    assert not list((tmp_path / "out").rglob("*.npz"))


def _start_from(trained: Path, folder: Path) -> int:
    """Begin a training with the depth network of the checkpoint `best` in a folder, and return the exit status."""
    values = yaml.safe_load((trained / "out/best/run.yaml").read_text())
    (folder / "next.yaml").write_text(yaml.safe_dump(values | {"initial": {"depth": str(folder / "best")}}))
    return main(["train", str(folder / "next.yaml"), "-o", str(folder / "next")])


def _change(trained: Path, folder: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> str:
    """Write a trained checkpoint into a folder, with its first weight changed, and return the name of this weight."""
    shutil.copytree(trained / "out/best", folder)
    weights = load_file(folder / "weights.safetensors")
    name = next(name for name in weights if name.startswith("depth.") and weights[name].ndim == 4)
    save_file(weights | {name: change(weights[name])}, folder / "weights.safetensors")
    return name


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused_by_every_command(
    trained: Path, tmp_path: Path, command: Command, value: float
) -> None:
    checkpoint = tmp_path / "best"
    checkpoint.mkdir()
    for file in (trained / "out/best").iterdir():
        (checkpoint / file.name).write_bytes(file.read_bytes())
    weights = load_file(checkpoint / "weights.safetensors")
    name = next(name for name in weights if name.startswith("depth."))
    weights[name].flatten()[0] = value
    save_file(weights, checkpoint / "weights.safetensors")
    told = f"weights.safetensors: 1 of its {len(weights)} tensors hold numbers that are not finite, such as {name};"
    with pytest.raises(InputError, match=r"tensors hold numbers that are not finite"):
        packdepth.load(checkpoint)
    image = tmp_path / "image.png"
    Image.fromarray(world.picture(0)).save(image)
    clip = trained / "clip"
    for arguments in (
        ("predict", checkpoint, image, "-o", tmp_path / "out"),
        ("evaluate", checkpoint, "--protocol", "folder", "--data", clip),
        ("evaluate", checkpoint, "--protocol", "own", "--data", clip),
        ("odometry", checkpoint, clip, "-o", tmp_path / "out"),
        ("calibrate", checkpoint, clip, "-o", tmp_path / "calibrated"),
    ):
        status, output, messages = command(*arguments)
        assert (status, output) == (2, ""), arguments
        assert told in messages, arguments
    values = yaml.safe_load((trained / "out/best/run.yaml").read_text())
    (tmp_path / "next.yaml").write_text(yaml.safe_dump(values | {"initial": {"depth": str(checkpoint)}}))
    assert main(["train", str(tmp_path / "next.yaml"), "-o", str(tmp_path / "next")]) == 2
    assert not (tmp_path / "next").exists()
