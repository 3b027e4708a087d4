"""First weights from checkpoints, frozen networks, and the training schedule that they make."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
import yaml
from batches import make_batch
from present import present

from packdepth import checkpoint
from packdepth.blocks import parse
from packdepth.config import Imported, parse_run
from packdepth.errors import InputError
from packdepth.inference.predictor import load
from packdepth.objectives import Objective
from packdepth.records import Outputs
from packdepth.scale.calibrate import rescaled
from packdepth.training.initial import load_initial
from packdepth.training.module import DepthModule
from packdepth.training.run import train

SHORT = ("training.epochs=1", "training.epoch_steps=2", "data.val=[]")
TWO_STREAM = {"kind": "two_stream", "initial_forward": 0.4, "sparsity": {"pattern": "blocks"}}


def weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in checkpoint.read(folder).weights.items() if key.startswith(f"{name}.")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("first") / "run"


@pytest.fixture
def first(folder: Path, run_file: Path) -> Path:
    """A checkpoint, with a scale, of PackNet and PoseNet; made by the first test that needs it."""
    if not folder.exists():
        train(run_file, folder, overrides=SHORT)
    return folder / "last"


@pytest.fixture
def second(run_values: dict[str, Any], first: Path, tmp_path: Path) -> Path:
    """A run file that goes on with a two-stream network on that depth, which stays as it is."""
    values = run_values | {
        "initial": {"depth": str(first)},
        "networks": {"depth": run_values["networks"]["depth"] | {"frozen": True}, "pose": TWO_STREAM},
        "objective": [
            {"kind": "photometric", "scales": "own"},
            {"kind": "depth_consistency"},
            {"kind": "pose_consistency"},
        ],
    }
    path = tmp_path / "second.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_a_two_stream_network_learns_on_depth_that_stays(
    first: Path, second: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(second, tmp_path / "run", overrides=SHORT)
    depth = weights(first, "depth")
    for name, value in weights(tmp_path / "run/last", "depth").items():
        assert torch.equal(value, depth[name]), name
    meta = checkpoint.read_description(tmp_path / "run/last")[1]
    assert meta.scale_source == "velocity (speed)"  # that of the depth
    said = capsys.readouterr().out
    assert "from velocity (speed), measured after training" in said
    assert f"\ninitial    depth from {first}\n" in said
    assert said.count("\ninitial") == 1  # ego-motion starts from random weights


def test_joint_training_goes_on_from_both(first: Path, second: Path, tmp_path: Path) -> None:
    train(second, tmp_path / "fixed", overrides=SHORT)
    both = f"initial={{depth: {tmp_path / 'fixed/last'}, pose: {tmp_path / 'fixed/last'}}}"
    options = (*SHORT, both, "networks.depth.frozen=false", "networks.pose.depth_gradient=true")
    train(second, tmp_path / "joint", overrides=options)
    for name in ("depth", "pose"):
        before, after = weights(tmp_path / "fixed/last", name), weights(tmp_path / "joint/last", name)
        change = [(after[key] - before[key]).abs().max().item() for key in before]
        assert 0 < max(change) < 0.01  # two steps from where it was
    assert checkpoint.read_description(tmp_path / "joint/last")[1].scale_source == "none"


def test_a_frozen_network_has_no_gradient_and_no_dropout(first: Path, second: Path) -> None:
    run = parse_run(yaml.safe_load(second.read_text()), "second")
    module = DepthModule(run, Objective(run.objective), 10)
    for state in (module, module.eval().train()):
        assert present(state.pose).training
        assert not any(part.training for part in state.depth.modules())
    assert not any(parameter.requires_grad for parameter in module.depth.parameters())
    assert all(parameter.requires_grad for parameter in present(module.pose).parameters())


def test_pixels_are_lost_as_if_a_resumed_run_had_not_been_interrupted(second: Path, tmp_path: Path) -> None:
    constant = "training.schedule={kind: constant}"
    ends = {}
    for end in (0.8, 0.1):
        options = ("training.epochs=2", "training.epoch_steps=2", "data.val=[]", constant)
        train(second, tmp_path / f"{end}", overrides=(*options, f"networks.pose.sparsity={{start: 0.8, end: {end}}}"))
        ends[end] = weights(tmp_path / f"{end}" / "last", "pose")
    assert any(not torch.equal(value, ends[0.1][key]) for key, value in ends[0.8].items())
    options = ("training.epoch_steps=2", "data.val=[]", constant, "networks.pose.sparsity={start: 0.8, end: 0.8}")
    train(second, tmp_path / "run", overrides=(*options, "training.epochs=1"))
    train(second, tmp_path / "run", overrides=(*options, "training.epochs=2"), resume=True)
    for key, value in weights(tmp_path / "run/last", "pose").items():
        assert torch.equal(value, ends[0.8][key]), key


def test_the_scale_of_a_calibrated_checkpoint_is_not_lost(first: Path, second: Path, tmp_path: Path) -> None:
    content = checkpoint.read(first)
    checkpoint.write(tmp_path / "metric", rescaled(content, factor=2.0, motion_factor=3.0))
    given = f"initial.depth={tmp_path / 'metric'}"
    with pytest.raises(
        InputError, match=r"has the scale 2 .*, but networks\.depth 1; write networks\.depth\.scale: 2\.0"
    ):
        train(second, tmp_path / "run", overrides=(given,))
    train(second, tmp_path / "run", overrides=(*SHORT, given, "networks.depth.scale=2.0"))
    image = torch.rand(1, 3, 32, 64)
    before, after = (load(path, "cpu").inv_depth(image) for path in (first, tmp_path / "run" / "last"))
    assert torch.equal(after, before / 2)


def test_a_training_goes_on_at_another_image_size(first: Path, run_values: dict[str, Any]) -> None:
    values = run_values | {"initial": {"depth": str(first)}, "data": run_values["data"] | {"image_size": [64, 96]}}
    run = parse_run(values, "run")
    network = run.networks.depth.build()
    with pytest.warns(UserWarning, match=r"initial\.depth: .* was trained on images of 32x64, but .* is 64x96: it may"):
        load_initial(run, {"depth": network})
    for name, value in weights(first, "depth").items():
        assert torch.equal(network.state_dict()[name.removeprefix("depth.")], value), name


def test_a_checkpoint_of_another_network_is_refused(second: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"initial\.depth: .* holds the network .*'packnet'.*, but networks\.depth is"):
        train(second, tmp_path / "run", overrides=("networks.depth={kind: depth_resnet, frozen: true}",))
    with pytest.raises(
        InputError, match=r"was trained on images of 32x64, but data\.image_size is 64x96, and a frozen"
    ):
        train(second, tmp_path / "run", overrides=("data.image_size=[64, 96]",))
    with pytest.raises(InputError, match="is no checkpoint"):
        train(second, tmp_path / "run", overrides=(f"initial.depth={tmp_path / 'nothing'}",))
    assert not (tmp_path / "run").exists()


def test_an_ego_motion_network_of_another_project_is_refused(run_values: dict[str, Any], tmp_path: Path) -> None:
    networks = {"depth": run_values["networks"]["depth"], "pose": {"kind": "packnet_sfm_posenet"}}
    size = run_values["data"]["image_size"]
    run = parse(Imported, {"imported_from": "packnet-sfm", "image_size": size, "networks": networks}, "run")
    meta = checkpoint.Meta(
        packdepth="0", created="now", epoch=0, step=0, metric=False, scale_source="none", clips=[], frames=0
    )
    weights = {f"pose.{name}": value for name, value in present(run.networks.pose).build().state_dict().items()}
    checkpoint.write(tmp_path / "imported", checkpoint.Checkpoint(run, meta, weights))
    ours = parse_run(run_values | {"initial": {"pose": str(tmp_path / "imported")}}, "run")
    expected = r"initial\.pose: .* holds the network .*'packnet_sfm_posenet'.*, but networks\.pose is"
    with pytest.raises(InputError, match=expected):
        load_initial(ours, {"pose": present(ours.networks.pose).assemble()})


def test_what_is_frozen_must_come_from_somewhere(second: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"networks\.depth is frozen but random; give the checkpoint .* initial\.depth"
    ):
        train(second, tmp_path / "run", overrides=("initial={}",))
    both = (f"initial.pose={tmp_path}", "networks.pose.frozen=true")
    with pytest.raises(InputError, match="all networks are frozen, so nothing would be trained"):
        train(second, tmp_path / "run", overrides=both)


def outputs_of(values: dict[str, Any], pose: dict[str, Any], terms: list[str]) -> Outputs:
    changes = {"networks": values["networks"] | {"pose": pose}, "objective": [{"kind": kind} for kind in terms]}
    run = parse_run(values | changes, "run")
    return cast(Outputs, DepthModule(run, Objective(run.objective), 10)(make_batch(height=32, width=64)))


def test_what_is_not_asked_for_is_not_made(run_values: dict[str, Any]) -> None:
    plain = outputs_of(run_values, {"kind": "posenet"}, ["photometric"])
    assert (plain.context_inv_depths, plain.T_context_target_reversed) == (None, None)
    asked = outputs_of(run_values, {"kind": "posenet"}, ["depth_consistency", "pose_consistency"])
    assert asked.context_inv_depths is not None
    assert asked.context_inv_depths.shape == (2, 2, 1, 32, 64)
    assert asked.context_inv_depths.requires_grad
    assert asked.T_context_target_reversed is not None
    assert asked.T_context_target_reversed.shape == (2, 2, 4, 4)
    for gradient in (False, True):
        pose = {"kind": "two_stream", "depth_gradient": gradient}
        seen = outputs_of(run_values, pose, ["photometric"]).context_inv_depths
        assert seen is not None
        assert seen.requires_grad == gradient
