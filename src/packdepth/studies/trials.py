"""What studies on the rendered city share: trainings of several variants with one budget, over seeds, and their scores.

A study renders its drives once, trains each variant with each seed in a process of its own, and writes what there is so
far after every seed, so that it can be stopped at any time and goes on where it was.
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
from packdepth.files import claim, make_folder, replacing, write_json
from packdepth.html import STYLE, table
from packdepth.studies.plan import Plan
from packdepth.studies.side_by_side import train_side_by_side

SCORES = ("abs_rel", "a1", "abs_rel_scaled")


class Variant(Protocol):
    """A kind of training; a frozen dataclass, whose fields stand beside its scores in the results."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """Of its files."""

    @property
    def title(self) -> str:
        """Of its row in tables."""

    @property
    def metric(self) -> bool:
        """Whether its depth is in metres: if not, only scaled scores mean anything."""


V = TypeVar("V", bound=Variant)


@dataclass(frozen=True)
class Row(Generic[V]):
    """What came out of the trainings of a variant: the scores of each seed."""

    variant: V
    seeds: Sequence[Mapping[str, float]]

    def mean(self, score: str) -> float:
        """Over the seeds."""
        return fmean(scores[score] for scores in self.seeds)

    def spread(self, score: str) -> float:
        """The standard deviation over the seeds; 0 of a single one."""
        return stdev(scores[score] for scores in self.seeds) if len(self.seeds) > 1 else 0.0

    def cells(self, scores: Sequence[str] = SCORES) -> list[str]:
        """These scores as text."""
        return [
            f"{self.mean(name):.3f} \u00b1 {self.spread(name):.3f}"
            if self.variant.metric or name.endswith("_scaled")
            else "-"
            for name in scores
        ]

    def values(self) -> dict[str, Any]:
        """As the results hold it."""
        return {
            **asdict(self.variant),
            "seeds": len(self.seeds),
            "mean": {name: self.mean(name) for name in self.seeds[0]},
            "spread": {name: self.spread(name) for name in self.seeds[0]},
        }


def last_scores(run: Path, data: Path) -> dict[str, float]:
    """What a finished training noted of itself, on the validation drives."""
    scores = json.loads((run / "last" / "meta.json").read_text())["scores"]
    return {name: scores[f"val/{name}"] for name in SCORES}


@dataclass(frozen=True)
class Study(Generic[V]):
    """A comparison of variants."""

    name: str
    """Of its files."""
    title: str
    """Of its page."""
    variants: Sequence[V]
    run_values: Callable[[V, Plan, Path, int], dict[str, Any]]
    """The content of the run file of a variant, from the plan, the folder of the drives and the seed."""
    lines: Callable[[Sequence[Row[V]]], list[Line]]
    """Of the plot, from the rows."""
    axes: tuple[str, str]
    """The titles of the plot's axes."""
    record: tuple[int, int]
    """Of each m frames of a drive to train on, the first n are rendered: (n, m)."""
    x_names: Sequence[str] = ()
    """What stands at 0, 1, 2, ... of the plot's x axis, where it has names."""
    sensors: Mapping[str, Any] = field(default_factory=dict)
    """Of the car, where they are not those of every rendered drive, see `city.drive.Recipe`."""
    prepare: Callable[[Plan, Path], None] = lambda plan, data: None
    """What all trainings need, made once, from the plan and the folder of the drives."""
    judge: Callable[[Path, Path], Mapping[str, float]] = last_scores
    """The scores of a training, from its folder and the folder of the drives; all trainings have the same ones."""
    tables: Callable[[Sequence[str]], Sequence[Sequence[str]]] = lambda scores: [scores]
    """Which of the scores, by name, stand in which table."""


