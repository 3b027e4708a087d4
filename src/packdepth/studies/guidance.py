"""`packdepth study guidance`: a comparison of depth networks with and without semantic guidance.

PackNet `small` is trained on drives through the rendered city, by view synthesis and speed: unguided; guided by a
segmentation network (Guizilini et al., ICLR 2020) that is trained on the same drives first; and guided by their true
label maps, an upper bound for every segmentation network. Further variants change what the paper leaves open. All have
the same number of steps, over several seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from markupsafe import Markup

from packdepth.charts import INK, OURS, TRUE, Line
from packdepth.classes import STREET_CLASSES
from packdepth.files import make_folder, replacing
from packdepth.studies.budget import Budget
from packdepth.studies.engine import Row, Study
from packdepth.studies.setting import RECORD, training_values
from packdepth.studies.trials import MACHINE, carry_out, data_block, plot

PRESET = "small"
SEGMENTATION_STEPS = 400  # of the guiding network, at most
OVERALL = ("abs_rel", "a1", "mean of classes", "edges", "dbe_acc", "dbe_comp")
PLOTTED = {"abs_rel": "all pixels", "mean of classes": "mean of classes", "edges": "depth edges"}

STRIDES = (16, 8, 4, 2)
DEFAULTS = {"strides": STRIDES, "kernel": (3,)}  # these do not appear in names

Guide = Literal["none", "network", "labels"]
TITLES = {"none": "unguided", "network": "guided by a segmentation network", "labels": "guided by true label maps"}
COLORS = {"none": TRUE, "network": OURS, "labels": INK}


@dataclass(frozen=True)
class Variant:
    """A variant of the training: the guidance of the depth network."""

    guide: Guide
    """The origin of the guidance: "none", a segmentation "network", or true "labels"."""
    strides: tuple[int, ...] = STRIDES
    """The strides of the decoder stages that are guided."""
    kernel: int = 3
    """The kernel size of the pixel-adaptive convolutions."""

    @property
    def name(self) -> str:
        """The name in files, such as "network-strides_16_8"."""
        choices = {"strides": self.strides, "kernel": (self.kernel,)}
        named = [f"-{key}_{'_'.join(map(str, value))}" for key, value in choices.items() if value != DEFAULTS[key]]
        return self.guide + "".join(named)

    @property
    def title(self) -> str:
        """The title in tables, such as "guided by a segmentation network, strides 16 8"."""
        return TITLES[self.guide] + self.name.removeprefix(self.guide).replace("-", ", ").replace("_", " ")

    @property
    def metric(self) -> bool:
        """True: depth is in metres, because all variants are trained with the speed."""
        return True


VARIANTS = (
    Variant("none"),
    Variant("network"),
    Variant("labels"),
    Variant("network", strides=(16, 8)),
    Variant("network", strides=(4, 2)),
    Variant("network", kernel=5),
)


def guidance(output: Path, budget: Budget, processes: int = 2) -> Path:
    """Carry out the study and return the path of its page.

    Args:
        output: the folder of the study, see `trials.carry_out`.
        budget: the budget of every training.
        processes: number of trainings at a time.
    """
    study = Study(
        name="guidance",
        title="Semantic guidance, on and off",
        claim="a fixed segmentation network that guides the decoder by pixel-adaptive convolutions improves depth "
        "(Guizilini et al., ICLR 2020)",
        variants=VARIANTS,
        charts=charts,
        tables=tables,
    )
    return carry_out(
        study,
        output,
        budget,
        processes,
        partial(run_values, output.resolve()),
        record=RECORD,
        sensors={"baseline": None, "scanner": None},
        prepare=partial(train_segmentation, output.resolve()),
        evaluate=evaluated,
    )


def segmentation(output: Path) -> Path:
    """Return the folder of the segmentation network.

    Args:
        output: the folder of the study.
    """
    return output / "segmentation"


def train_segmentation(output: Path, budget: Budget, data: Path) -> None:
    """Train the segmentation network on the training drives, unless it exists already.

    Args:
        output: the folder of the study.
        budget: the budget of the study.
        data: the folder of the drives.
    """
    drives = {split: data / split for split in ("train", "val")}
    segment(segmentation(output), drives, budget.size, min(SEGMENTATION_STEPS, 2 * budget.steps))


def segment(output: Path, drives: Mapping[str, Path], size: tuple[int, int], steps: int) -> None:
    """Train a segmentation network on rendered drives, unless it exists already. Its run file is written beside it.

    A training that was interrupted is resumed.

    Args:
        output: folder for the checkpoint.
        drives: folder of the training drives, "train", and of the validation drives, "val".
        size: height and width of images, in pixels.
        steps: number of steps, of 8 images each.
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


