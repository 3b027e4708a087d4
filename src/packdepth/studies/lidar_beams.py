"""`packdepth study lidar-beams`: from how few LiDAR beams depth gets its scale, and by which term.

The setting of figure 4 of Guizilini et al., CoRL 2019, on drives through the rendered city: self-supervised, with
speed, and with 64 to 1 beams by reprojected distance and by L1 on inverse depth; all with the same budget, over seeds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

import numpy as np
import yaml

from packdepth.charts import OURS, TRUE, Line, key, svg
from packdepth.city.command import require_city
from packdepth.files import claim, make_folder, replacing, write_json
from packdepth.html import STYLE, table
from packdepth.training.elsewhere import finished_epochs, train_elsewhere

BEAMS = (64, 32, 16, 8, 4, 1)
WEIGHTS = {"reprojected": 0.1, "sparse_l1": 5.0}  # about equal: 1/metre is some 50 pixels at 64x224
COLOURS = {"reprojected": OURS, "sparse_l1": TRUE, "velocity": "#5d5a70"}
SCORES = ("abs_rel", "a1", "abs_rel_scaled")

Supervision = Literal["none", "velocity", "reprojected", "sparse_l1"]


@dataclass(frozen=True)
class Plan:
    """The budget of every training, and the drives it is spent on.

    Args:
        drives: to train on.
        frames: of each, of which 8 of each 60 are rendered.
        val_drives: to judge on, 4 frames each.
        height: of the images, in pixels.
        width: of the images, in pixels.
        steps: of 4 samples.
        seeds: trainings of each kind.
    """

    drives: int = 12
    frames: int = 240
    val_drives: int = 8
    height: int = 64
    width: int = 224
    steps: int = 1200
    seeds: int = 3


@dataclass(frozen=True)
class Variant:
    """A kind of training: what supervises scale, from how many beams."""

    supervision: Supervision
    beams: int | None = None

    @property
    def name(self) -> str:
        """Such as "reprojected-4"."""
        return self.supervision if self.beams is None else f"{self.supervision}-{self.beams}"


VARIANTS = (
    Variant("none"),
    Variant("velocity"),
    *(Variant(term, beams) for term in ("reprojected", "sparse_l1") for beams in BEAMS),
)


@dataclass(frozen=True)
class Row:
    """What came out of the trainings of a variant: each score's mean and spread (standard deviation) over seeds."""

    supervision: str
    beams: int | None
    seeds: int
    mean: dict[str, float]
    spread: dict[str, float]  # 0 of a single seed


def lidar_beams(output: Path, plan: Plan) -> Path:
    """Render, train and judge all variants; the path of the page. What an earlier call did is not done again.

    Args:
        output: folder for the drives, the runs, and lidar_beams.json, .md and .html.
        plan: the budget.

    Raises InputError if the folder holds a study with another budget, or a training fails.
    """
    require_city()
    make_folder(output)
    claim(output / "plan.yaml", yaml.safe_dump(asdict(plan), sort_keys=False), "a study with another budget")
    render(output / "data", plan)
    for seed in range(1, plan.seeds + 1):
        for variant in VARIANTS:
            run = output / "runs" / f"{variant.name}-{seed}"
            if not finished_epochs(run):
                print(f"{variant.name}, seed {seed} of {plan.seeds}", flush=True)
                train(run, variant, plan, output / "data", seed)
        write(output, [row(output, variant, seed) for variant in VARIANTS], plan)  # of what there is so far
    return output / "lidar_beams.html"


def render(data: Path, plan: Plan) -> None:
    """Render the drives that are not there yet."""
    from packdepth.city.drive import Recipe
    from packdepth.city.write import write_city

    for split, drives, frames, record in (
        ("train", plan.drives, plan.frames, (8, 60)),
        ("val", plan.val_drives, 4, (1, 1)),
    ):
        recipe = Recipe(
            split="train" if split == "train" else "val",
            seed=1,
            frames=frames,
            height=plan.height,
            width=plan.width,
            lead_share=0.1,
            stop_share=0.1,
            speeds=(6.0, 12.0),
            record=record,
            baseline=None,
        )
        write_city(data / split, recipe, drives)


def train(run: Path, variant: Variant, plan: Plan, data: Path, seed: int) -> None:
    """One training, in one epoch."""
    run_file = run.parent / f"{run.name}.yaml"
    with replacing(run_file) as temporary:
        temporary.write_text(yaml.safe_dump(run_values(variant, plan, data.resolve(), seed), sort_keys=False))
    train_elsewhere(run_file, run)


