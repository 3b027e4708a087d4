"""`packdepth study superdepth`: a comparison of SuperDepth's two ideas under equal conditions.

The sub-pixel decoder and the flip layer (Pillai et al., ICRA 2019) are switched on and off, with the same encoder,
stereo pairs of the rendered city, and budget, over several seeds. The network runs twice on each image with the flip
layer, which is therefore trained with equal steps and also, with half of the steps, at equal cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
from markupsafe import Markup

from packdepth.charts import OURS, TRUE, Line
from packdepth.studies.budget import Budget
from packdepth.studies.engine import Row, Study
from packdepth.studies.setting import training_values
from packdepth.studies.trials import MACHINE, carry_out, data_block, plot

Decoder = Literal["depth_resnet", "superdepth"]
Flip = Literal["off", "half", "full"]
TITLES = {"depth_resnet": "upsampling decoder", "superdepth": "sub-pixel decoder"}
FLIPS = {"off": "no flip layer", "half": "flip layer, half the steps", "full": "flip layer"}
COLORS = {"depth_resnet": TRUE, "superdepth": OURS}


@dataclass(frozen=True)
class Variant:
    """A variant of the training: the decoder, and whether the flip layer follows it."""

    decoder: Decoder
    """The decoder: upsampling ("depth_resnet") or sub-pixel convolution ("superdepth")."""
    flip: Flip
    """Whether the network has the flip layer: "off", "half" with half of the steps, or "full" with all steps."""

    @property
    def name(self) -> str:
        """The name in files, such as "superdepth-flip_half"."""
        return f"{self.decoder}-flip_{self.flip}"

    @property
    def title(self) -> str:
        """The title in tables, such as "sub-pixel decoder, flip layer"."""
        return f"{TITLES[self.decoder]}, {FLIPS[self.flip]}"

    @property
    def metric(self) -> bool:
        """True: depth is in metres, because stereo pairs have a known baseline."""
        return True

    def steps(self, budget: Budget) -> int:
        """Return the number of training steps.

        Args:
            budget: the budget of the study.
        """
        return max(budget.steps // 2, 1) if self.flip == "half" else budget.steps


DECODERS: tuple[Decoder, ...] = ("depth_resnet", "superdepth")
FLIP_USES: tuple[Flip, ...] = ("off", "half", "full")
VARIANTS = tuple(Variant(decoder, flip) for decoder, flip in product(DECODERS, FLIP_USES))


def superdepth(output: Path, budget: Budget, processes: int = 2) -> Path:
    """Carry out the study and return the path of its page.

    Args:
        output: the folder of the study, see `trials.carry_out`.
        budget: the budget of every training.
        processes: number of trainings at a time.
    """
    study = Study(
        name="superdepth",
        title="Sub-pixel decoder and flip layer, on and off",
        claim="sub-pixel convolutions and a differentiable flip layer each improve depth from stereo (Pillai et al., "
        "ICRA 2019)",
        variants=VARIANTS,
        charts=charts,
    )
    return carry_out(study, output, budget, processes, run_values, record=(1, 8), sensors={"scanner": None})


def run_values(variant: Variant, budget: Budget, data: Path, seed: int) -> dict[str, Any]:
    """Return the content of a variant's run file.

    Args:
        variant: the variant.
        budget: the budget of the study.
        data: the folder of the drives.
        seed: the seed of the training.
    """
    return {
        "data": data_block(budget, data) | {"context": []},
        "networks": {"depth": {"kind": variant.decoder, "initial_depth": 6.0, "flip": variant.flip != "off"}},
        "objective": [
            {"kind": "stereo", "scales": "pyramid", "both": False},
            {"kind": "smoothness", "weight": 1e-3},
        ],
        "training": training_values(variant.steps(budget), seed, MACHINE),
    }


def charts(rows: Sequence[Row[Variant]]) -> list[Markup]:
    """Return the plot of the page: abs_rel over the use of the flip layer.

    Args:
        rows: the results of all variants.
    """
    return plot(lines(rows), "0: no flip layer, 1: for half the steps, 2: for all", "abs_rel, not scaled")


def lines(rows: Sequence[Row[Variant]]) -> list[Line]:
    """Return a line for each decoder and seed: abs_rel over the use of the flip layer.

    Args:
        rows: the results of all variants.
    """
    return [
        Line(
            np.array([(FLIP_USES.index(row.variant.flip), row.seeds[seed]["abs_rel"]) for row in chosen]),
            COLORS[decoder],
            TITLES[decoder],
        )
        for decoder in DECODERS
        for chosen in [[row for row in rows if row.variant.decoder == decoder]]
        for seed in range(len(chosen[0].seeds))
    ]
