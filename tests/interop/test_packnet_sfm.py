"""Checkpoints of packnet-sfm and vidar in all their layouts."""

from __future__ import annotations

import re
import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from packdepth.config import Imported
from packdepth.errors import InputError
from packdepth.geometry import se3
from packdepth.inference.predictor import Predictor, load
from packdepth.interop.packnet_sfm import network_name
from packdepth.interop.pose import from_euler
from packdepth.interop.read import ASSUMED_SIZE, read_foreign

from .conftest import CfgNode, Config, Golden, config, packnet_sfm, save


def imported(path: Path) -> Imported:
    run = read_foreign(path).run
    assert isinstance(run, Imported)
    return run


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as error:
        load(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "legacy"), [("packnet01_1A", False), ("packnetslim01_1A", True), ("depthresnet_18", True)]
)
def test_a_checkpoint_predicts_what_the_reference_does(
    reference: Golden, tmp_path: Path, name: str, legacy: bool
) -> None:
    content = packnet_sfm(reference.weights(name), None, config(reference.size(name)))
    path = save(content, tmp_path / "model.ckpt", legacy)
    predictor = load(path, "cpu")
    path.unlink()  # half a gigabyte
    prediction = predictor.predict(reference.image(name))
    expected = reference.values(name)["inv_depth_eval"][0, 0]
    np.testing.assert_allclose(prediction.inv_depth, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(prediction.depth, 1 / expected, rtol=1e-4)
    assert (prediction.metric, prediction.scale_source) == (False, "none")


def with_pose(reference: Golden, name: str, tmp_path: Path) -> Predictor:
    """A checkpoint with one of the reference's pose networks."""
    content = packnet_sfm(reference.hollow("depthresnet_18"), reference.weights(name), config(reference.size(name)))
    return load(save(content, tmp_path / "model.ckpt"), "cpu")


def test_posenet_gives_the_motion_that_the_reference_does(reference: Golden, tmp_path: Path) -> None:
    values = reference.values("posenet")
    before, after = (reference.image("posenet", "context_names", i) for i in (0, 1))
    predictor = with_pose(reference, "posenet", tmp_path)
    first, second = predictor.ego_motion([before, reference.image("posenet"), after])
    T_before, T_after = from_euler(torch.from_numpy(values["pose_vec"])[0]).double()
    np.testing.assert_allclose(first, se3.inverse(T_before), atol=1e-6)
    np.testing.assert_allclose(second, T_after, atol=1e-6)
    np.testing.assert_allclose(np.linalg.inv(first), values["pose_mat"][0], atol=1e-6)


def test_pose_resnet_gives_the_motion_that_the_reference_does(reference: Golden, tmp_path: Path) -> None:
    name = "poseresnet_18"
    predictor = with_pose(reference, name, tmp_path)
    (motion,) = predictor.ego_motion([reference.image(name), reference.image(name, "context_names", 0)])
    np.testing.assert_allclose(motion, reference.values(name)["pose_mat"][0], atol=1e-6)
    assert isinstance(predictor.run, Imported)
    assert predictor.run.notes == [
        f"left out the encoder's classifier, which nothing uses ({network} network, 2 tensors)"
        for network in ("depth", "pose")
    ]


KINDS: dict[str, dict[str, object]] = {
    "packnet01_1A": {"kind": "packnet", "preset": "1A"},
    "packnet01_1B": {"kind": "packnet", "preset": "1B"},
    "packnetslim01_1A": {"kind": "packnet", "preset": "slim-1A"},
    "depthresnet_18": {"kind": "depth_resnet", "layers": 18},
    "depthresnet_50": {"kind": "depth_resnet", "layers": 50},
}


@pytest.mark.parametrize("name", KINDS)
def test_the_network_is_recognized(reference: Golden, tmp_path: Path, name: str) -> None:
    run = imported(save(packnet_sfm(reference.hollow(name), None, config((192, 640))), tmp_path / "model.ckpt"))
    assert run.networks.depth.model_dump().items() >= KINDS[name].items()
    assert run.networks.pose is None
    assert run.imported_from == "packnet-sfm"
    assert run.image_size == (192, 640)


# --- layouts ----------------------------------------------------------------------------------------------------


def with_dropout(state: dict[str, Tensor]) -> dict[str, Tensor]:
    pattern = r"(conv[2-5]\.\d\.conv3)\.(weight|bias)$"
    return {re.sub(pattern, r"\1.0.\2", name): tensor for name, tensor in state.items()}


def renamed(*pairs: tuple[str, str]) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    def rename(state: dict[str, Tensor]) -> dict[str, Tensor]:
        result = {}
        for name, tensor in state.items():
            for pattern, replacement in pairs:
                name = re.sub(pattern, replacement, name)
            result[name] = tensor
        return result

    return rename


LEGACY = renamed(
    (r"^model\.", "model.model."),
    (r"depth_net", "disp_network"),
    (r"pose_net", "pose_network"),
)
VIDAR = renamed((r"^model\.depth_net", "networks.depth"), (r"^model\.pose_net", "networks.pose"))
DDP = renamed((r"^", "module."))
LAYOUTS: dict[str, Callable[[dict[str, Tensor]], dict[str, Tensor]]] = {
    "as it is": lambda state: state,
    "dropout": with_dropout,
    "legacy": lambda state: with_dropout(LEGACY(state)),
    "legacy without model": lambda state: renamed((r"^model\.model\.", ""))(LEGACY(state)),
    "vidar": VIDAR,
    "vidar with dropout in DDP": lambda state: DDP(VIDAR(with_dropout(state))),
    "DDP": DDP,
    "DDP around each network": renamed((r"_net\.", "_net.module.")),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_weights(reference: Golden, layout: str) -> None:
    depth, pose = reference.hollow("packnet01_1A"), reference.hollow("posenet")
    state = packnet_sfm(depth, pose)["state_dict"]
    found = {network_name(name): tensor for name, tensor in LAYOUTS[layout](state).items()}
    expected = {("depth", name): tensor for name, tensor in depth.items()}
    expected |= {("pose", name): tensor for name, tensor in pose.items()}
    assert found.keys() == expected.keys()
    assert all(found[name] is tensor for name, tensor in expected.items())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_every_layout_is_recognized(reference: Golden, tmp_path: Path, layout: str, legacy: bool) -> None:
    content = packnet_sfm(reference.hollow("packnet01_1B"), reference.hollow("posenet"), config((96, 160)))
    content["state_dict"] = OrderedDict(LAYOUTS[layout](content["state_dict"]))
    run = imported(save(content, tmp_path / "model.pth.tar", legacy))
    assert run.networks.depth.model_dump()["preset"] == "1B"
    assert run.networks.pose is not None
    assert run.networks.pose.kind == "packnet_sfm_posenet"
    assert run.imported_from == ("vidar" if "vidar" in layout else "packnet-sfm")
    assert run.notes == []


def test_a_bare_state_dict_is_enough(reference: Golden, tmp_path: Path) -> None:
    content = packnet_sfm(reference.hollow("packnetslim01_1A"))["state_dict"]
    with pytest.warns(UserWarning, match="image size of 192 x 640 is assumed"):
        run = imported(save(content, tmp_path / "model.pth"))
    assert run.networks.depth.model_dump()["preset"] == "slim-1A"


def test_the_rgb_branch_of_packnet_san(reference: Golden, tmp_path: Path) -> None:
    encoder = re.compile(r"pre_calc|conv|pack\d")
    depth = {
        f"{'encoder' if encoder.match(name) else 'decoder'}.{name}": tensor
        for name, tensor in with_dropout(reference.hollow("packnetslim01_1A")).items()
    }
    depth |= {"mconvs.mconvs.0.layer1.0.kernel": torch.ones(9, 4, 4), "weight": torch.ones(5), "bias": torch.zeros(5)}
    settings = config((), "SemiSupCompletionModel", crop_train_borders=(-352, 0, 0.5, 1216))
    checkpoint = read_foreign(save(packnet_sfm(depth, None, settings), tmp_path / "model.ckpt"))
    assert checkpoint.run.networks.depth.model_dump()["preset"] == "slim-1A"
    assert checkpoint.run.image_size == (352, 1216)
    assert isinstance(checkpoint.run, Imported)
    assert checkpoint.run.notes == [
        "left out the branch for LiDAR input, so that depth is that of images alone (depth network, 3 tensors)"
    ]
    assert (checkpoint.meta.metric, checkpoint.meta.scale_source) == (True, "lidar")


# --- configuration ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "metric", "source"),
    [
        (config(model="SelfSupModel"), False, "none"),
        (config(model="VelSupModel"), True, "velocity"),
        (config(model="SemiSupModel"), True, "lidar"),
        (config(model="OtherModel"), False, "unknown, as the file does not say"),
        (CfgNode({"model": {"name": ["VelSupModel"]}}), False, "unknown, as the file does not say"),
        (None, False, "unknown, as the file does not say"),
        ("VelSupModel", False, "unknown, as the file does not say"),
    ],
)
def test_where_the_scale_comes_from(
    reference: Golden, tmp_path: Path, settings: object, metric: bool, source: str
) -> None:
    path = save(packnet_sfm(reference.hollow("packnetslim01_1A"), None, settings), tmp_path / "model.ckpt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        meta = read_foreign(path).meta
    assert (meta.metric, meta.scale_source) == (metric, source)


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        (config((384, 640)), (384, 640)),
        (config([384, 640]), (384, 640)),  # type: ignore[arg-type]
        (config((), crop_train_borders=(-352, 0, 0.5, 1216)), (352, 1216)),
        (config((), crop_train_borders=(10, 320, 0, 1200)), (320, 1200)),
        (Config({"datasets": {"train": {"augmentation": {"resize": [192, 640]}}}}), (192, 640)),
        (config(()), None),
        (config((), crop_train_borders=(10, 0, 0, 1200)), None),
        (config((), crop_train_borders=(-10, 0)), None),
        (config((192, "640")), None),  # type: ignore[arg-type]
        (None, None),
    ],
)
def test_the_image_size(reference: Golden, tmp_path: Path, settings: object, size: tuple[int, int] | None) -> None:
    path = save(packnet_sfm(reference.hollow("packnetslim01_1A"), None, settings), tmp_path / "model.ckpt")
    if size is None:
        with pytest.warns(UserWarning, match=r"model\.ckpt: the image size of 192 x 640 is assumed"):
            run = imported(path)
        assert run.image_size == ASSUMED_SIZE
        assert run.notes == ["the image size of 192 x 640 is assumed, as the file does not say"]
    else:
        run = imported(path)
        assert run.image_size == size
        assert run.notes == []
    given = read_foreign(path, (64, 96)).run
    assert given.image_size == (64, 96)
    assert isinstance(given, Imported)
    assert given.notes == []


