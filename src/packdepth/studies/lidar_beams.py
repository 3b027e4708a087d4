"""`packdepth study lidar-beams`: a comparison of how few LiDAR beams give depth its scale, and by which term.

The setting is that of figure 4 of Guizilini et al., CoRL 2019, on drives through the rendered city: self-supervised,
with speed, and with 64 to 1 beams by reprojected distance and by L1 on inverse depth, all with the same budget, over
several seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from markupsafe import Markup

from packdepth.charts import INK, OURS, TRUE, Line
from packdepth.studies.budget import Budget
from packdepth.studies.engine import Row, Study
from packdepth.studies.setting import RECORD, training_values
from packdepth.studies.trials import MACHINE, carry_out, data_block, plot

BEAMS = (64, 32, 16, 8, 4, 1)
WEIGHTS = {"reprojected": 0.02, "sparse_l1": 1.0}  # of about equal effect: 1/metre is some 50 pixels at 64x224
COLORS = {"reprojected": OURS, "sparse_l1": TRUE, "velocity": INK}

Supervision = Literal["none", "velocity", "reprojected", "sparse_l1"]


@dataclass(frozen=True)
class Variant:
    """A variant of the training: the supervision of scale, and the number of LiDAR beams."""

    supervision: Supervision
    """The supervision of scale: "none", the speed ("velocity"), or one of the two LiDAR terms."""
    beams: int | None = None
    """The number of LiDAR beams; None without LiDAR."""

    @property
    def name(self) -> str:
        """The name in files, such as "reprojected-4"."""
        return self.supervision if self.beams is None else f"{self.supervision}-{self.beams}"

    @property
    def title(self) -> str:
        """The title in tables, such as "reprojected, 4 beams"."""
        name = {"none": "self-supervised", "velocity": "speed"}.get(self.supervision, self.supervision)
        return name if self.beams is None else f"{name}, {self.beams} {'beam' if self.beams == 1 else 'beams'}"

    @property
    def metric(self) -> bool:
        """Whether depth is in metres, because something supervises scale."""
        return self.supervision != "none"


VARIANTS = (
    Variant("none"),
    Variant("velocity"),
    *(Variant(term, beams) for term in ("reprojected", "sparse_l1") for beams in BEAMS),
)


def lidar_beams(output: Path, budget: Budget, processes: int = 2) -> Path:
    """Carry out the study and return the path of its page.

    Args:
        output: the folder of the study, see `trials.carry_out`.
        budget: the budget of every training.
        processes: number of trainings at a time.
    """
    study = Study(
        name="lidar_beams",
        title="Scale from few LiDAR beams",
        claim="4 beams, fewer than 100 measured depths an image, are enough for competitive depth in metres, and "
        "reprojected distances need fewer than L1 (Guizilini et al., CoRL 2019)",
        variants=VARIANTS,
        charts=charts,
    )
    return carry_out(study, output, budget, processes, run_values, record=RECORD, sensors={"baseline": None})


def run_values(variant: Variant, budget: Budget, data: Path, seed: int) -> dict[str, Any]:
    """Return the content of a variant's run file.

    Args:
        variant: the variant.
        budget: the budget of the study.
        data: the folder of the drives.
        seed: the seed of the training.
    """
    objective: list[dict[str, Any]] = [
        {"kind": "photometric", "scales": "pyramid"},
        {"kind": "smoothness", "weight": 1e-3},
    ]
    if variant.supervision == "velocity":
        objective.append({"kind": "velocity", "weight": 0.2})
    elif variant.supervision != "none":
        objective.append({"kind": variant.supervision, "weight": WEIGHTS[variant.supervision]})
    return {
        "data": data_block(budget, data) | {"beams": variant.beams},
        "networks": {
            "depth": {"kind": "packnet", "preset": "tiny", "initial_depth": 6.0},
            "pose": {"kind": "posenet", "initial_forward": 0.7},
        },
        "objective": objective,
        "training": training_values(budget.steps, seed, MACHINE),
    }


def charts(rows: Sequence[Row[Variant]]) -> list[Markup]:
    """Return the plot of the page: abs_rel over the number of beams.

    Args:
        rows: the results of all variants.
    """
    lines = [line(rows, supervision) for supervision in ("reprojected", "sparse_l1", "velocity")]
    return plot(lines, "log2 of the beams", "abs_rel, not scaled")


def line(rows: Sequence[Row[Variant]], supervision: Supervision) -> Line:
    """Return abs_rel over the binary logarithm of the number of beams. Without beams, the line is horizontal.

    Args:
        rows: the results of all variants.
        supervision: the supervision that the line shows.
    """
    found = [
        (math.log2(beams), row.mean("abs_rel"), row.spread("abs_rel"))
        for row in rows
        if row.variant.supervision == supervision
        for beams in ((BEAMS[0], BEAMS[-1]) if row.variant.beams is None else (row.variant.beams,))
    ]
    points = np.array(found).reshape(-1, 3)
    return Line(points[:, :2], COLORS[supervision], supervision, points[:, 2])
