"""Studies on the rendered city: its drives, the trainings of all variants with one budget, their scores.

A study renders its drives once and trains each variant with each seed in a process of its own, all with one budget.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from packdepth.charts import Line, key, svg
from packdepth.city.command import require_city
from packdepth.studies import engine
from packdepth.studies.budget import Budget
from packdepth.studies.engine import Scores, Study, V
from packdepth.studies.machine import Machine
from packdepth.studies.setting import Setting, data_values, render
from packdepth.studies.side_by_side import train_side_by_side

SCORES = ("abs_rel", "a1", "abs_rel_scaled")
MACHINE = Machine()  # the defaults: one process of one thread for each training


def last_scores(run: Path, data: Path) -> Scores:
    """Return the scores on the validation drives that a finished training wrote into its checkpoint.

    Args:
        run: the folder of the training.
        data: the folder of the drives, which is not needed.
    """
    scores = json.loads((run / "last" / "meta.json").read_text())["scores"]
    return {name: scores[f"val/{name}"] for name in SCORES}


@engine.owning
def carry_out(
    study: Study[V],
    output: Path,
    budget: Budget,
    processes: int,
    run_values: Callable[[V, Budget, Path, int], dict[str, Any]],
    *,
    record: tuple[int, int],
    sensors: Mapping[str, Any],
    prepare: Callable[[Budget, Path], None] = lambda budget, data: None,
    evaluate: Callable[[Path, Path], Scores] = last_scores,
) -> Path:
    """Render, train and evaluate all variants of a study, and return the path of its page.

    Args:
        study: the study.
        output: folder for the drives, the runs, and the results as .json, .csv, .md and .html. What an earlier call
            trained there is not trained again.
        budget: the budget of every training.
        processes: number of trainings at a time, and of processes that render.
        run_values: what returns the content of a variant's run file. Signature: `(variant, budget, folder of the
            drives, seed) -> values`.
        record: (n, m): of each m frames of a training drive, the first n are rendered.
        sensors: the sensors of the car that differ from the defaults of `city.drive.Recipe`.
        prepare: a preparation that all trainings share. Signature: `(budget, folder of the drives) -> None`.
        evaluate: what returns the scores of a training, the same ones for all. Signature: `(its folder, folder of the
            drives) -> scores`.

    Raises InputError if the budget is too small, if the folder holds a study with another budget, or if a training
    fails.
    """
    budget.check()
    require_city()
    engine.begin(output, budget)
    data = (output / "data").resolve()
    render(data, budget, record, sensors, processes)
    prepare(budget, data)

    def compute(seed: int) -> list[Scores]:
        runs = {
            output / "runs" / f"{variant.name}-{seed}": run_values(variant, budget, data, seed)
            for variant in study.variants
        }
        train_side_by_side(runs, processes)
        return [evaluate(run, data) for run in runs]

    words = f"{budget.steps} steps of {MACHINE.batch} images at {budget.size[0]}x{budget.size[1]}"
    return engine.carry_out(study, output, budget, words, budget.seeds, compute)


def plot(lines: Sequence[Line], x: str, y: str, x_names: Sequence[str] = ()) -> list[Markup]:
    """Return the plot of a page, with a key that names lines of one name once.

    Args:
        lines: the lines.
        x: the title of the x axis.
        y: the title of the y axis.
        x_names: the names at 0, 1, 2, ... of the x axis, if it has names instead of numbers.
    """
    names = list({line.name: line for line in lines}.values())
    return [key(names) + svg(lines, x, y, x_names=x_names)]


def data_block(budget: Budget, data: Path) -> dict[str, Any]:
    """Return the data block that the run files of a study share.

    Args:
        budget: the budget of the study.
        data: the folder of the drives.
    """
    train, val = ({"kind": "folder", "root": str(data / split)} for split in ("train", "val"))
    return data_values(Setting((train,), ()), budget.size, MACHINE) | {"val": [val]}
