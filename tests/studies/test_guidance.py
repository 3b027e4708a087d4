"""`packdepth study guidance`: tiny, as a whole; its run files."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from packdepth.config import parse_run
from packdepth.studies import guidance as study
from packdepth.studies.budget import Budget
from packdepth.studies.guidance import OVERALL, VARIANTS, Variant, guidance, lines, run_values, tables
from packdepth.studies.trials import Row


def test_variants_differ_in_their_guidance_alone(tmp_path: Path) -> None:
    runs = {
        variant.name: parse_run(run_values(tmp_path, variant, Budget(), Path("/data"), 2), variant.name)
        for variant in VARIANTS
    }
    assert list(runs) == [
        "none",
        "network",
        "labels",
        "network-strides_16_8",
        "network-strides_4_2",
        "network-kernel_5",
    ]
    without = [run.model_dump(exclude={"networks": {"depth": {"guidance"}}}) for run in runs.values()]
    assert all(each == without[0] for each in without)
    guides = [run.networks.depth.guidance for run in runs.values()]
    assert guides[0] is None
    found = [(guide.semantics.kind, guide.strides, guide.kernel) for guide in guides if guide is not None]
    usual = (16, 8, 4, 2)
    expected = [("fpn", usual, 3), ("labels", usual, 3), ("fpn", (16, 8), 3), ("fpn", (4, 2), 3), ("fpn", usual, 5)]
    assert found == expected
    assert VARIANTS[3].title == "guided by a segmentation network, strides 16 8"


def test_tables_and_lines() -> None:
    scores = dict(zip((*OVERALL, "road", "car"), (0.1, 0.9, 0.2, 0.3, 2.0, 3.0, 0.05, 0.2), strict=True))
    assert tables(list(scores)) == [OVERALL, ["road", "car"]]
    rows = [
        Row(Variant("none"), [scores]),
        Row(Variant("labels"), [scores, scores]),
        Row(Variant("none", kernel=5), [scores]),
    ]
    found = lines(rows)
    assert [line.name for line in found] == ["unguided", *["guided by true label maps"] * 2]
    assert found[0].points.tolist() == [[0, 0.1], [1, 0.2], [2, 0.3]]


def test_a_tiny_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("embreex", reason="the extra 'city' is not installed")
    monkeypatch.setattr(study, "PRESET", "tiny")
    monkeypatch.setattr(study, "VARIANTS", VARIANTS[:3])
    page = guidance(tmp_path, Budget(drives=1, frames=8, val_drives=1, size=(32, 64), steps=1, seeds=1))
    assert "<svg" in page.read_text()
    with (tmp_path / "guidance.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["variant"] for row in rows] == ["none", "network", "labels"]
    assert all(float(row["abs_rel"]) > 0 and float(row["road"]) > 0 for row in rows)
    overall, by_class = (tmp_path / "guidance.md").read_text().split("\n\n")
    assert "mean of classes" in overall
    assert "| building |" in by_class
