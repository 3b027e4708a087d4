"""`packdepth study packing`: its run files, and tiny as a whole."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from packdepth import cli
from packdepth.config import parse_run
from packdepth.studies import packing as study
from packdepth.studies import side_by_side
from packdepth.studies.machine import Machine
from packdepth.studies.packing import VARIANTS, Plan, Variant, cost, run_values
from packdepth.studies.setting import Judged, Setting
from packdepth.training.run import train

SETTING = Setting(({"kind": "folder", "root": "drives"},), (Judged(protocol="folder", data=Path("drives")),))


def test_variants_differ_in_their_layers_alone() -> None:
    runs = [parse_run(run_values(variant, Plan(), SETTING, 2), variant.name).model_dump() for variant in VARIANTS]
    layers = [[run["networks"]["depth"].pop(name) for name in ("down", "up", "features")] for run in runs]
    assert all(run == runs[0] for run in runs)
    assert layers == [[variant.down, variant.up, variant.features] for variant in VARIANTS]
    assert len({variant.title for variant in VARIANTS}) == len(VARIANTS)
    assert VARIANTS[0].title == "packing and unpacking, D = 8"
    assert VARIANTS[-1].title == "strided convolution and bilinear upsampling"


def test_packing_costs_more_the_more_features_it_has() -> None:
    found = [cost(Variant("packing", "unpacking", features), Plan(width=4)) for features in (0, 2, 8)]
    assert [each[study.PARAMETERS] for each in found] == sorted(each[study.PARAMETERS] for each in found)
    strided = cost(Variant("strided", "bilinear", 0), Plan(width=4))
    assert strided[study.MULTIPLY_ADDS] < found[0][study.MULTIPLY_ADDS]


def test_the_same_command_runs_at_paper_scale() -> None:
    machine = Machine(batch=32, optimizer="adam", accelerator="gpu", devices=8, precision="bf16", workers=4)
    plan = Plan(steps=100_000, size=(192, 640), width=64, blocks=2, machine=machine)
    run = parse_run(run_values(VARIANTS[0], plan, SETTING, 1), "run")
    assert (run.training.epochs, run.training.epoch_steps, run.training.devices) == (50, 2000, 8)
    assert (run.training.optimizer.kind, run.training.depth_learning_rate) == ("adam", 2e-4)
    assert (run.training.precision, run.data.workers) == ("bf16", 4)


@pytest.mark.parametrize(
    ("small", "accelerator", "cached"), [(True, "gpu", True), (False, "gpu", False), (False, "cpu", True)]
)
def test_images_that_fit_into_memory_are_decoded_once(small: bool, accelerator: Any, cached: bool) -> None:
    plan, setting = Plan(machine=Machine(accelerator=accelerator)), replace(SETTING, small=small)
    assert run_values(VARIANTS[0], plan, setting, 1)["data"]["cache"] == cached


def test_a_tiny_study_on_data_of_a_file(moving_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "VARIANTS", (VARIANTS[-1],))
    monkeypatch.setattr(side_by_side, "train_elsewhere", lambda run_file, folder, **_: train(run_file, folder))
    data = tmp_path / "data.yaml"
    values: dict[str, Any] = {"train": [{"kind": "folder", "root": str(moving_clip)}]}
    data.write_text(yaml.safe_dump(values | {"judged": [{"protocol": "folder", "data": str(moving_clip)}]}))
    output = tmp_path / "study"
    options = ["--data", str(data), "--quick", "--processes", "1", "--width", "4", "--batch", "1"]
    assert cli.main(["study", "packing", str(output), *options]) == 0
    with (output / "packing.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert 0 < float(row["folder abs_rel"]) < 5
    assert 0 < float(row["folder abs_rel, scaled"]) < 1
    assert float(row[study.PARAMETERS]) > 0
    monkeypatch.setattr(side_by_side, "train_elsewhere", lambda *_, **__: pytest.fail("trained again"))
    assert cli.main(["study", "packing", str(output), *options]) == 0
    assert cli.main(["study", "packing", str(output), *options, "--blocks", "2"]) == 2
