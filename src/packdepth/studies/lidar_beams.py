"""`packdepth study lidar-beams`: from how few LiDAR beams depth gets its scale, and by which term.

The setting of figure 4 of Guizilini et al., CoRL 2019, on drives through the rendered city: self-supervised, with
speed, and with 64 to 1 beams by reprojected distance and by L1 on inverse depth; all with the same budget, over seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from packdepth.charts import INK, OURS, TRUE, Line
from packdepth.studies.plan import Plan
from packdepth.studies.trials import Row, Study, carry_out, data_block, training_block

BEAMS = (64, 32, 16, 8, 4, 1)
WEIGHTS = {"reprojected": 0.02, "sparse_l1": 1.0}  # about equal: 1/metre is some 50 pixels at 64x224
COLORS = {"reprojected": OURS, "sparse_l1": TRUE, "velocity": INK}

Supervision = Literal["none", "velocity", "reprojected", "sparse_l1"]


@dataclass(frozen=True)
class Variant:
    """A kind of training: what supervises scale, from how many beams."""

    supervision: Supervision
    beams: int | None = None

    @property
    def name(self) -> str:
        """Such as "reprojected-4"."""
        return self.supervision if self.beams is None else f"{self.supervision}-{self.beams}"

    @property
    def title(self) -> str:
        """Such as "reprojected, 4 beams"."""
        name = {"none": "self-supervised", "velocity": "speed"}.get(self.supervision, self.supervision)
        return name if self.beams is None else f"{name}, {self.beams} {'beam' if self.beams == 1 else 'beams'}"

    @property
    def metric(self) -> bool:
        """Whether anything supervises scale."""
        return self.supervision != "none"


VARIANTS = (
    Variant("none"),
    Variant("velocity"),
    *(Variant(term, beams) for term in ("reprojected", "sparse_l1") for beams in BEAMS),
)


def lidar_beams(output: Path, plan: Plan, processes: int = 2) -> Path:
    """Carry out the study; the path of its page. See `trials.carry_out`."""
    study = Study(
        name="lidar_beams",
        title="Scale from few LiDAR beams",
        variants=VARIANTS,
        run_values=run_values,
        lines=lines,
        axes=("log2 of the beams", "abs_rel, not scaled"),
        record=(8, 60),
        sensors={"baseline": None},
    )
    return carry_out(study, output, plan, processes)


def run_values(variant: Variant, plan: Plan, data: Path, seed: int) -> dict[str, Any]:
    """The content of a variant's run file."""
    objective: list[dict[str, Any]] = [
        {"kind": "photometric", "scales": "pyramid"},
        {"kind": "smoothness", "weight": 1e-3},
    ]
    if variant.supervision == "velocity":
        objective.append({"kind": "velocity", "weight": 0.2})
    elif variant.supervision != "none":
        objective.append({"kind": variant.supervision, "weight": WEIGHTS[variant.supervision]})
    return {
        "data": data_block(plan, data) | {"beams": variant.beams},
        "networks": {
            "depth": {"kind": "packnet", "preset": "tiny", "initial_depth": 6.0},
            "pose": {"kind": "posenet", "initial_forward": 0.7},
        },
        "objective": objective,
        "training": training_block(plan.steps, seed),
    }


def lines(rows: Sequence[Row[Variant]]) -> list[Line]:
    """The lines of the plot."""
    return [line(rows, supervision) for supervision in ("reprojected", "sparse_l1", "velocity")]


def line(rows: Sequence[Row[Variant]], supervision: Supervision) -> Line:
    """abs_rel over the binary logarithm of the beams; of what needs no beams, the same everywhere."""
    points = [
        (math.log2(beams), row.mean("abs_rel"))
        for row in rows
        if row.variant.supervision == supervision
        for beams in ((BEAMS[0], BEAMS[-1]) if row.variant.beams is None else (row.variant.beams,))
    ]
    return Line(np.array(points), COLORS[supervision], supervision)
