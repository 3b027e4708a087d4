"""The common parts of studies on the city: budgets, rows of results."""

from __future__ import annotations

from pathlib import Path

import pytest

from packdepth import cli
from packdepth.studies.engine import Row
from packdepth.studies.lidar_beams import Variant
from packdepth.studies.trials import SCORES


@pytest.mark.parametrize("name", ["guidance", "lidar-beams", "superdepth"])
@pytest.mark.parametrize("option", ["--seeds", "--steps", "--drives"])
def test_a_study_of_nothing_is_refused(
    name: str, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["study", name, str(tmp_path / "study"), option, "0"]) == 2
    assert f"{option}: is 0; it must be at least 1" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()


def test_rows_are_means_and_spreads_over_seeds() -> None:
    one, two = dict.fromkeys(SCORES, 0.2), dict.fromkeys(SCORES, 0.4)
    assert (Row(Variant("velocity"), [one]).mean("a1"), Row(Variant("velocity"), [one]).spread("a1")) == (0.2, 0)
    row = Row(Variant("reprojected", 4), [one, two])
    assert row.cell("a1") == "0.300 \u00b1 0.141"
    assert row.cell("a1", digits=1) == "0.3 \u00b1 0.1"
    assert row.values()["beams"] == 4
    assert row.values()["mean"]["abs_rel"] == pytest.approx(0.3)


def test_without_metres_only_scaled_scores_are_shown() -> None:
    row = Row(Variant("none"), [dict.fromkeys(SCORES, 0.2)])
    assert [row.cell(name) for name in SCORES] == ["-", "-", "0.200"]