def test_an_image_size_that_makes_no_sense(reference: Golden, tmp_path: Path) -> None:
    path = save(packnet_sfm(reference.hollow("packnet01_1A"), None, config((0, 640))), tmp_path / "model.ckpt")
    assert refusal(path).startswith(f"{path}: image_size[0]: must be greater than or equal to 32")


@pytest.mark.parametrize(("min_depth", "fits"), [(0.5, True), (0.1, False)])
def test_the_least_depth_of_vidars_packnet(reference: Golden, tmp_path: Path, min_depth: float, fits: bool) -> None:
    settings = Config(
        {
            "arch": {"networks": {"depth": {"min_depth": min_depth}}},
            "datasets": {"train": {"augmentation": {"resize": [96, 160]}}},
        }
    )
    content = packnet_sfm(reference.hollow("packnet01_1A"), None, settings)
    content["state_dict"] = VIDAR(content["state_dict"])
    path = save(content, tmp_path / "model.ckpt")
    if fits:
        assert imported(path).imported_from == "vidar"
    else:
        assert "its depth network begins at min_depth 0.1 m" in refusal(path)


# --- files that fit in part -------------------------------------------------------------------------------------


def test_no_pose_network(reference: Golden, tmp_path: Path) -> None:
    content = packnet_sfm(reference.hollow("depthresnet_18"), None, config())
    predictor = load(save(content, tmp_path / "model.ckpt"), "cpu")
    assert predictor.pose is None
    image = reference.image("depthresnet_18")
    assert predictor.predict(image).depth.shape == image.shape[:2]
    with pytest.raises(InputError, match="holds a depth network alone") as error:
        predictor.ego_motion([image, image])
    assert "\n" not in str(error.value)


