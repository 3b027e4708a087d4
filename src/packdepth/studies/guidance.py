"""`packdepth study guidance`: what semantic guidance is worth to a depth network, on an equal footing.

PackNet `small` on drives through the rendered city, by view synthesis and speed: unguided, guided by a segmentation
network (Guizilini et al., ICLR 2020) that is trained on the same drives first, and guided by their true label maps,
the best that any segmentation network could see; and what the paper leaves open tried otherwise. All with the same
steps, over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from packdepth.charts import INK, OURS, TRUE, Line
from packdepth.classes import STREET_CLASSES
from packdepth.files import make_folder, replacing
from packdepth.studies.plan import Plan
from packdepth.studies.trials import Row, Study, carry_out, data_block, training_block

PRESET = "small"
SEGMENTATION_STEPS = 400
OVERALL = ("abs_rel", "a1", "mean of classes", "edges", "dbe_acc", "dbe_comp")
PLOTTED = {"abs_rel": "all pixels", "mean of classes": "mean of classes", "edges": "depth edges"}

STRIDES = (16, 8, 4, 2)
USUAL = {"strides": STRIDES, "kernel": (3,)}

Guide = Literal["none", "network", "labels"]
TITLES = {"none": "unguided", "network": "guided by a segmentation network", "labels": "guided by true label maps"}
COLORS = {"none": TRUE, "network": OURS, "labels": INK}


@dataclass(frozen=True)
class Variant:
    """A kind of training: what guides the depth network."""

    guide: Guide
    strides: tuple[int, ...] = STRIDES
    """Of the decoder stages that are guided."""
    kernel: int = 3
    """Of the pixel-adaptive convolutions."""

    @property
    def name(self) -> str:
        """Such as "network-strides_16_8"."""
        choices = {"strides": self.strides, "kernel": (self.kernel,)}
        named = [f"-{key}_{'_'.join(map(str, value))}" for key, value in choices.items() if value != USUAL[key]]
        return self.guide + "".join(named)

    @property
    def title(self) -> str:
        """Such as "guided by a segmentation network, strides 16 8"."""
        return TITLES[self.guide] + self.name.removeprefix(self.guide).replace("-", ", ").replace("_", " ")

    @property
    def metric(self) -> bool:
        """Depth is in metres: all are trained with the speed."""
        return True


VARIANTS = (
    Variant("none"),
    Variant("network"),
    Variant("labels"),
    Variant("network", strides=(16, 8)),
    Variant("network", strides=(4, 2)),
    Variant("network", kernel=5),
)


def guidance(output: Path, plan: Plan, processes: int = 2) -> Path:
    """Carry out the study; the path of its page. See `trials.carry_out`."""
    study = Study(
        name="guidance",
        title="Semantic guidance, on and off",
        variants=VARIANTS,
        run_values=partial(run_values, output.resolve()),
        lines=lines,
        axes=("judged on", "abs_rel, not scaled"),
        x_names=tuple(PLOTTED.values()),
        record=(8, 60),
        sensors={"baseline": None, "scanner": None},
        prepare=partial(train_segmentation, output.resolve()),
        judge=judged,
        tables=tables,
    )
    return carry_out(study, output, plan, processes)


def segmentation(output: Path) -> Path:
    """The folder of the segmentation network."""
    return output / "segmentation"


def train_segmentation(output: Path, plan: Plan, data: Path) -> None:
    """Train the segmentation network on the training drives, unless it is there."""
    drives = {split: data / split for split in ("train", "val")}
    segment(segmentation(output), drives, plan.size, min(SEGMENTATION_STEPS, 2 * plan.steps))


def segment(output: Path, drives: Mapping[str, Path], size: tuple[int, int], steps: int) -> None:
    """Train a segmentation network on rendered drives, unless it is there; its run file lies beside it.

    A training that was interrupted is resumed.

    Args:
        output: folder of its checkpoint.
        drives: folders of the drives to train on, "train", and to judge it by, "val".
        size: height and width of images, in pixels.
        steps: of 8 images.
    """
    from packdepth.segmentation.checkpoint import is_unfinished
    from packdepth.segmentation.training import train_semantics

    unfinished = is_unfinished(output)
    if output.exists() and not unfinished:
        return
    sources = {split: [{"kind": "folder", "root": str(root)}] for split, root in drives.items()}
    values = {
        "data": {**sources, "image_size": list(size), "workers": 0},
        "training": {"steps": steps, "batch_size": 8, "seed": 1},
    }
    make_folder(output.parent)
    run_file = output.with_suffix(".yaml")
    with replacing(run_file) as temporary:
        temporary.write_text(yaml.safe_dump(values, sort_keys=False))
    train_semantics(run_file, output, resume=unfinished)


def run_values(output: Path, variant: Variant, plan: Plan, data: Path, seed: int) -> dict[str, Any]:
    """The content of a variant's run file."""
    depth: dict[str, Any] = {"kind": "packnet", "preset": PRESET, "initial_depth": 6.0}
    guidance = {"strides": list(variant.strides), "kernel": variant.kernel}
    if variant.guide == "network":
        semantics = {"kind": "fpn", "checkpoint": str(segmentation(output))}
        depth["guidance"] = guidance | {"semantics": semantics, "cache": str(output / "features")}
    elif variant.guide == "labels":
        depth["guidance"] = guidance | {"semantics": {"kind": "labels", "classes": len(STREET_CLASSES)}}
    return {
        "data": data_block(plan, data),
        "networks": {"depth": depth, "pose": {"kind": "posenet", "initial_forward": 0.7}},
        "objective": [
            {"kind": "photometric", "scales": "pyramid"},
            {"kind": "smoothness", "weight": 1e-3},
            {"kind": "velocity", "weight": 0.2},
        ],
        "training": training_block(plan.steps, seed),
    }


def judged(run: Path, data: Path) -> dict[str, float]:
    """The scores of a training under the protocol `city`: OVERALL, and abs_rel of each class that occurs."""
    from packdepth.evaluation.run import evaluate

    report = evaluate(run / "last", "city", data / "val")
    by_class = {part: rows["plain"]["abs_rel"] for part, rows in report.parts.items() if part in STREET_CLASSES}
    all_pixels = report.metrics["plain"]
    edges = report.parts["edges"]["plain"]["abs_rel"] if "edges" in report.parts else np.nan
    boundaries = {"dbe_acc": np.nan, "dbe_comp": np.nan} if report.boundaries is None else report.boundaries["plain"]
    assert report.class_means is not None
    overall = (all_pixels["abs_rel"], all_pixels["a1"], report.class_means["plain"]["abs_rel"], edges)
    return dict(zip(OVERALL, (*overall, boundaries["dbe_acc"], boundaries["dbe_comp"]), strict=True)) | by_class


def tables(scores: Sequence[str]) -> list[Sequence[str]]:
    """All pixels, classes and edges in one table; abs_rel of each class in another."""
    return [OVERALL, [name for name in scores if name not in OVERALL]]


def lines(rows: Sequence[Row[Variant]]) -> list[Line]:
    """abs_rel of all pixels, over classes, and at edges: a line for each guide and seed; the tables have the rest."""
    return [
        Line(
            np.array([(place, scores[name]) for place, name in enumerate(PLOTTED)]),
            COLORS[row.variant.guide],
            row.variant.title,
        )
        for row in rows
        if row.variant == Variant(row.variant.guide)
        for scores in row.seeds
    ]
