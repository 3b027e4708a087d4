"""The run files of the papers' tables and those of today: they say what they cost, and train on data in the formats."""

from __future__ import annotations

import os
import re
from pathlib import Path

import paper_data
import pytest
import segmenter
import torch
import yaml
from torch import nn

from packdepth import checkpoint
from packdepth.checkpoint import Checkpoint, Meta
from packdepth.config import Run, dump_run, load_run, parse_run
from packdepth.data.targets import target_indices
from packdepth.evaluation.protocols import find_protocol
from packdepth.objectives.objective import Objective
from packdepth.optimization.adam import AdamBlock
from packdepth.records import Batch
from packdepth.segmentation.run_file import load_semantic_run
from packdepth.sources.split import read_lines
from packdepth.training.data import RunData
from packdepth.training.module import DepthModule, optimizer_and_schedule
from packdepth.training.run import train

FOLDER = Path(__file__).parents[1] / "configs"
PATHS = sorted([*FOLDER.glob("paper/*.yaml"), *FOLDER.glob("today/*.yaml")])
CONFIGS = {f"{path.parent.name}/{path.stem}": path for path in PATHS}
SAMPLES = {  # published numbers of training samples
    "kitti_raw": 39810,
    "cityscapes": 88250,
    "ddad": 12650,
    "kitti_odometry": 20409,
}
COST = re.compile(r"(\d+) epochs of ([\d,]+) samples: ([\d,]+) steps of (\d+) on one GPU or ([\d,]+) of (\d+) on eight")
LARGE = "_384x1280"  # suffix of run files whose test is that they equal those without it
TWINS = {  # run files that are the same in tests, where ResNets have 18 layers and random weights
    "paper/resnet18_imagenet_kitti": "paper/resnet18_kitti",
    "paper/resnet50_imagenet_kitti": "paper/resnet18_kitti",
    "paper/resnet50_kitti": "paper/resnet18_kitti",
    "paper/resnet50_imagenet_ddad": "paper/resnet18_imagenet_ddad",
}
FIRST = {  # the variables that name checkpoints of an earlier step, and the run file of that step
    "PACKDEPTH_CITYSCAPES": "paper/packnet_cityscapes",
    "PACKDEPTH_SG_CITYSCAPES": "paper/packnet_sg_cityscapes",
    "PACKDEPTH_TEACHER": "paper/packnet_kitti",
}
SMALL = ("data.image_size=[32, 64]", "data.workers=0", "training.batch_size=1", "training.accelerator=cpu")
ONE_STEP = ("training.devices=1", "training.epochs=1", "training.epoch_steps=1", "training.precision='32'")


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return variables that name small data in the formats, and small checkpoints of random weights."""
    root = paper_data.tree(tmp_path_factory.mktemp("paper"))
    values = {"PACKDEPTH_DATA": str(root), "PACKDEPTH_KEPT": str(root / "kitti_raw" / "data_splits" / "kept.txt")}
    values["PACKDEPTH_SEGMENTATION"] = str(segmenter.write(root / "segmentation"))
    for variable, name in FIRST.items():
        with pytest.MonkeyPatch.context() as patch:
            for key, value in values.items():
                patch.setenv(key, value)
            run = small_run(name)
        assert run.networks.pose is not None
        networks = {"depth": run.networks.depth.assemble(), "pose": run.networks.pose.assemble()}
        meta = Meta(packdepth="0", created="", epoch=0, step=0, metric=False, scale_source="none", clips=[], frames=0)
        weights = nn.ModuleDict(networks).state_dict()
        values[variable] = str(root / name)
        checkpoint.write(root / name, Checkpoint(run, meta, weights))
    return values


@pytest.fixture(autouse=True)
def _variables(variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the variables that run files name, and work in an empty folder."""
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(tmp_path)


def header(path: Path) -> str:
    """Return the comment at the top of a run file as one line."""
    lines = path.read_text().splitlines()
    return " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))


def overrides(name: str) -> tuple[str, ...]:
    """Return values that make a run file small: narrow networks with random weights."""
    run = load_run(CONFIGS[name])
    depth, encoder = run.networks.depth, getattr(run.networks.depth, "encoder", None)
    found = [*SMALL, *ONE_STEP]
    if depth.kind == "packnet":
        found.append("networks.depth.preset=tiny")
    if depth.kind in ("depth_resnet", "superdepth"):
        found += ["networks.depth.weights=null", "networks.depth.layers=18"]
    if encoder is not None:
        found.append("networks.depth.encoder.weights=null")
        found += ["networks.depth.encoder.layers=18"] if encoder.kind == "resnet" else []
    if run.networks.pose is not None and run.networks.pose.kind == "pose_resnet":
        found.append("networks.pose.weights=null")
    return tuple(found)


def small_run(name: str) -> Run:
    """Return a small form of a run."""
    return load_run(CONFIGS[name], overrides(name))


