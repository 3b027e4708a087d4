"""`packdepth study scaling`: its networks, run files and plot."""

from __future__ import annotations

from pathlib import Path

import pytest

from packdepth.charts import OURS, TRUE
from packdepth.config import parse_run
from packdepth.studies.engine import Row
from packdepth.studies.machine import Machine
from packdepth.studies.scaling import LATENCY, Plan, Variant, charts, pareto_lines, run_values
from packdepth.studies.setting import Judged, Setting

SETTING = Setting(({"kind": "folder", "root": "drives"},), (Judged(protocol="folder", data=Path("drives")),))
SCORE = "city abs_rel, scaled"


def test_every_network_is_trained_at_every_resolution_with_one_budget() -> None:
    plan = Plan()
    variants = plan.variants()
    assert len(variants) == len({variant.name for variant in variants}) == (4 + 3) * 3
    runs = {variant.name: parse_run(run_values(variant, plan, SETTING, 1), variant.name) for variant in variants}
    assert {run.training.epoch_steps for run in runs.values()} == {plan.steps}
    assert {tuple(run.data.image_size) for run in runs.values()} == {(48, 160), (64, 224), (96, 320)}
    assert runs["packnet_32-96x320"].networks.depth.architecture()["width"] == 32
    assert runs["resnet_50-48x160"].networks.depth.architecture()["encoder"]["layers"] == 50
    assert all(run.networks.depth.keeps_random is None for run in runs.values())


def test_a_smoke_test_has_one_network_of_each_family() -> None:
    variants = Plan(machine=Machine(quick=True)).limited().variants()
    assert [variant.title for variant in variants] == ["PackNet, width 8, 32x96", "ResNet, 18 layers, 32x96"]


def test_the_plot_has_a_line_for_each_family_and_resolution() -> None:
    rows = [Row(variant, [{LATENCY: float(variant.size), SCORE: 1 / variant.height}]) for variant in Plan().variants()]
    lines = pareto_lines(rows, SCORE)
    assert [line.name for line in lines] == [
        f"{family}, {size}" for family in ("PackNet", "ResNet") for size in ("48x160", "64x224", "96x320")
    ]
    assert (lines[2].color, lines[5].color) == (OURS, TRUE)
    assert lines[2].points.tolist() == [[width, pytest.approx(1 / 96)] for width in (8, 16, 24, 32)]
    assert charts(rows)[0].count("<circle") == len(rows)


def test_names_of_folders_hold_no_blanks() -> None:
    assert Variant("PackNet", 16, 64, 224).name == "packnet_16-64x224"
