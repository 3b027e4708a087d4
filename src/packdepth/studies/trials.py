"""Studies on the rendered city: its drives, the trainings of all variants with one budget, their scores.

A study renders its drives once and trains each variant with each seed in a process of its own, all with one budget.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

from markupsafe import Markup

from packdepth.charts import Line, key, svg
from packdepth.city.command import require_city
from packdepth.studies import engine
from packdepth.studies.budget import Budget
from packdepth.studies.engine import Row, V, Variant
from packdepth.studies.side_by_side import train_side_by_side

SCORES = ("abs_rel", "a1", "abs_rel_scaled")
VAL_FRAMES = 4  # frames of each validation drive


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
    """A comparison of variants on rendered drives."""

    name: str
    """The name in files."""
    title: str
    """The title of the page."""
    claim: str
    """The claim of the paper that is put to the test, in a few words, with its source."""
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


@engine.owning
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
    engine.begin(output, budget)
    render(output / "data", budget, study.record, study.sensors, processes)
    data = (output / "data").resolve()
    study.prepare(budget, data)

    def compute(seed: int) -> list[Mapping[str, float]]:
        runs = {folder(output, each, seed): study.run_values(each, budget, data, seed) for each in study.variants}
        train_side_by_side(runs, processes)
        return [study.evaluate(run, data) for run in runs]

    def charts(rows: Sequence[Row[V]]) -> list[Markup]:
        lines = study.lines(rows)
        names = list({line.name: line for line in lines}.values())
        return [key(names) + svg(lines, *study.axes, x_names=study.x_names)]

    compared = engine.Study(study.name, study.title, study.claim, study.variants, charts, study.tables)
    words = f"{budget.steps} steps of 8 images at {budget.size[0]}x{budget.size[1]}"
    return engine.carry_out(compared, output, budget, words, budget.seeds, compute)


def render(data: Path, budget: Budget, record: tuple[int, int], sensors: Mapping[str, Any], processes: int = 2) -> None:
    """Render the drives that do not exist yet.

    Args:
        data: folder for the drives.
        budget: the budget, which has the number, the length and the size of drives.
        record: (n, m): of each m frames of a training drive, the first n are rendered.
        sensors: the sensors of the car that differ from the defaults of `city.drive.Recipe`.
        processes: number of processes.
    """
    from packdepth.city.drive import Recipe
    from packdepth.city.style import Split
    from packdepth.city.write import write_city

    parts: tuple[tuple[Split, int, int, tuple[int, int]], ...] = (
        ("train", budget.drives, budget.frames, record),
        ("val", budget.val_drives, VAL_FRAMES, (1, 1)),
    )
    for split, drives, frames, recorded in parts:
        recipe = Recipe(
            split=split,
            seed=1,
            frames=frames,
            height=budget.size[0],
            width=budget.size[1],
            lead_share=0.1,
            stop_share=0.1,
            speeds=(6.0, 12.0),
            record=recorded,
            **sensors,
        )
        write_city(data / split, recipe, drives, processes)


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
