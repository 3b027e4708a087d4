"""`packdepth study scaling`: what PackNet and ResNets gain from size and from resolution (CVPR 2020, figure 8).

PackNet at four widths and depth networks with ResNet encoders of 18, 34 and 50 layers are trained from random weights
by view synthesis at three resolutions, on drives through the city and real clips together. They are evaluated on unseen
drives and on pairs of KITTI 2015. The page plots the error over latency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from packdepth.blocks import parse
from packdepth.charts import INK, OURS, TRUE, Line, key, svg
from packdepth.networks.blocks import DEPTH_NETWORKS
from packdepth.studies import engine
from packdepth.studies.ablated_packnet import MODULE
from packdepth.studies.budget import Budget
from packdepth.studies.cost import latencies, multiply_adds, parameters
from packdepth.studies.engine import Row, Scores, Study, remembered
from packdepth.studies.machine import Machine
from packdepth.studies.setting import (
    Setting,
    both,
    city_setting,
    data_values,
    real_setting,
    setting_from,
    trained_scores,
    training_values,
)

WIDTHS = (8, 16, 24, 32)  # of PackNet; 1A has 64
LAYERS = (18, 34, 50)  # of the ResNet encoders
FACTORS = (1.0, 1.4, 2.0)  # of the resolutions: the paper's are 1 and 2
MULTIPLE = 16  # pixels: heights and widths are rounded to multiples
FEATURES = 2  # features of PackNet's 3D convolutions, as in the presets for CPUs
LATENCY, EXPORTED = "latency, ms", "latency exported, ms"
PARAMETERS, MULTIPLY_ADDS = "parameters, M", "multiply-adds, G"
COSTS = (PARAMETERS, MULTIPLY_ADDS, LATENCY, EXPORTED)
SHADES = {"PackNet": ("#f5b8c2", "#ec8596", OURS), "ResNet": ("#b3a3cf", "#7a5fa5", TRUE)}  # pale is small


@dataclass(frozen=True)
class Variant:
    """A network at a resolution."""

    family: str
    """"PackNet" or "ResNet"."""
    size: int
    """The width of PackNet, or the number of layers of the ResNet."""
    height: int
    """Height of the images, in pixels."""
    width: int
    """Width of the images, in pixels."""
    metric: bool = True
    """True: scores that need metres do not exist for relative depth, and are left out."""

    @property
    def name(self) -> str:
        """The name in files, such as "packnet_16-64x192"."""
        return f"{self.family.lower()}_{self.size}-{self.height}x{self.width}"

    @property
    def title(self) -> str:
        """The title in tables, such as "PackNet, width 16, 64x192"."""
        what = f"width {self.size}" if self.family == "PackNet" else f"{self.size} layers"
        return f"{self.family}, {what}, {self.height}x{self.width}"


@dataclass(frozen=True)
class Plan(Budget):
    """Everything that the scores depend on."""

    widths: tuple[int, ...] = WIDTHS  # channels of the first level of each PackNet
    layers: tuple[int, ...] = LAYERS  # layers of each ResNet
    factors: tuple[float, ...] = FACTORS  # resolutions, as multiples of the size
    features: int = FEATURES  # features of PackNet's 3D convolutions
    blocks: int = 1  # residual convolutions of each level of PackNet
    machine: Machine = field(default_factory=Machine)  # the machine and the data

    def limited(self) -> Plan:
        """Return the plan or, for a smoke test, one with a network of each family at one resolution."""
        if not self.machine.quick:
            return self
        return replace(self.machine.limited(self), widths=self.widths[:1], layers=self.layers[:1], factors=(1.0,))

    def size_at(self, factor: float) -> tuple[int, int]:
        """Return height and width of images, in pixels.

        Args:
            factor: the resolution, as a multiple of the size.

        >>> Plan(size=(48, 160)).size_at(1.4)
        (64, 224)
        """
        height, width = (MULTIPLE * round(factor * side / MULTIPLE) for side in self.size)
        return height, width

    def variants(self) -> list[Variant]:
        """Return all networks at all resolutions."""
        sizes = [self.size_at(factor) for factor in self.factors]
        families = [("PackNet", width) for width in self.widths] + [("ResNet", layers) for layers in self.layers]
        return [Variant(*network, *size) for network, size in product(families, sizes)]


@engine.owning
def scaling(output: Path, plan: Plan) -> Path:
    """Carry out the study and return the path of its page.

    Args:
        output: the folder of the study. What an earlier call trained there is not trained again.
        plan: the budget of every training, the networks, the machine and the data.

    Raises InputError if the budget is too small, if the folder holds a study with another budget, or if a training
    fails.
    """
    plan, machine = plan.limited(), plan.machine
    plan.check()
    machine.check()
    engine.begin(output, plan)
    variants = plan.variants()
    setting = _setting(output, plan)
    costs: list[Scores] = []

    def compute(seed: int) -> list[Scores]:
        runs = {
            output / "runs" / f"{variant.name}-{seed}": run_values(variant, plan, setting, seed) for variant in variants
        }
        found = trained_scores(runs, setting.judged, machine.processes, (MODULE,))
        if not costs:  # once, while nothing else computes
            costs.extend(cost(variant, plan, run) for variant, run in zip(variants, runs, strict=True))
        return [{**scores, **own} for scores, own in zip(found, costs, strict=True)]

    study = Study(
        name="scaling",
        title="Size and resolution",
        claim="PackNet gains more from resolution and from parameters than ResNets, which saturate near 70 million "
        "(Guizilini et al., CVPR 2020, figure 8)",
        variants=variants,
        charts=charts,
        tables=tables,
        digits={PARAMETERS: 2, MULTIPLY_ADDS: 2, LATENCY: 1, EXPORTED: 1},
    )
    words = f"{plan.steps} steps of {machine.batch} images, from random weights"
    return engine.carry_out(study, output, plan, words, plan.seeds, compute)


def _setting(output: Path, plan: Plan) -> Setting:
    """Return the data: of a YAML file, or the city and, where a folder is given, the real clips."""
    data, largest = plan.machine.data, replace(plan, size=plan.size_at(max(plan.factors)))
    if data is not None and not data.is_dir():
        return setting_from(data)
    city = city_setting(output, largest, plan.machine.processes, baseline=None, scanner=None)
    return city if data is None else both(city, real_setting(data))


def network(variant: Variant, plan: Plan) -> dict[str, Any]:
    """Return the block of the depth network of a variant, with random weights.

    Args:
        variant: the variant.
        plan: the plan of the study.
    """
    if variant.family == "PackNet":
        layers = {"width": variant.size, "features": plan.features, "blocks": plan.blocks}
        return {"kind": "ablated_packnet", "initial_depth": 8.0} | layers
    return {
        "kind": "encoder_decoder",
        "initial_depth": 8.0,
        "encoder": {"kind": "resnet", "layers": variant.size, "normalization": "group"},
        "decoder": {"kind": "monodepth2", "channels": [16, 32, 64, 128, 256]},
    }


def run_values(variant: Variant, plan: Plan, setting: Setting, seed: int) -> dict[str, Any]:
    """Return the content of a variant's run file.

    Args:
        variant: the variant.
        plan: the plan of the study.
        setting: the data.
        seed: the seed of the training.
    """
    weight_decay = 0.1 if variant.family == "PackNet" else 0.5  # the decoder of monodepth2 has no normalization
    return {
        "data": data_values(setting, (variant.height, variant.width), plan.machine),
        "networks": {"depth": network(variant, plan), "pose": {"kind": "posenet", "initial_forward": 0.7}},
        "objective": [{"kind": "photometric", "scales": "pyramid"}, {"kind": "smoothness", "weight": 1e-3}],
        "training": training_values(plan.steps, seed, plan.machine, weight_decay),
    }


def cost(variant: Variant, plan: Plan, run: Path) -> Scores:
    """Return parameters, multiply-adds and latencies of a variant's network, which are kept in a file.

    Args:
        variant: the variant.
        plan: the plan of the study.
        run: the folder of a training.
    """

    def measured() -> Scores:
        values = network(variant, plan)
        built = parse(DEPTH_NETWORKS.find(values["kind"]), values, "study").build()
        in_torch, exported = latencies(run / "last", run.with_name(f"{run.name}-exported"))
        return {
            PARAMETERS: parameters(built) / 1e6,
            MULTIPLY_ADDS: multiply_adds(built, (variant.height, variant.width)) / 1e9,
            LATENCY: in_torch,
            EXPORTED: exported,
        }

    return remembered(run.with_name(f"{run.name}-cost.json"), measured)


def tables(scores: Sequence[str]) -> list[list[str]]:
    """Return the names of the scores and those of the costs, for a table each.

    Args:
        scores: the names of both.

    >>> tables(["city abs_rel, scaled", "latency, ms"])
    [['city abs_rel, scaled'], ['latency, ms']]
    """
    return [[name for name in scores if name not in COSTS], [name for name in scores if name in COSTS]]


def charts(rows: Sequence[Row[Variant]]) -> list[Markup]:
    """Return the plots of the page: abs_rel over latency, a line for each family and resolution.

    Args:
        rows: the results of all variants.
    """
    plots = []
    for score in (name for name in rows[0].seeds[0] if name.endswith("abs_rel, scaled")):
        lines = pareto_lines(rows, score)
        plots.append(key(lines) + svg(lines, LATENCY, score, dots=True))
    return plots


def pareto_lines(rows: Sequence[Row[Variant]], score: str) -> list[Line]:
    """Return a line for each family and resolution: a score over the latency in PyTorch, by size of the network.

    Args:
        rows: the results of all variants.
        score: the name of the score.
    """
    lines = []
    for family, shades in SHADES.items():
        chosen = [row for row in rows if row.variant.family == family]
        sizes = sorted({(row.variant.height, row.variant.width) for row in chosen})
        for number, size in enumerate(sizes):
            of_size = [row for row in chosen if (row.variant.height, row.variant.width) == size]
            points = np.array([(row.mean(LATENCY), row.mean(score)) for row in of_size])
            spread = np.array([row.spread(score) for row in of_size])
            color = shades[-len(sizes) :][number] if len(sizes) <= len(shades) else INK
            lines.append(Line(points, color, f"{family}, {size[0]}x{size[1]}", spread))
    return lines
