"""`packdepth study superdepth`: tiny, as a whole; its run files, its plot."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from packdepth.config import parse_run
from packdepth.studies import superdepth as study
from packdepth.studies.budget import Budget
from packdepth.studies.engine import Row
from packdepth.studies.superdepth import DECODERS, FLIP_USES, VARIANTS, Variant, lines, run_values, superdepth


def test_variants_differ_in_decoder_and_flip_layer_alone() -> None:
    runs = {variant: parse_run(run_values(variant, Budget(), Path("/data"), 2), variant.name) for variant in VARIANTS}
    assert len({variant.name for variant in VARIANTS}) == len({variant.title for variant in VARIANTS}) == 6
    assert len({run.data.model_dump_json() for run in runs.values()}) == 1
    for variant, run in runs.items():
        one, other = (each.networks.depth.model_dump(exclude={"kind", "flip"}) for each in (run, runs[VARIANTS[0]]))
        assert one == other
        assert (run.networks.depth.kind, run.networks.depth.flip) == (variant.decoder, variant.flip != "off")
        assert run.objective == runs[VARIANTS[0]].objective
        assert run.training.epoch_steps == (120 if variant.flip == "half" else 240)
        assert run.training.seed == 2


def test_the_plot_has_a_line_for_each_decoder_and_seed() -> None:
    values = {variant: 0.1 * i for i, variant in enumerate(VARIANTS)}
    found = lines([Row(v, [{"abs_rel": value}, {"abs_rel": value + 1}]) for v, value in values.items()])
    assert [line.name for line in found] == [study.TITLES[decoder] for decoder in DECODERS for _ in range(2)]
    assert found[3].points[:, 0].tolist() == list(range(len(FLIP_USES)))
    assert found[3].points[:, 1].tolist() == pytest.approx([1.3, 1.4, 1.5])


@pytest.mark.usefixtures("trained_here")
def test_a_tiny_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("embreex", reason="the extra 'city' is not installed")
    chosen = tuple(Variant(decoder, "half") for decoder in DECODERS)
    monkeypatch.setattr(study, "VARIANTS", chosen)
    page = superdepth(tmp_path, Budget(drives=1, frames=8, val_drives=1, size=(32, 64), steps=2, seeds=1))
    assert "<svg" in page.read_text()
    with (tmp_path / "superdepth.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["variant"], row["seed"]) for row in rows] == [(variant.name, "1") for variant in chosen]
    assert all(float(row["abs_rel"]) > 0 for row in rows)
    assert "sub-pixel decoder, flip layer, half the steps" in (tmp_path / "superdepth.md").read_text()
