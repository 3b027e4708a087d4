"""The engine of all studies: seeds, mean and spread, results as files, a page with plots, a table of contents.

A study compares variants. `carry_out` computes the scores of all variants for one seed after another, and writes the
results after each, so that a study can be read while it runs, stopped at any time, and resumed.
"""

from __future__ import annotations

import csv
import inspect
import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import wraps
from itertools import count
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, ClassVar, Generic, ParamSpec, Protocol, TypeVar

import yaml
from markupsafe import Markup

from packdepth.charts import charts
from packdepth.errors import InputError
from packdepth.files import claim, finite, make_folder, replacing, write_json
from packdepth.html import joined, settings, table
from packdepth.html.page import Page, Section, Verdict
from packdepth.ownership import owned

Scores = Mapping[str, float]
"""The scores of one training, by name; NaN where a score does not exist."""
DIGITS = 3  # digits of a score after the point, unless the study says otherwise
FREE = {"seeds", "processes", "workers"}  # values of a plan that may change when a study is resumed
CONTENTS = "index.html"  # file name of the table of contents
ERRORS = re.compile(r"abs_rel|\bL1\b|\berror\b|\bATE\b|\bt_rel\b|\bRPE\b")  # names of scores of which less is better


class Variant(Protocol):
    """A variant of a study: a frozen dataclass, whose fields stand beside its scores in the results."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """The name in files."""

    @property
    def title(self) -> str:
        """The title in tables."""

    @property
    def metric(self) -> bool:
        """Whether all its scores are meaningful. If not, only those are whose names end in "scaled"."""


V = TypeVar("V", bound=Variant)
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Row(Generic[V]):
    """The scores of a variant, once for each seed."""

    variant: V
    """The variant."""
    seeds: Sequence[Scores]
    """The scores by name; once for each seed."""

    def mean(self, score: str) -> float:
        """Return the mean of a score over the seeds.

        Args:
            score: the name of the score.
        """
        return fmean(scores[score] for scores in self.seeds)

    def spread(self, score: str) -> float:
        """Return the standard deviation of a score over the seeds: 0 for a single seed, NaN without the score.

        Args:
            score: the name of the score.
        """
        values = [scores[score] for scores in self.seeds]
        if any(math.isnan(value) for value in values):
            return math.nan
        return stdev(values) if len(values) > 1 else 0.0

    def cell(self, score: str, digits: int = DIGITS) -> str:
        """Return a score as text: the mean and, if the seeds differ, the standard deviation; "-" if it has no meaning.

        Args:
            score: the name of the score.
            digits: digits after the point.
        """
        if not (self.variant.metric or score.endswith("scaled")) or math.isnan(self.mean(score)):
            return "-"
        spread = self.spread(score)
        return f"{self.mean(score):.{digits}f}" + (f" \u00b1 {spread:.{digits}f}" if spread else "")

    def values(self) -> dict[str, Any]:
        """Return the row as the results hold it."""
        return {
            **asdict(self.variant),
            "name": self.variant.name,
            "title": self.variant.title,
            "seeds": len(self.seeds),
            "mean": {name: self.mean(name) for name in self.seeds[0]},
            "spread": {name: self.spread(name) for name in self.seeds[0]},
        }


@dataclass(frozen=True)
class Study(Generic[V]):
    """A comparison of variants."""

    name: str
    """The name in files."""
    title: str
    """The title of the page."""
    claim: str
    """The claim of the paper that is put to the test, in a few words, with its source."""
    variants: Sequence[V]
    """The variants."""
    charts: Callable[[Sequence[Row[V]]], Sequence[Markup]]
    """The plots of the page. Signature: `(rows) -> plots`."""
    tables: Callable[[Sequence[str]], Sequence[Sequence[str]]] = lambda scores: [scores]
    """The distribution of scores over tables. Signature: `(names of the scores) -> names for each table`."""
    digits: Mapping[str, int] = field(default_factory=dict)
    """Digits after the point of scores that differ from `DIGITS`, by name."""
    figures: Callable[[], Sequence[Section]] = lambda: []
    """Sections with pictures, made when the scores of a seed are there. Signature: `() -> sections`."""


def carry_out(
    study: Study[V], output: Path, plan: Any, budget: str, seeds: int, compute: Callable[[int], Sequence[Scores]]
) -> Path:
    """Compute the scores of all variants for each seed, write the results after each, and return the path of the page.

    Args:
        study: the study.
        output: folder for plan.yaml and the results as .json, .csv, .md and .html.
        plan: everything that the scores depend on: a dataclass whose values YAML can hold.
        budget: the budget in words, for the page.
        seeds: number of seeds.
        compute: what returns the scores of each variant. It is resumable if it keeps what it computed in the folder.
            Signature: `(seed) -> scores`, seeds count from 1.

    Raises InputError if the folder holds a study with another plan.
    """
    begin(output, plan)
    scores: list[list[Scores]] = [[] for _ in study.variants]  # [variant][seed]
    for seed in range(1, seeds + 1):
        begun = time.monotonic()
        for of_variant, found in zip(scores, compute(seed), strict=True):
            of_variant.append(found)
        rows = [Row(variant, found) for variant, found in zip(study.variants, scores, strict=True)]
        write(study, output, asdict(plan), budget, rows, time.monotonic() - begun)
    return output / f"{study.name}.html"


def owning(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that owns the folder of its parameter `output` until it returns (`ownership.owned`).

    Args:
        function: a function that carries out a study.

    >>> @owning
    ... def names(output: Path) -> list[str]:
    ...     return sorted(path.name for path in output.iterdir())
    >>> import tempfile
    >>> names(Path(tempfile.mkdtemp()))
    ['.packdepth.lock']
    """
    signature = inspect.signature(function)

    @wraps(function)
    def owner(*values: P.args, **named: P.kwargs) -> R:
        with owned(signature.bind(*values, **named).arguments["output"]):
            return function(*values, **named)

    return owner


