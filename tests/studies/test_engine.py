"""The engine of all studies: resuming, tables, pages, the table of contents."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from markupsafe import Markup

from packdepth import cli
from packdepth.charts import bars
from packdepth.errors import InputError
from packdepth.studies.engine import Row, Scores, Study, carry_out, contents, verdict


@dataclass(frozen=True)
class Variant:
    """A variant of a made-up study."""

    name: str
    metric: bool = True

    @property
    def title(self) -> str:
        """The title in tables."""
        return f"variant {self.name}"


@dataclass(frozen=True)
class Plan:
    """The plan of a made-up study."""

    steps: int = 1
    seeds: int = 2
    data: Path = Path("data")


def charts(rows: Sequence[Row[Variant]]) -> list[Markup]:
    return [bars({row.variant.title: (row.mean("error"), row.spread("error")) for row in rows}, "error")]


STUDY = Study(
    name="made_up",
    title="A & B",
    claim="A < B",
    variants=[Variant("a"), Variant("b", metric=False)],
    charts=charts,
    digits={"error": 1},
)


def compute(seed: int) -> list[Scores]:
    """Scores of both variants: errors 1, 2, ... and 3; a scaled score; and one that exists nowhere."""
    rest = {"error, scaled": 0.5, "never": math.nan}
    return [{"error": float(seed), **rest}, {"error": 3.0, **rest}]


def run(output: Path, plan: Plan) -> Path:
    return carry_out(STUDY, output, plan, "1 step", plan.seeds, compute)


def test_results_have_mean_and_spread_and_leave_out_what_does_not_exist(tmp_path: Path) -> None:
    page = run(tmp_path, Plan()).read_text()
    assert (tmp_path / "made_up.md").read_text().splitlines() == [
        "| mean \u00b1 spread over 2 seeds | error | error, scaled |",
        "|---|---|---|",
        "| variant a | 1.5 \u00b1 0.7 | 0.500 |",
        "| variant b | - | 0.500 |",
    ]
    assert "<h1>A &amp; B</h1>" in page
    assert "A &lt; B" in page
    assert page.count('class="fill"') == 2
    assert "<strong>The lowest error, scaled is that of variant a: 0.500.</strong> The second lowest" in page
    assert "the first is not clearly better" in page
    rows = json.loads((tmp_path / "made_up.json").read_text())["rows"]
    assert [row["mean"]["error"] for row in rows] == [1.5, 3]
    assert rows[0]["mean"]["never"] is None
    assert (tmp_path / "made_up.csv").read_text().splitlines()[2] == "a,2,2.0,0.5,nan"


def test_the_verdict_is_about_a_score_that_most_variants_have() -> None:
    rows = [Row(Variant(name, name in "ab"), [{"error": 9.0, "error, scaled": ord(name)}]) for name in "abcd"]
    assert verdict(rows).startswith("The lowest error, scaled is that of variant a: 97")
    assert verdict(rows[:3]).startswith("The lowest error is that of variant a: 9")


def test_a_study_keeps_its_date_unless_its_numbers_change(tmp_path: Path) -> None:
    run(tmp_path, Plan(seeds=1))
    path = tmp_path / "made_up.json"
    values = json.loads(path.read_text()) | {"date": "2020-02-02", "seconds": 3600}
    path.write_text(json.dumps(values))
    run(tmp_path, Plan(seeds=1))
    found = json.loads(path.read_text())
    assert (found["date"], found["seconds"]) == ("2020-02-02", 3600)
    run(tmp_path, Plan(seeds=2))
    values = json.loads(path.read_text())
    assert values["date"] > "2020-02-02"
    path.write_text(json.dumps(values | {"date": "2020-02-02"}))
    run(tmp_path, Plan(seeds=2))  # computes the first seed alone in between
    assert json.loads(path.read_text())["date"] == "2020-02-02"


def test_more_seeds_are_the_same_study_and_more_steps_another(tmp_path: Path) -> None:
    run(tmp_path, Plan(seeds=1))
    run(tmp_path, Plan(seeds=3))
    with pytest.raises(InputError, match="a study with another budget"):
        run(tmp_path, Plan(steps=2))


def test_contents_list_studies_by_date(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, date in (("old", "2024-01-01"), ("new", "2025-01-01")):
        run(tmp_path / name, Plan())
        path = tmp_path / name / "made_up.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"date": date, "title": name}))
    (tmp_path / "other.json").write_text("[]")
    assert cli.main(["study", "contents", str(tmp_path)]) == 0
    assert str(tmp_path / "index.html") in capsys.readouterr().out
    text = contents(tmp_path).read_text()
    assert text.index("new/made_up.html") < text.index("old/made_up.html")
    with pytest.raises(InputError, match="holds no results of a study"):
        contents(tmp_path / "old" / "nothing")