def spoilt(reference: Golden, spoil: Callable[[dict[str, Any]], None], tmp_path: Path) -> str:
    """The refusal of a checkpoint whose state dict was changed."""
    content = packnet_sfm(reference.hollow("packnet01_1A"), reference.hollow("posenet"), config())
    spoil(content["state_dict"])
    path = save(content, tmp_path / "model.ckpt")
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert message.endswith("; nothing is loaded from a file that fits only in part")
    return message


def test_missing_tensors_are_listed(reference: Golden, tmp_path: Path) -> None:
    def spoil(state: dict[str, Any]) -> None:
        for name in [name for name in state if ".iconv1.conv_base." in name or name.endswith("pack3.conv3d.bias")]:
            del state[name]

    expected = "depth network is PackNet01 1A only in part: missing pack3.conv3d (bias), unpack3.conv3d (bias), "
    assert f"{expected}iconv1.conv_base (weight, bias); nothing" in spoilt(reference, spoil, tmp_path)


def test_unexpected_tensors_are_listed(reference: Golden, tmp_path: Path) -> None:
    def spoil(state: dict[str, Any]) -> None:
        state["model.depth_net.attention.weight"] = torch.ones(3)
        state["model.pose_net.scale"] = torch.ones(())
        state["model.intrinsics_net.fc.bias"] = torch.ones(4)
        state["model.depth_net.note"] = "text"

    message = spoilt(reference, spoil, tmp_path)
    assert "depth network is PackNet01 1A only in part: unexpected attention (weight); " in message
    assert "pose network is PoseNet only in part: unexpected scale; " in message
    assert "belonging to neither network: " in message
    assert "model.intrinsics_net.fc (bias)" in message
    assert "model.depth_net (note)" in message


