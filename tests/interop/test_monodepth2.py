"""monodepth2's folders."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import packdepth
from packdepth.config import Imported
from packdepth.errors import InputError
from packdepth.geometry import se3
from packdepth.interop.read import read_foreign

from .conftest import Golden, save

ABOUT = {"height": 96, "width": 160, "use_stereo": False}


def halves(weights: dict[str, Tensor]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Encoder and decoder of a network of the reference, under monodepth2's names."""
    parts: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for name, tensor in weights.items():
        part, _, inner = name.partition(".")
        parts[part == "decoder"][inner] = tensor
    return parts


def write(folder: Path, depth: dict[str, Tensor], pose: dict[str, Tensor] | None = None, **about: Any) -> Path:
    """A folder as monodepth2 writes it."""
    folder.mkdir()
    encoder, decoder = halves(depth)
    save(encoder | ABOUT | about, folder / "encoder.pth", legacy=True)
    save(decoder, folder / "depth.pth", legacy=True)
    if pose is not None:
        encoder, decoder = halves(pose)
        save(encoder, folder / "pose_encoder.pth", legacy=True)
        save(decoder, folder / "pose.pth", legacy=True)
    return folder


@pytest.fixture
def hollow(reference: Golden, tmp_path: Path) -> Path:
    """A folder of zeros, with ego-motion."""
    return write(tmp_path / "mono", reference.hollow("depthresnet_18"), reference.hollow("poseresnet_18"))


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as error:
        packdepth.load(path)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{path}")
    return str(error.value)


def sized(reference: Golden, name: str) -> dict[str, Any]:
    """What encoder.pth says of the size of a network's inputs."""
    return dict(zip(("height", "width"), reference.size(name), strict=True))


def test_a_folder_predicts_what_the_reference_does(reference: Golden, tmp_path: Path) -> None:
    name = "depthresnet_18"
    folder = write(tmp_path / "mono", reference.weights(name), **sized(reference, name))
    save({"state": {}, "param_groups": []}, folder / "adam.pth")  # the optimizer's, of no concern
    prediction = packdepth.load(folder, "cpu").predict(reference.image(name))
    expected = reference.values(name)["inv_depth_eval"][0, 0]
    np.testing.assert_allclose(prediction.inv_depth, expected, rtol=1e-4, atol=1e-6)


def test_a_folder_gives_the_motion_that_the_reference_does(reference: Golden, tmp_path: Path) -> None:
    name = "poseresnet_18"
    depth, pose = reference.hollow("depthresnet_18"), reference.weights(name)
    predictor = packdepth.load(write(tmp_path / "mono", depth, pose, **sized(reference, name)), "cpu")
    (motion,) = predictor.ego_motion([reference.image(name), reference.image(name, "context_names", 0)])
    vector = torch.from_numpy(reference.values(name)["pose_vec"])[0, 0]
    np.testing.assert_allclose(motion, se3.from_vector(vector), atol=1e-6)  # an axis times an angle, not Euler


def test_what_is_known_of_it(hollow: Path) -> None:
    checkpoint = read_foreign(hollow)
    assert isinstance(checkpoint.run, Imported)
    assert checkpoint.run.imported_from == "monodepth2"
    assert checkpoint.run.image_size == (96, 160)
    assert checkpoint.run.networks.depth.kind == "depth_resnet"
    assert checkpoint.run.networks.pose is not None
    assert checkpoint.run.networks.pose.kind == "pose_resnet"
    assert (checkpoint.meta.metric, checkpoint.meta.scale_source) == (False, "none")
    assert all("classifier" in note for note in checkpoint.run.notes)


def test_fifty_layers(reference: Golden, tmp_path: Path) -> None:
    run = read_foreign(write(tmp_path / "mono", reference.hollow("depthresnet_50"))).run
    assert run.networks.depth.model_dump()["layers"] == 50
    assert run.networks.pose is None


def test_stereo_says_how_far_it_is_from_metres(reference: Golden, tmp_path: Path) -> None:
    meta = read_foreign(write(tmp_path / "stereo", reference.hollow("depthresnet_18"), use_stereo=True)).meta
    assert not meta.metric
    assert meta.scale_source == "stereo with a baseline of 0.1, so that times 5.4 it is metres on KITTI's rig"


def test_no_image_size(reference: Golden, tmp_path: Path) -> None:
    folder = write(tmp_path / "mono", reference.hollow("depthresnet_18"), height=None)
    with pytest.warns(UserWarning, match="image size of 192 x 640 is assumed"):
        assert read_foreign(folder).run.image_size == (192, 640)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_foreign(folder, (64, 96)).run.image_size == (64, 96)


@pytest.mark.parametrize(
    ("name", "other", "advice"),
    [
        ("encoder.pth", "depth.pth", "add it"),
        ("depth.pth", "encoder.pth", "add it"),
        ("pose_encoder.pth", "pose.pth", "add it, or move pose.pth away to use depth alone"),
        ("pose.pth", "pose_encoder.pth", "add it, or move pose_encoder.pth away to use depth alone"),
    ],
)
def test_half_a_network(hollow: Path, name: str, other: str, advice: str) -> None:
    (hollow / name).unlink()
    assert refusal(hollow) == f"{hollow}: holds {other} but not {name}, the other half of its network; {advice}"


def test_no_pose_network(hollow: Path) -> None:
    (hollow / "pose_encoder.pth").unlink()
    (hollow / "pose.pth").unlink()
    predictor = packdepth.load(hollow, "cpu")
    with pytest.raises(InputError, match="holds a depth network alone"):
        predictor.ego_motion([np.zeros((8, 8), np.uint8)] * 2)


def test_a_file_that_fits_in_part(reference: Golden, hollow: Path) -> None:
    _, decoder = halves(reference.hollow("depthresnet_18"))
    del decoder["decoder.13.conv.bias"]
    decoder["decoder.14.conv.bias"] = torch.ones(1)
    decoder["decoder.0.conv.conv.bias"] = torch.ones(7)
    save(decoder, hollow / "depth.pth")
    message = refusal(hollow)
    assert "missing decoder.13.conv (bias); unexpected decoder.14.conv (bias); " in message
    assert "of another shape decoder.0.conv.conv.bias [7] for [256]; " in message
    save(decoder | {"encoder.bn1.bias": torch.ones(64), "width": 3}, hollow / "depth.pth")
    assert "belonging to neither network: encoder.bn1 (bias); " in refusal(hollow)


def test_one_file_of_the_folder(hollow: Path) -> None:
    assert "or the folder that holds encoder.pth and depth.pth of monodepth2" in refusal(hollow / "encoder.pth")


@pytest.mark.parametrize("name", ["encoder.pth", "depth.pth", "pose.pth"])
def test_a_broken_file(hollow: Path, name: str) -> None:
    path = hollow / name
    path.write_bytes(path.read_bytes()[:100])
    assert refusal(hollow).startswith(f"{path}: is damaged or no checkpoint (")
    path.write_text("hello")
    assert refusal(hollow).startswith(f"{path}: is damaged or no checkpoint (")
    save({}, path)
    assert refusal(hollow) == f"{path}: holds no weights of a network; give a checkpoint"