def test_every_row_has_a_run_file() -> None:
    assert len(CONFIGS) == 27
    sizes = [tuple(load_run(path).data.image_size) for path in CONFIGS.values()]
    assert {size: sizes.count(size) for size in set(sizes)} == {
        (192, 640): 17,
        (384, 1280): 6,
        (384, 640): 3,
        (384, 1024): 1,
    }


@pytest.mark.parametrize("name", CONFIGS)
def test_the_header_says_what_the_run_file_holds(name: str) -> None:
    run, text = load_run(CONFIGS[name]), header(CONFIGS[name])
    assert parse_run(yaml.safe_load(dump_run(run)), "dumped") == run
    for word in ("Data:", "Protocol:", "Published:", "Cost:"):
        assert word in text
    protocol = re.search(r"Protocol: ([a-z0-9-]+)[,.]", text)
    if protocol is not None:
        assert find_protocol(protocol[1]).name == protocol[1]
    match = COST.search(text)
    assert match is not None
    epochs, samples, alone, one, together, eight = (int(number.replace(",", "")) for number in match.groups())
    assert epochs == run.training.epochs
    assert samples == SAMPLES[run.data.train[0].kind]
    assert (alone, together) == (epochs * -(-samples // one), epochs * -(-samples // eight))
    assert run.training.batch_size == (eight if run.training.devices == 8 else one)
    if isinstance(run.training.optimizer, AdamBlock) and name.startswith("paper/packnet") and "ddad" not in name:
        assert (run.training.depth_learning_rate, run.training.pose_learning_rate) == (2e-4, 5e-4)


@pytest.mark.parametrize("name", [name for name in CONFIGS if name.endswith(LARGE)])
def test_a_run_file_of_large_images_differs_in_their_size_alone(name: str) -> None:
    large, usual = (load_run(CONFIGS[each]).model_dump() for each in (name, name.removesuffix(LARGE)))
    assert large["data"].pop("image_size") == (384, 1280)
    assert usual["data"].pop("image_size") == (192, 640)
    assert large == usual


@pytest.mark.parametrize(("name", "twin"), TWINS.items())
def test_a_run_file_differs_from_another_one_in_its_encoder_and_its_training_alone(name: str, twin: str) -> None:
    own, other = (small_run(each).model_dump(exclude={"training"}) for each in (name, twin))
    assert own == other


@pytest.mark.parametrize("name", [name for name in CONFIGS if not name.endswith(LARGE) and name not in TWINS])
def test_the_run_file_trains_a_step(name: str) -> None:
    torch.manual_seed(0)
    run = small_run(name)
    objective = Objective(run.objective)
    clips = [clip for source in run.data.train for clip in source.clips()]
    data = RunData(run, objective, clips)
    module = DepthModule(run, objective, 1, [])
    optimizer, _ = optimizer_and_schedule(run.training, module.networks, 1)
    batch = Batch.stack([data.train[0]])
    parameters = [parameter for network in module.networks.values() for parameter in network.parameters()]
    before = [parameter.detach().clone() for parameter in parameters]
    loss, _ = module.objective(module(batch), module.taught(module.calibrated(batch)))
    torch.autograd.backward(loss)
    optimizer.step()
    assert 0 < loss.item() < 3
    moved = [not torch.equal(old, new) for old, new in zip(before, parameters, strict=True)]
    assert sum(moved) > len(moved) / 2


def test_a_run_file_of_two_steps_trains_as_a_whole(tmp_path: Path) -> None:
    name = "paper/packnet_cityscapes_kitti_velocity"
    train(CONFIGS[name], tmp_path / "run", overrides=overrides(name))
    meta = checkpoint.read_description(tmp_path / "run" / "last")[1]
    assert (meta.step, meta.scale_source) == (1, "velocity (speed)")
    assert 0 < meta.scores["val/abs_rel"] < 2


def test_the_network_that_guides_reads_cityscapes() -> None:
    run = load_semantic_run(FOLDER / "paper" / "semantics" / "segmentation.yaml")
    (clip,) = run.data.train[0].clips()
    assert [frame.semantic is not None for frame in clip.frames] == [False, True, False]
    assert (run.training.steps, run.network.layers) == (48000, 50)


def test_every_line_of_a_split_file_is_a_sample(variables: dict[str, str]) -> None:
    run = small_run("paper/packnet_kitti")
    for source, expected in ((run.data.train[0], 3), (run.data.val[0], 1)):
        assert source.split_file is not None
        assert len(read_lines(source.split_file)) == expected
        assert sum(len(target_indices(clip, run.data.context)) for clip in source.clips()) == expected


@pytest.mark.parametrize(
    ("name", "lines"), [("eigen_zhou_files", 39810), ("eigen_zhou_val_files", 4424), ("eigen_test_files", 697)]
)
def test_split_files_have_the_published_lengths(name: str, lines: int) -> None:
    path = Path(os.environ.get("PACKDEPTH_KITTI", "")) / "data_splits" / f"{name}.txt"
    if not path.is_file():
        pytest.skip("no split files: set PACKDEPTH_KITTI to the folder of KITTI raw with its data_splits/")
    assert len(read_lines(path)) == lines
