"""Training, prediction and evaluation of depth networks of transformers: tiny models in folders, offline."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import foundation
import pytest
import torch

from packdepth import checkpoint, evaluate
from packdepth.config import Run
from packdepth.errors import InputError
from packdepth.inference.info import describe
from packdepth.inference.predictor import load
from packdepth.interop.convert import convert
from packdepth.sources.open import open_clips
from packdepth.training.run import train

pytest.importorskip("transformers", reason="the extra `transformers` is not installed")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def values(run_values: dict[str, Any], models: Path, family: str, **options: object) -> dict[str, Any]:
    """A run of two epochs of one step each on a model of a family."""
    path = models / family
    if not path.exists():
        foundation.save(foundation.FAMILIES[family][0](), path)
    output = {"output": "metric"} if family == "chmv2" else {}
    depth = {"kind": "transformers", "model": str(path)} | output | options
    training = run_values["training"] | {"epochs": 2, "epoch_steps": 1, "schedule": {"kind": "constant"}}
    photometric = {"kind": "photometric", "scales": "pyramid"}
    return run_values | {
        "data": run_values["data"] | {"val": []},
        "networks": run_values["networks"] | {"depth": depth},
        "objective": [photometric, *run_values["objective"][1:]],
        "training": training,
    }


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoint.read(folder).weights


@pytest.mark.parametrize("family", ["depth_anything", "dpt", "dpt_swin", "zoedepth", "glpn", "depth_pro"])
def test_each_family_is_trained_and_predicts_without_its_model(
    family: str, run_values: dict[str, Any], models: Path, moving_clip: Path, tmp_path: Path
) -> None:
    run = values(run_values, models, family)
    run["training"] |= {"epochs": 1, "epoch_steps": 2}
    train(run, tmp_path / "run")
    before, after = load_start(run), weights(tmp_path / "run/last")
    changed = [name for name, value in after.items() if name.startswith("depth.") and not value.equal(before[name])]
    assert len(changed) > 10
    assert "depth.scale.log_scale" in changed
    hidden = (models / family).rename(tmp_path / "away")
    try:
        predictor = load(tmp_path / "run/last", "cpu")
        image = torch.rand(48, 90, 3).numpy()
        prediction = predictor.predict(image, flip=True)
        assert prediction.depth.shape == (48, 90)
        assert prediction.depth.min() > 0
        line = describe(tmp_path / "run/last").splitlines()[1]
        assert line.startswith(f"depth network  transformers {models / family}, output ")
        assert "record" not in line
    finally:
        hidden.rename(models / family)


def load_start(run: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The weights that the training of a run starts from, but for scale and shift."""
    block = Run.model_validate(run).completed().networks.depth
    network = block.assemble()
    block.start(network)
    return {f"depth.{name}": value for name, value in network.state_dict().items()}


@pytest.mark.parametrize(
    ("family", "options"),
    [("depth_anything", {"lora": {"rank": 2}, "gradient_checkpointing": True}), ("glpn", {"frozen_encoder": True})],
)
def test_a_run_that_is_resumed_without_its_model_ends_like_one_that_was_not_interrupted(
    family: str, options: dict[str, Any], run_values: dict[str, Any], models: Path, tmp_path: Path
) -> None:
    run = values(run_values, models, family, **options)
    run["training"]["precision"] = "bf16"
    # The gradient of torch's convolution of a single pixel in bfloat16, at the end of PoseNet, is not finite.
    run["data"]["image_size"] = [32, 128]
    train(run, tmp_path / "whole")
    start = load_start(run)
    train(run | {"training": run["training"] | {"epochs": 1}}, tmp_path / "parts")
    hidden = (models / family).rename(tmp_path / "away")
    try:
        train(run, tmp_path / "parts", resume=True)
    finally:
        hidden.rename(models / family)
    expected = weights(tmp_path / "whole/last")
    for name, value in weights(tmp_path / "parts/last").items():
        assert torch.equal(value, expected[name]), name
    fixed = ("depth.model.backbone.", "depth.model.glpn.")
    for name, value in expected.items():
        if name.startswith(fixed) and not name.endswith((".down", ".up")):
            assert torch.equal(value, start[name]), name


def test_the_first_depth_is_the_initial_depth(
    run_values: dict[str, Any], models: Path, moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = values(run_values, models, "depth_anything", initial_depth=30.0, frozen_encoder=True)
    run["training"] |= {"epochs": 1, "depth_learning_rate": 1e-9}
    train(run, tmp_path / "run")
    predictor = load(tmp_path / "run/last", "cpu")
    (clip,) = open_clips(moving_clip)
    inv_depth = torch.cat([torch.from_numpy(p.inv_depth).flatten() for p in predictor.predict_clip(clip)])
    near = inv_depth[inv_depth > 1.05 * inv_depth.min()]
    assert 1 / float(near.median()) == pytest.approx(30.0, rel=0.1)
    assert "M parameters, 0.0" in capsys.readouterr().out


def test_ego_motion_is_trained_on_frozen_depth_of_a_model(
    run_values: dict[str, Any], models: Path, tmp_path: Path
) -> None:
    run = values(run_values, models, "dpt")
    run["training"] |= {"epochs": 1}
    convert(models / "dpt", tmp_path / "first", (32, 64))
    elsewhere = shutil.copytree(models / "dpt", tmp_path / "copy")
    depth = {"kind": "transformers", "model": str(elsewhere), "frozen": True}
    again = run | {
        "initial": {"depth": str(tmp_path / "first")},
        "networks": run["networks"] | {"depth": depth},
        "objective": run["objective"][:1],
    }
    train(again, tmp_path / "second")
    first, second = weights(tmp_path / "first"), weights(tmp_path / "second/last")
    assert all(torch.equal(second[name], first[name]) for name in first)
    other = values(run_values, models, "glpn")
    with pytest.raises(InputError, match=r"holds the network .*'record': 'dpt \w{8}'.*'record': 'glpn \w{8}'"):
        train(other | {"initial": again["initial"]}, tmp_path / "third")


def test_checkpoints_are_evaluated(run_values: dict[str, Any], models: Path, moving_clip: Path, tmp_path: Path) -> None:
    run = values(run_values, models, "glpn", flip=True)
    run["training"] |= {"epochs": 1}
    train(run, tmp_path / "run")
    (report,) = evaluate(tmp_path / "run/last", "folder", moving_clip)
    assert report.image_count == 6
    assert 0 < report.rows["scaled"]["abs_rel"] < 1
