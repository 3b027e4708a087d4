"""The common parts of studies on the rendered city.

A study renders its drives once and trains each variant with each seed in a process of its own, all with one budget. It
writes the results after every seed, so that it can be stopped at any time and resumed.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import yaml

from packdepth.charts import Line, key, svg
from packdepth.city.command import require_city
from packdepth.files import claim, replacing, write_json
from packdepth.html import STYLE, table
from packdepth.ownership import owned
from packdepth.studies.budget import Budget
from packdepth.studies.side_by_side import train_side_by_side

SCORES = ("abs_rel", "a1", "abs_rel_scaled")
VAL_FRAMES = 4  # frames of each validation drive


class Variant(Protocol):
    """A variant of the training: a frozen dataclass, whose fields stand beside its scores in the results."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """The name in files."""

    @property
    def title(self) -> str:
        """The title in tables."""

    @property
    def metric(self) -> bool:
        """Whether its depth is in metres. If not, only scaled scores are meaningful."""


V = TypeVar("V", bound=Variant)


@dataclass(frozen=True)
class Row(Generic[V]):
    """The scores of a variant's trainings, one for each seed."""

    variant: V
    """The variant."""
    seeds: Sequence[Mapping[str, float]]
    """The scores of each training, by name; one training for each seed."""

    def mean(self, score: str) -> float:
        """Return the mean of a score over the seeds.

        Args:
            score: the name of the score.
        """
        return fmean(scores[score] for scores in self.seeds)

    def spread(self, score: str) -> float:
        """Return the standard deviation of a score over the seeds, 0 for a single seed.

        Args:
            score: the name of the score.
        """
        return stdev(scores[score] for scores in self.seeds) if len(self.seeds) > 1 else 0.0

    def cells(self, scores: Sequence[str] = SCORES) -> list[str]:
        """Return scores as text, mean and standard deviation.

        Args:
            scores: the names of the scores. Those that are not meaningful are replaced by "-".
        """
        return [
            f"{self.mean(name):.3f} \u00b1 {self.spread(name):.3f}"
            if self.variant.metric or name.endswith("_scaled")
            else "-"
            for name in scores
        ]

    def values(self) -> dict[str, Any]:
        """Return the row as the results hold it."""
        return {
            **asdict(self.variant),
            "seeds": len(self.seeds),
            "mean": {name: self.mean(name) for name in self.seeds[0]},
            "spread": {name: self.spread(name) for name in self.seeds[0]},
        }


def last_scores(run: Path, data: Path) -> dict[str, float]:
    """Return the scores on the validation drives that a finished training wrote into its checkpoint.

    Args:
        run: the folder of the training.
        data: the folder of the drives, which is not needed.
    """
    scores = json.loads((run / "last" / "meta.json").read_text())["scores"]
    return {name: scores[f"val/{name}"] for name in SCORES}


@dataclass(frozen=True)
class Study(Generic[V]):
    """A comparison of variants."""

    name: str
    """The name in files."""
    title: str
    """The title of the page."""
    variants: Sequence[V]
    """The variants of the training."""
    run_values: Callable[[V, Budget, Path, int], dict[str, Any]]
    """The content of a variant's run file. Signature: `(variant, budget, folder of the drives, seed) -> values`."""
    lines: Callable[[Sequence[Row[V]]], list[Line]]
    """The lines of the plot. Signature: `(rows) -> lines`."""
    axes: tuple[str, str]
    """The titles of the plot's axes."""
    record: tuple[int, int]
    """(n, m): of each m frames of a training drive, the first n are rendered."""
    x_names: Sequence[str] = ()
    """The names at 0, 1, 2, ... of the plot's x axis, if it has names instead of numbers."""
    sensors: Mapping[str, Any] = field(default_factory=dict)
    """The sensors of the car that differ from the defaults of `city.drive.Recipe`."""
    prepare: Callable[[Budget, Path], None] = lambda budget, data: None
    """A preparation that all trainings share. Signature: `(budget, folder of the drives) -> None`."""
    evaluate: Callable[[Path, Path], Mapping[str, float]] = last_scores
    """The scores of a training, the same ones for all. Signature: `(its folder, folder of the drives) -> scores`."""
    tables: Callable[[Sequence[str]], Sequence[Sequence[str]]] = lambda scores: [scores]
    """The distribution of scores over tables. Signature: `(names of the scores) -> names for each table`."""


def carry_out(study: Study[V], output: Path, budget: Budget, processes: int = 2) -> Path:
    """Render, train and evaluate all variants, and return the path of the page.

    Args:
        study: the study.
        output: folder for the drives, the runs, and the results as .json, .csv, .md and .html. What an earlier call
            trained there is not trained again.
        budget: the budget of every training.
        processes: number of trainings at a time.

    Raises InputError if the budget is too small, if the folder holds a study with another budget, or if a training
    fails.
    """
    budget.check()
    require_city()
    with owned(output):
        return _carry_out(study, output, budget, processes)


def _carry_out(study: Study[V], output: Path, budget: Budget, processes: int) -> Path:
    """Carry out a study in a folder that this process owns."""
    claim(output / "plan.yaml", yaml.safe_dump(asdict(budget), sort_keys=False), "a study with another budget")
    render(study, output / "data", budget)
    data = (output / "data").resolve()
    study.prepare(budget, data)
    scores: list[list[Mapping[str, float]]] = [[] for _ in study.variants]  # [variant][seed]
    for seed in range(1, budget.seeds + 1):
        runs = {folder(output, each, seed): study.run_values(each, budget, data, seed) for each in study.variants}
        train_side_by_side(runs, processes)
        for of_variant, run in zip(scores, runs, strict=True):
            of_variant.append(study.evaluate(run, data))
        rows = [Row(variant, seeds) for variant, seeds in zip(study.variants, scores, strict=True)]
        write(study, output, budget, rows)
    return output / f"{study.name}.html"


