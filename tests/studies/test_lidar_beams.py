"""`packdepth study lidar-beams`: tiny, as a whole; its run files, its tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from packdepth.config import parse_run
from packdepth.errors import InputError
from packdepth.studies import lidar_beams as study
from packdepth.studies import side_by_side
from packdepth.studies.budget import Budget
from packdepth.studies.engine import Row, markdown
from packdepth.studies.lidar_beams import BEAMS, VARIANTS, Variant, lidar_beams, line, run_values
from packdepth.studies.trials import SCORES


def rows() -> list[Row[Variant]]:
    seeds = [{"abs_rel": 0.25 + d, "a1": 0.7 + d, "abs_rel_scaled": 0.2 + d} for d in (-0.01, 0, 0.01)]
    return [Row(variant, seeds) for variant in VARIANTS]


def test_variants_differ_in_their_supervision_alone() -> None:
    runs = [parse_run(run_values(variant, Budget(), Path("/data"), 2), variant.name) for variant in VARIANTS]
    assert len(runs) == len({variant.name for variant in VARIANTS}) == 2 + 2 * len(BEAMS)
    assert len({run.training.model_dump_json() for run in runs}) == 1
    assert len({run.networks.model_dump_json() for run in runs}) == 1
    assert [run.data.beams for run in runs] == [None, None, *BEAMS, *BEAMS]
    assert runs[0].objective[:2] == runs[1].objective[:2] == runs[-1].objective[:2]
    assert [run.objective[-1].kind for run in runs[:3]] == ["smoothness", "velocity", "reprojected"]


def test_the_table_and_the_plot() -> None:
    text = markdown(rows(), SCORES).splitlines()
    assert len(text) == 2 + len(VARIANTS)
    assert text[2] == "| self-supervised | - | - | 0.200 \u00b1 0.010 |"
    assert text[-1] == "| sparse_l1, 1 beam | 0.250 \u00b1 0.010 | 0.700 \u00b1 0.010 | 0.200 \u00b1 0.010 |"
    assert line(rows(), "reprojected").points[:, 0].tolist() == [6, 5, 4, 3, 2, 0]
    assert line(rows(), "velocity").points.tolist() == [[6, pytest.approx(0.25)], [0, pytest.approx(0.25)]]


@pytest.mark.usefixtures("trained_here")
def test_a_tiny_study_runs_once_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("embreex", reason="the extra 'city' is not installed")
    monkeypatch.setattr(study, "VARIANTS", (Variant("velocity"), Variant("reprojected", 4)))
    budget = Budget(drives=1, frames=8, val_drives=1, size=(32, 64), steps=1, seeds=1)
    page = lidar_beams(tmp_path, budget)
    assert "<svg" in page.read_text()
    results = json.loads((tmp_path / "lidar_beams.json").read_text())
    assert [row["beams"] for row in results["rows"]] == [None, 4]
    assert all(row["mean"]["abs_rel"] > 0 for row in results["rows"])
    assert "reprojected, 4 beams" in (tmp_path / "lidar_beams.md").read_text()
    monkeypatch.setattr(side_by_side, "train_elsewhere", lambda *_, **__: pytest.fail("trained again"))
    lidar_beams(tmp_path, budget)
    with pytest.raises(InputError, match="a study with another budget"):
        lidar_beams(tmp_path, Budget(steps=2))
