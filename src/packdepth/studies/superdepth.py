"""`packdepth study superdepth`: what SuperDepth's two ideas are worth on an equal footing.

The sub-pixel decoder and the flip layer (Pillai et al., ICRA 2019) switched on and off, with the same encoder, stereo
pairs of the rendered city, and budget, over seeds. The flip layer sees every image twice, so it is trained at equal
steps and, at half of them, with equal work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np

from packdepth.charts import OURS, TRUE, Line
from packdepth.studies.plan import Plan
from packdepth.studies.trials import Row, Study, carry_out, data_block, training_block

Decoder = Literal["depth_resnet", "superdepth"]
Flip = Literal["off", "half", "full"]
TITLES = {"depth_resnet": "upsampling decoder", "superdepth": "sub-pixel decoder"}
FLIPS = {"off": "no flip layer", "half": "flip layer, half the steps", "full": "flip layer"}
COLORS = {"depth_resnet": TRUE, "superdepth": OURS}


@dataclass(frozen=True)
class Variant:
    """A kind of training: which decoder follows the encoder, and whether the flip layer follows that."""

    decoder: Decoder
    flip: Flip
    """The share of the steps that a network with the layer is trained for."""

    @property
    def name(self) -> str:
        """Such as "superdepth-flip_half"."""
        return f"{self.decoder}-flip_{self.flip}"

    @property
    def title(self) -> str:
        """Such as "sub-pixel decoder, flip layer"."""
        return f"{TITLES[self.decoder]}, {FLIPS[self.flip]}"

    @property
    def metric(self) -> bool:
        """Depth is in metres: stereo pairs have a known baseline."""
        return True

    def steps(self, plan: Plan) -> int:
        """Of its training."""
        return max(plan.steps // 2, 1) if self.flip == "half" else plan.steps


DECODERS: tuple[Decoder, ...] = ("depth_resnet", "superdepth")
WORK: tuple[Flip, ...] = ("off", "half", "full")
VARIANTS = tuple(Variant(decoder, flip) for decoder, flip in product(DECODERS, WORK))


def superdepth(output: Path, plan: Plan, processes: int = 2) -> Path:
    """Carry out the study; the path of its page. See `trials.carry_out`."""
    study = Study(
        name="superdepth",
        title="Sub-pixel decoder and flip layer, on and off",
        variants=VARIANTS,
        run_values=run_values,
        lines=lines,
        axes=("0: no flip layer, 1: for half the steps, 2: for all", "abs_rel, not scaled"),
        record=(1, 8),
        sensors={"scanner": None},
    )
    return carry_out(study, output, plan, processes)


def run_values(variant: Variant, plan: Plan, data: Path, seed: int) -> dict[str, Any]:
    """The content of a variant's run file."""
    return {
        "data": data_block(plan, data) | {"context": []},
        "networks": {"depth": {"kind": variant.decoder, "initial_depth": 6.0, "flip": variant.flip != "off"}},
        "objective": [
            {"kind": "stereo", "scales": "pyramid", "both": False},
            {"kind": "smoothness", "weight": 1e-3},
        ],
        "training": training_block(variant.steps(plan), seed),
    }


def lines(rows: Sequence[Row[Variant]]) -> list[Line]:
    """abs_rel over the work on the flip layer, a line for each decoder and seed."""
    return [
        Line(
            np.array([(WORK.index(row.variant.flip), row.seeds[seed]["abs_rel"]) for row in chosen]),
            COLORS[decoder],
            TITLES[decoder],
        )
        for decoder in DECODERS
        for chosen in [[row for row in rows if row.variant.decoder == decoder]]
        for seed in range(len(chosen[0].seeds))
    ]