def render(study: Study[V], data: Path, budget: Budget) -> None:
    """Render the drives that do not exist yet.

    Args:
        study: the study.
        data: folder for the drives.
        budget: the budget, which has the number and the length of drives.
    """
    from packdepth.city.drive import Recipe
    from packdepth.city.style import Split
    from packdepth.city.write import write_city

    parts: tuple[tuple[Split, int, int, tuple[int, int]], ...] = (
        ("train", budget.drives, budget.frames, study.record),
        ("val", budget.val_drives, VAL_FRAMES, (1, 1)),
    )
    for split, drives, frames, record in parts:
        recipe = Recipe(
            split=split,
            seed=1,
            frames=frames,
            height=budget.size[0],
            width=budget.size[1],
            lead_share=0.1,
            stop_share=0.1,
            speeds=(6.0, 12.0),
            record=record,
            **study.sensors,
        )
        write_city(data / split, recipe, drives)


def folder(output: Path, variant: Variant, seed: int) -> Path:
    """Return the folder of a variant's training.

    Args:
        output: the folder of the study.
        variant: the variant.
        seed: the seed of the training.
    """
    return output / "runs" / f"{variant.name}-{seed}"


def data_block(budget: Budget, data: Path) -> dict[str, Any]:
    """Return the data block that the run files of a study share.

    Args:
        budget: the budget of the study.
        data: the folder of the drives.
    """
    return {
        "train": [{"kind": "folder", "root": str(data / "train")}],
        "val": [{"kind": "folder", "root": str(data / "val")}],
        "image_size": list(budget.size),
        "augmentation": {"flip": 0.5, "jitter": None},
        "workers": 0,
        "cache": True,
    }


def training_block(steps: int, seed: int) -> dict[str, Any]:
    """Return the training block that the run files of a study share, of one epoch.

    Args:
        steps: the number of steps.
        seed: the seed of the training.
    """
    return {
        "epochs": 1,
        "epoch_steps": steps,
        "batch_size": 8,
        "depth_learning_rate": 2e-3,
        "pose_learning_rate": 1e-3,
        "optimizer": {"kind": "muon", "learning_rate": 0.04, "pose_learning_rate": 0.02, "weight_decay": 0.1},
        "schedule": {"kind": "cosine", "warmup": min(50, steps // 2), "hold": 0.3},
        "seed": seed,
        "accelerator": "cpu",
    }


# --- results ------------------------------------------------------------------------------------------------------


def write(study: Study[V], output: Path, budget: Budget, rows: Sequence[Row[V]]) -> None:
    """Write the results as .json, .csv, .md and .html. If that fails, a file is as it was.

    Args:
        study: the study.
        output: the folder of the study.
        budget: the budget of the study.
        rows: the results of all variants.
    """
    write_json(output / f"{study.name}.json", {"plan": asdict(budget), "rows": [row.values() for row in rows]})
    with replacing(output / f"{study.name}.csv") as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["variant", "seed", *rows[0].seeds[0]])
        for each in rows:
            for seed, scores in enumerate(each.seeds, start=1):
                writer.writerow([each.variant.name, seed, *scores.values()])
    with replacing(output / f"{study.name}.md") as temporary:
        tables = [markdown(rows, scores) for scores in study.tables(list(rows[0].seeds[0]))]
        temporary.write_text("\n".join(tables), encoding="utf-8")
    with replacing(output / f"{study.name}.html") as temporary:
        temporary.write_text(page(study, budget, rows), encoding="utf-8")


def markdown(rows: Sequence[Row[V]], scores: Sequence[str] = SCORES) -> str:
    """Return a table of scores in Markdown.

    Args:
        rows: the results of all variants.
        scores: the names of the scores.
    """
    head = f"| mean \u00b1 spread over {len(rows[0].seeds)} seeds | {' | '.join(scores)} |"
    body = [f"| {row.variant.title} | {' | '.join(row.cells(scores))} |" for row in rows]
    return "\n".join([head, f"|{'---|' * (len(scores) + 1)}", *body]) + "\n"


def page(study: Study[V], budget: Budget, rows: Sequence[Row[V]]) -> str:
    """Return a page with the plot and the tables that needs no other file.

    Args:
        study: the study.
        budget: the budget of the study.
        rows: the results of all variants.
    """
    lines = study.lines(rows)
    names = list({line.name: line for line in lines}.values())
    seeds = f"{len(rows[0].seeds)} of {budget.seeds} seeds"
    tables = [
        table(scores, {escape(row.variant.title): row.cells(scores) for row in rows})
        for scores in study.tables(list(rows[0].seeds[0]))
    ]
    return (
        f"<!doctype html><meta charset='utf-8'><title>{escape(study.title)}</title><style>{STYLE}</style>"
        f"<h1>{escape(study.title)}</h1>"
        f"<p>{budget.steps} steps of 8 images at {budget.size[0]}x{budget.size[1]}, {seeds}</p>"
        f"<p>{key(names)}</p>{svg(lines, *study.axes, x_names=study.x_names)}"
        f"{''.join(tables)}"
    )