def run_values(output: Path, variant: Variant, budget: Budget, data: Path, seed: int) -> dict[str, Any]:
    """Return the content of a variant's run file.

    Args:
        output: the folder of the study.
        variant: the variant.
        budget: the budget of the study.
        data: the folder of the drives.
        seed: the seed of the training.
    """
    depth: dict[str, Any] = {"kind": "packnet", "preset": PRESET, "initial_depth": 6.0}
    guidance = {"strides": list(variant.strides), "kernel": variant.kernel}
    if variant.guide == "network":
        semantics = {"kind": "fpn", "checkpoint": str(segmentation(output))}
        depth["guidance"] = guidance | {"semantics": semantics, "cache": str(output / "features")}
    elif variant.guide == "labels":
        depth["guidance"] = guidance | {"semantics": {"kind": "labels", "classes": len(STREET_CLASSES)}}
    return {
        "data": data_block(budget, data),
        "networks": {"depth": depth, "pose": {"kind": "posenet", "initial_forward": 0.7}},
        "objective": [
            {"kind": "photometric", "scales": "pyramid"},
            {"kind": "smoothness", "weight": 1e-3},
            {"kind": "velocity", "weight": 0.2},
        ],
        "training": training_values(budget.steps, seed, MACHINE),
    }


def evaluated(run: Path, data: Path) -> dict[str, float]:
    """Return the scores of a training under the protocol `city`: OVERALL, and abs_rel of each class that occurs.

    Args:
        run: the folder of the training.
        data: the folder of the drives.
    """
    from packdepth.evaluation.run import evaluate

    (report,) = evaluate(run / "last", "city", data / "val")
    by_class = {part: rows["plain"]["abs_rel"] for part, rows in report.parts.items() if part in STREET_CLASSES}
    all_pixels = report.rows["plain"]
    edges = report.parts["edges"]["plain"]["abs_rel"] if "edges" in report.parts else np.nan
    boundaries = {"dbe_acc": np.nan, "dbe_comp": np.nan} if report.boundaries is None else report.boundaries["plain"]
    assert report.class_means is not None
    overall = (all_pixels["abs_rel"], all_pixels["a1"], report.class_means["plain"]["abs_rel"], edges)
    return dict(zip(OVERALL, (*overall, boundaries["dbe_acc"], boundaries["dbe_comp"]), strict=True)) | by_class


def tables(scores: Sequence[str]) -> list[Sequence[str]]:
    """Return the scores of two tables: all pixels, classes and edges in one; abs_rel of each class in the other.

    Args:
        scores: the names of all scores.
    """
    return [OVERALL, [name for name in scores if name not in OVERALL]]


def charts(rows: Sequence[Row[Variant]]) -> list[Markup]:
    """Return the plot of the page: abs_rel of all pixels, of classes, and at edges.

    Args:
        rows: the results of all variants.
    """
    return plot(lines(rows), "evaluated on", "abs_rel, not scaled", tuple(PLOTTED.values()))


def lines(rows: Sequence[Row[Variant]]) -> list[Line]:
    """Return a line for each guide and seed: abs_rel of all pixels, of classes, and at edges.

    Args:
        rows: the results of all variants. Those that differ from the defaults are left out.
    """
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