def run_values(variant: Variant, plan: Plan, data: Path, seed: int) -> dict[str, Any]:
    """The content of a variant's run file."""
    objective: list[dict[str, Any]] = [
        {"kind": "photometric", "scales": "own"},
        {"kind": "smoothness", "weight": 1e-3},
    ]
    if variant.supervision == "velocity":
        objective.append({"kind": "velocity", "weight": 0.2})
    elif variant.supervision != "none":
        objective.append({"kind": variant.supervision, "weight": WEIGHTS[variant.supervision]})
    return {
        "data": {
            "train": [{"kind": "folder", "root": str(data / "train")}],
            "val": [{"kind": "folder", "root": str(data / "val")}],
            "image_size": [plan.height, plan.width],
            "beams": variant.beams,
            "augmentation": {"flip": 0.5, "jitter": None},
            "workers": 0,
            "cache": True,
        },
        "networks": {
            "depth": {"kind": "packnet", "preset": "tiny", "initial_depth": 6.0},
            "pose": {"kind": "posenet", "initial_forward": 0.7},
        },
        "objective": objective,
        "training": {
            "epochs": 1,
            "epoch_steps": plan.steps,
            "batch_size": 4,
            "depth_learning_rate": 1e-3,
            "pose_learning_rate": 1e-3,
            "schedule": {"kind": "cosine", "warmup": min(100, plan.steps // 2), "hold": 0.5},
            "seed": seed,
            "accelerator": "cpu",
        },
    }


# --- results ------------------------------------------------------------------------------------------------------


def row(output: Path, variant: Variant, seeds: int) -> Row:
    """The scores of the trainings of a variant with the first `seeds` seeds."""
    found = []
    for seed in range(1, seeds + 1):
        meta = output / "runs" / f"{variant.name}-{seed}" / "last" / "meta.json"
        found.append(json.loads(meta.read_text())["scores"])
    columns = {name: [scores[f"val/{name}"] for scores in found] for name in SCORES}
    return Row(
        variant.supervision,
        variant.beams,
        seeds,
        mean={name: fmean(values) for name, values in columns.items()},
        spread={name: stdev(values) if seeds > 1 else 0.0 for name, values in columns.items()},
    )


def write(output: Path, rows: Sequence[Row], plan: Plan) -> None:
    """The results as lidar_beams.json, .md and .html, each whole or not at all."""
    write_json(output / "lidar_beams.json", {"plan": asdict(plan), "rows": [asdict(row) for row in rows]})
    with replacing(output / "lidar_beams.md") as temporary:
        temporary.write_text(markdown(rows))
    with replacing(output / "lidar_beams.html") as temporary:
        temporary.write_text(page(rows, plan), encoding="utf-8")


def cells(row: Row) -> list[str]:
    """A row as text; without metric scale there is none but the scaled score."""
    metric = row.supervision != "none"
    return [
        f"{row.mean[name]:.3f} \u00b1 {row.spread[name]:.3f}" if metric or name.endswith("_scaled") else "-"
        for name in SCORES
    ]


def title(row: Row) -> str:
    """A row's name."""
    name = {"none": "self-supervised", "velocity": "speed"}.get(row.supervision, row.supervision)
    return name if row.beams is None else f"{name}, {row.beams} {'beam' if row.beams == 1 else 'beams'}"


def markdown(rows: Sequence[Row]) -> str:
    """The table in Markdown."""
    head = f"| mean \u00b1 spread over {rows[0].seeds} seeds | {' | '.join(SCORES)} |"
    body = [f"| {title(row)} | {' | '.join(cells(row))} |" for row in rows]
    return "\n".join([head, f"|{'---|' * (len(SCORES) + 1)}", *body]) + "\n"


def page(rows: Sequence[Row], plan: Plan) -> str:
    """The plot and the table as a page that needs no other file."""
    lines = [line(rows, supervision) for supervision in ("reprojected", "sparse_l1", "velocity")]
    heading = f"{plan.steps} steps of 4 images at {plan.height}x{plan.width}, {rows[0].seeds} of {plan.seeds} seeds"
    return (
        f"<!doctype html><meta charset='utf-8'><title>LiDAR beams</title><style>{STYLE}</style>"
        f"<h1>Scale from few LiDAR beams</h1><p>{escape(heading)}</p>"
        f"<p>{key(lines)}</p>{svg(lines, 'log2 of the beams', 'abs_rel, not scaled')}"
        f"{table(SCORES, {title(row): cells(row) for row in rows})}"
    )


def line(rows: Sequence[Row], supervision: str) -> Line:
    """abs_rel over the binary logarithm of the beams; of what needs no beams, the same everywhere."""
    points = [
        (math.log2(beams), row.mean["abs_rel"])
        for row in rows
        if row.supervision == supervision
        for beams in ((BEAMS[0], BEAMS[-1]) if row.beams is None else (row.beams,))
    ]
    return Line(np.array(points), COLOURS[supervision], supervision)