def test_wrong_shapes_are_listed(reference: Golden, tmp_path: Path) -> None:
    def spoil(state: dict[str, Any]) -> None:
        state["model.depth_net.pre_calc.conv_base.weight"] = torch.zeros(64, 4, 5, 5)

    assert "of another shape pre_calc.conv_base.weight [64, 4, 5, 5] for [64, 3, 5, 5]" in spoilt(
        reference, spoil, tmp_path
    )


def test_a_tensor_that_is_there_twice(reference: Golden, tmp_path: Path) -> None:
    def spoil(state: dict[str, Any]) -> None:
        state["model.depth_net.module.pre_calc.conv_base.bias"] = torch.ones(64)

    assert "neither network: model.depth_net.module.pre_calc.conv_base (bias)" in spoilt(reference, spoil, tmp_path)


def test_a_long_list_is_cut(reference: Golden, tmp_path: Path) -> None:
    def spoil(state: dict[str, Any]) -> None:
        for name in [name for name in state if "depth_net" in name and "conv1." not in name]:
            del state[name]

    message = spoilt(reference, spoil, tmp_path)
    assert "missing pre_calc (4 tensors)" in message
    assert "more tensors" in message
    assert len(message) < 600


def test_a_network_of_another_kind(reference: Golden, tmp_path: Path) -> None:
    content = packnet_sfm({"backbone.weight": torch.ones(3)}, None, config())
    message = refusal(save(content, tmp_path / "model.ckpt"))
    assert "its depth network (backbone (weight)) is none of PackNet01 1A, PackNet01 1B" in message
