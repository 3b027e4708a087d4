"""`packdepth study packing`: PackNet with other layers in place of packing and unpacking (CVPR 2020, table 4).

One network is trained by view synthesis and speed with each choice of layers: packing or strided convolutions,
unpacking or convolutions after upsampling, and 3D convolutions with 0 to 8 features. All have the same number of
steps. The paper's own data and size are one `--data` file away, see docs/results/studies.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from packdepth.charts import bars
from packdepth.studies import engine
from packdepth.studies.ablated_packnet import MODULE, AblatedPackNetBlock, Down, Up
from packdepth.studies.budget import Budget
from packdepth.studies.cost import multiply_adds, parameters
from packdepth.studies.engine import Row, Scores, Study
from packdepth.studies.machine import Machine
from packdepth.studies.setting import (
    Setting,
    city_setting,
    data_values,
    setting_from,
    trained_scores,
    training_values,
)

PARAMETERS, MULTIPLY_ADDS = "parameters, M", "multiply-adds, G"


@dataclass(frozen=True)
class Variant:
    """A choice of layers."""

    down: Down
    """The layers that halve the resolution."""
    up: Up
    """The layers that double it."""
    features: int
    """Features D of the 3D convolutions; 0 for none."""
    metric: bool = True
    """True: the speed gives depth its metres."""

    @property
    def name(self) -> str:
        """The name in files, such as "packing-unpacking-8"."""
        return f"{self.down}-{self.up}-{self.features}"

    @property
    def title(self) -> str:
        """The title in tables, such as "packing and unpacking, D = 8"."""
        convolved = f", D = {self.features}" if self.down == "packing" or self.up == "unpacking" else ""
        down = "strided convolution" if self.down == "strided" else self.down
        up = self.up if self.up == "unpacking" else f"{self.up} upsampling"
        return f"{down} and {up}{convolved}"


VARIANTS = (
    *(Variant("packing", "unpacking", features) for features in (8, 4, 2, 0)),
    Variant("packing", "bilinear", 8),
    Variant("packing", "nearest", 8),
    Variant("strided", "unpacking", 8),
    Variant("strided", "bilinear", 0),
)


@dataclass(frozen=True)
class Plan(Budget):
    """Everything that the scores depend on."""

    width: int = 16  # channels of the first level
    blocks: int = 1  # residual convolutions of each level
    machine: Machine = field(default_factory=Machine)  # the machine and the data


@engine.owning
def packing(output: Path, budget: Budget, machine: Machine, width: int = 16, blocks: int = 1) -> Path:
    """Carry out the study and return the path of its page.

    Args:
        output: the folder of the study. What an earlier call trained there is not trained again.
        budget: the budget of every training.
        machine: the machine and the data.
        width: channels of the first level of the network; PackNet 1A has 64.
        blocks: residual convolutions of each level.

    Raises InputError if the budget is too small, if the folder holds a study with another budget, or if a training
    fails.
    """
    budget = machine.limited(budget)
    budget.check()
    machine.check()
    plan = Plan(**vars(budget), width=width, blocks=blocks, machine=machine)
    engine.begin(output, plan)
    setting = (
        setting_from(machine.data)
        if machine.data
        else city_setting(output, budget, machine.processes, baseline=None, scanner=None)
    )
    costs = [cost(variant, plan) for variant in VARIANTS]

    def compute(seed: int) -> list[Scores]:
        runs = {
            output / "runs" / f"{variant.name}-{seed}": run_values(variant, plan, setting, seed) for variant in VARIANTS
        }
        found = trained_scores(runs, setting.judged, machine.processes, (MODULE,))
        return [{**scores, **own} for scores, own in zip(found, costs, strict=True)]

    study = Study(
        name="packing",
        title="Packing and unpacking, or less",
        claim="abs_rel on KITTI falls from 0.122 with strided convolutions and bilinear upsampling to 0.121, 0.118, "
        "0.113 and 0.111 with packing and 0, 2, 4 and 8 features of 3D convolutions (Guizilini et al., CVPR 2020, "
        "table 4)",
        variants=VARIANTS,
        charts=charts,
        digits={PARAMETERS: 2, MULTIPLY_ADDS: 2},
    )
    words = f"{budget.steps} steps of {machine.batch} images at {budget.size[0]}x{budget.size[1]}, width {width}"
    return engine.carry_out(study, output, plan, words, budget.seeds, compute)


def network(variant: Variant, plan: Plan) -> dict[str, Any]:
    """Return the block of the depth network of a variant.

    Args:
        variant: the variant.
        plan: the plan of the study.
    """
    layers = {"features": variant.features, "down": variant.down, "up": variant.up}
    return {"kind": "ablated_packnet", "width": plan.width, "blocks": plan.blocks, "initial_depth": 6.0} | layers


def cost(variant: Variant, plan: Plan) -> Scores:
    """Return the numbers of parameters and multiply-adds of a variant's network.

    Args:
        variant: the variant.
        plan: the plan of the study.
    """
    built = AblatedPackNetBlock.model_validate(network(variant, plan)).build()
    return {PARAMETERS: parameters(built) / 1e6, MULTIPLY_ADDS: multiply_adds(built, plan.size) / 1e9}


def run_values(variant: Variant, plan: Plan, setting: Setting, seed: int) -> dict[str, Any]:
    """Return the content of a variant's run file.

    Args:
        variant: the variant.
        plan: the plan of the study.
        setting: the data.
        seed: the seed of the training.
    """
    return {
        "data": data_values(setting, plan.size, plan.machine),
        "networks": {"depth": network(variant, plan), "pose": {"kind": "posenet", "initial_forward": 0.7}},
        "objective": [
            {"kind": "photometric", "scales": "pyramid"},
            {"kind": "smoothness", "weight": 1e-3},
            {"kind": "velocity", "weight": 0.2},
        ],
        "training": training_values(plan.steps, seed, plan.machine),
    }


def charts(rows: Sequence[Row[Variant]]) -> list[Markup]:
    """Return the plots of the page: abs_rel under each protocol.

    Args:
        rows: the results of all variants.
    """
    names = [name for name in rows[0].seeds[0] if name.endswith("abs_rel")]
    return [bars({row.variant.title: (row.mean(name), row.spread(name)) for row in rows}, name) for name in names]