def carry_out(study: Study[V], output: Path, plan: Plan, processes: int = 2) -> Path:
    """Render, train and judge all variants; the path of the page. What an earlier call trained is not trained again.

    Args:
        study: the study.
        output: folder for the drives, the runs, and the results as .json, .csv, .md and .html.
        plan: the budget.
        processes: trainings at a time.

    Raises InputError for a plan of nothing, if the folder holds a study with another budget, or a training fails.
    """
    plan.check()
    require_city()
    make_folder(output)
    claim(output / "plan.yaml", yaml.safe_dump(asdict(plan), sort_keys=False), "a study with another budget")
    render(study, output / "data", plan)
    data = (output / "data").resolve()
    study.prepare(plan, data)
    found: list[list[Mapping[str, float]]] = [[] for _ in study.variants]
    for seed in range(1, plan.seeds + 1):
        runs = {folder(output, each, seed): study.run_values(each, plan, data, seed) for each in study.variants}
        train_side_by_side(runs, processes)
        for scores, run in zip(found, runs, strict=True):
            scores.append(study.judge(run, data))
        write(study, output, plan, [Row(*both) for both in zip(study.variants, found, strict=True)])  # of what there is
    return output / f"{study.name}.html"


def render(study: Study[V], data: Path, plan: Plan) -> None:
    """Render the drives that are not there yet."""
    from packdepth.city.drive import Recipe
    from packdepth.city.style import Split
    from packdepth.city.write import write_city

    parts: tuple[tuple[Split, int, int, tuple[int, int]], ...] = (
        ("train", plan.drives, plan.frames, study.record),
        ("val", plan.val_drives, 4, (1, 1)),
    )
    for split, drives, frames, record in parts:
        recipe = Recipe(
            split=split,
            seed=1,
            frames=frames,
            height=plan.size[0],
            width=plan.size[1],
            lead_share=0.1,
            stop_share=0.1,
            speeds=(6.0, 12.0),
            record=record,
            **study.sensors,
        )
        write_city(data / split, recipe, drives)


def folder(output: Path, variant: Variant, seed: int) -> Path:
    """Of a variant's training with a seed."""
    return output / "runs" / f"{variant.name}-{seed}"


def data_block(plan: Plan, data: Path) -> dict[str, Any]:
    """What the run files of a study say of their data."""
    return {
        "train": [{"kind": "folder", "root": str(data / "train")}],
        "val": [{"kind": "folder", "root": str(data / "val")}],
        "image_size": list(plan.size),
        "augmentation": {"flip": 0.5, "jitter": None},
        "workers": 0,
        "cache": True,
    }


def training_block(steps: int, seed: int) -> dict[str, Any]:
    """What they say of a training of so many steps, in one epoch."""
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


def write(study: Study[V], output: Path, plan: Plan, rows: Sequence[Row[V]]) -> None:
    """The results as .json, .csv, .md and .html, each whole or not at all."""
    write_json(output / f"{study.name}.json", {"plan": asdict(plan), "rows": [row.values() for row in rows]})
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
        temporary.write_text(page(study, plan, rows), encoding="utf-8")


def markdown(rows: Sequence[Row[V]], scores: Sequence[str] = SCORES) -> str:
    """A table of these scores in Markdown."""
    head = f"| mean \u00b1 spread over {len(rows[0].seeds)} seeds | {' | '.join(scores)} |"
    body = [f"| {row.variant.title} | {' | '.join(row.cells(scores))} |" for row in rows]
    return "\n".join([head, f"|{'---|' * (len(scores) + 1)}", *body]) + "\n"


def page(study: Study[V], plan: Plan, rows: Sequence[Row[V]]) -> str:
    """The plot and the table as a page that needs no other file."""
    lines = study.lines(rows)
    names = list({line.name: line for line in lines}.values())
    seeds = f"{len(rows[0].seeds)} of {plan.seeds} seeds"
    tables = [
        table(scores, {escape(row.variant.title): row.cells(scores) for row in rows})
        for scores in study.tables(list(rows[0].seeds[0]))
    ]
    return (
        f"<!doctype html><meta charset='utf-8'><title>{escape(study.title)}</title><style>{STYLE}</style>"
        f"<h1>{escape(study.title)}</h1>"
        f"<p>{plan.steps} steps of 8 images at {plan.size[0]}x{plan.size[1]}, {seeds}</p>"
        f"<p>{key(names)}</p>{svg(lines, *study.axes, x_names=study.x_names)}"
        f"{''.join(tables)}"
    )