def begin(output: Path, plan: Any) -> None:
    """Make the folder of a study, or check that it holds the same study. The values in `FREE` may change.

    Args:
        output: the folder.
        plan: everything that the scores depend on: a dataclass whose values YAML can hold.

    Raises InputError if the folder holds a study with another plan.
    """
    make_folder(output)
    text = yaml.safe_dump(_fixed(plain(asdict(plan))), sort_keys=False)
    claim(output / "plan.yaml", text, "a study with another budget")


def _fixed(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a plan that may not change."""
    kept = {key: value for key, value in values.items() if key not in FREE}
    return {key: _fixed(value) if isinstance(value, dict) else value for key, value in kept.items()}


def plain(content: Any) -> Any:
    """Return content for YAML: with lists in place of tuples, and text in place of paths.

    Args:
        content: dictionaries, lists, tuples and values, nested.

    >>> plain({"size": (48, 160), "data": Path("a/b")})
    {'size': [48, 160], 'data': 'a/b'}
    """
    if isinstance(content, dict):
        return {key: plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [plain(value) for value in content]
    return str(content) if isinstance(content, Path) else content


def remembered(path: Path, compute: Callable[[], Scores]) -> dict[str, float]:
    """Return the scores that a file holds or, if it does not exist, compute them and write the file.

    Args:
        path: the file, JSON.
        compute: what returns the scores.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "scores.json"
    >>> remembered(path, lambda: {"abs_rel": 0.1}), remembered(path, lambda: {"abs_rel": 0.2})
    ({'abs_rel': 0.1}, {'abs_rel': 0.1})
    """
    if not path.exists():
        write_json(path, dict(compute()))
    scores = json.loads(path.read_text(encoding="utf-8"))
    return {name: math.nan if value is None else float(value) for name, value in scores.items()}


# --- results ------------------------------------------------------------------------------------------------------


def write(
    study: Study[V], output: Path, plan: Mapping[str, Any], budget: str, rows: Sequence[Row[V]], seconds: float
) -> None:
    """Write the results as .json, .csv, .md and .html, unless there are results of more seeds.

    If that fails, a file is as it was. The date of results stays if their numbers do.

    Args:
        study: the study.
        output: the folder of the study.
        plan: everything that the scores depend on.
        budget: the budget in words.
        rows: the results of all variants.
        seconds: time that was spent since the results were last written; it is added to the time in the results.
    """
    path = output / f"{study.name}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if before and before["rows"][0]["seeds"] > len(rows[0].seeds):
        return  # a resumed study has results of more seeds
    found = plain(finite([row.values() for row in rows]))
    results = {
        "study": study.name,
        "title": study.title,
        "claim": study.claim,
        "budget": budget,
        "date": before["date"] if before.get("rows") == found else datetime.now(UTC).date().isoformat(),
        "seconds": round(before.get("seconds", 0.0) + seconds),
        "plan": plain(plan),
        "rows": found,
    }
    write_json(path, results)
    with replacing(output / f"{study.name}.csv") as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["variant", "seed", *rows[0].seeds[0]])
        for row in rows:
            for seed, scores in zip(count(1), row.seeds, strict=False):
                writer.writerow([row.variant.name, seed, *scores.values()])
    with replacing(output / f"{study.name}.md") as temporary:
        tables = [markdown(rows, names, study.digits) for names in study.tables(known(rows))]
        temporary.write_text("\n".join(tables), encoding="utf-8")
    with replacing(output / f"{study.name}.html") as temporary:
        temporary.write_text(page(study, results, rows), encoding="utf-8")


def known(rows: Sequence[Row[V]]) -> list[str]:
    """Return the names of the scores that exist in at least one row.

    Args:
        rows: the results of all variants.
    """
    return [name for name in rows[0].seeds[0] if not all(math.isnan(row.mean(name)) for row in rows)]


def markdown(rows: Sequence[Row[V]], scores: Sequence[str], digits: Mapping[str, int] | None = None) -> str:
    """Return a table of scores in Markdown.

    Args:
        rows: the results of all variants.
        scores: the names of the scores.
        digits: digits after the point of scores that differ from `DIGITS`, by name.
    """
    head = f"| {_seeds(len(rows[0].seeds))} | {' | '.join(scores)} |"
    body = [f"| {row.variant.title} | {' | '.join(_cells(row, scores, digits or {}))} |" for row in rows]
    return "\n".join([head, f"|{'---|' * (len(scores) + 1)}", *body]) + "\n"


def page(study: Study[V], results: Mapping[str, Any], rows: Sequence[Row[V]]) -> str:
    """Return a page with the verdict, the plots and pictures, the tables, and the budget. It needs no other file.

    Args:
        study: the study.
        results: the results, as the .json holds them.
        rows: the results of all variants.
    """
    tables = [
        table("scores", scores, {row.variant.title: _cells(row, scores, study.digits) for row in rows})
        for scores in study.tables(known(rows))
    ]
    measured = {
        "budget": results["budget"],
        "date": results["date"],
        "cells": _seeds(len(rows[0].seeds)),
        "time": f"{_hours(results['seconds'])} in all",
    }
    return Page(
        title=study.title,
        verdicts=[Verdict(verdict(rows, study.digits), [f"Put to the test: {study.claim}."])],
        pictures=[Section("The scores", charts(study.charts(rows))), *study.figures()],
        numbers=[Section("The numbers", joined(tables))],
        protocol=[Section("How it was measured", settings(measured))],
    ).html()


def verdict(rows: Sequence[Row[V]], digits: Mapping[str, int] | None = None) -> str:
    """Return which variant is the best, in plain words: by the first error that more than half of the variants have.

    A variant is clearly better than another if their means differ by more than the sum of their spreads.

    Args:
        rows: the results of all variants.
        digits: digits after the point of scores that differ from `DIGITS`, by name.
    """
    for score in filter(ERRORS.search, known(rows)):
        ranked = sorted((row for row in rows if row.cell(score) != "-"), key=lambda row: row.mean(score))
        if len(ranked) <= max(1, len(rows) // 2):
            continue
        first, second, last = ranked[0], ranked[1], ranked[-1]
        places = (digits or {}).get(score, DIGITS)
        words = f"The lowest {score} is that of {first.variant.title}: {first.cell(score, places)}. "
        if last is not second:
            words += f"The highest is that of {last.variant.title}: {last.cell(score, places)}. "
        if len(first.seeds) == 1:
            sure = "whether that is chance is not known, with one seed"
        elif second.mean(score) - first.mean(score) > first.spread(score) + second.spread(score):
            sure = "the first is clearly better, by more than the spread between seeds"
        else:
            sure = "the first is not clearly better: the difference is within the spread between seeds"
        return f"{words}The second lowest is that of {second.variant.title}: {second.cell(score, places)}; {sure}."
    return f"{len(rows)} variants were compared; no error tells them apart."


def contents(folder: Path) -> Path:
    """Write the table of contents of all studies in a folder, the latest first, and return its path.

    Args:
        folder: a folder that holds studies, each in a folder of its own or side by side.

    Raises InputError if there is none.
    """
    found = []
    for path in sorted([*folder.glob("*.json"), *folder.glob("*/*.json")]):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and "study" in content and path.with_suffix(".html").exists():
            found.append((content, path.with_suffix(".html").relative_to(folder)))
    if not found:
        raise InputError(f"{folder}: holds no results of a study, NAME.json beside NAME.html; name another folder")
    found.sort(key=lambda pair: pair[0]["date"], reverse=True)
    link = Markup('<a href="./{}">{}</a>')
    rows: dict[str, list[float | str | None]] = {
        link.format(place.as_posix(), content["title"]): [
            content["date"],
            str(len(content["rows"])),
            str(content["rows"][0]["seeds"]),
            _hours(content["seconds"]),
            content["claim"],
        ]
        for content, place in found
    }
    body = table("studies", ["date", "variants", "seeds", "time", "put to the test"], rows)
    count = "1 study" if len(found) == 1 else f"{len(found)} studies"
    latest = f"{count}, the latest of {found[0][0]['date']}: {found[0][0]['title']}"
    Page("Studies", [Verdict(latest)], [], [Section("All studies", body)], []).write(folder / CONTENTS)
    return folder / CONTENTS


def _cells(row: Row[V], scores: Sequence[str], digits: Mapping[str, int]) -> list[str]:
    """Return the cells of a row."""
    return [row.cell(name, digits.get(name, DIGITS)) for name in scores]


def _seeds(number: int) -> str:
    """Return what the cells of a table are."""
    return "one seed" if number == 1 else f"mean \u00b1 spread over {number} seeds"


def _hours(seconds: float) -> str:
    """Return a time in minutes or hours."""
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
