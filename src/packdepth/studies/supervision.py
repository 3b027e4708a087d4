"""`packdepth study supervision`: what depth is learned from, what to start from, and how many frames are enough.

Three parts, each a study with a page of its own:

* `signals`: one network on one data set with one budget, supervised by video alone, by speed, LiDAR, stereo, the
  camera's height or measured depth.
* `transfer`: a network that starts from random or ImageNet weights, on real clips alone or pretrained on the city.
* `frames`: the same starts, with 10 to 200 of the real frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from markupsafe import Markup

from packdepth.charts import INK, OURS, TRUE, Line, bars, key, svg
from packdepth.config import parse_run
from packdepth.errors import InputError
from packdepth.studies import engine
from packdepth.studies.budget import Budget
from packdepth.studies.engine import Row, Scores, Study
from packdepth.studies.machine import Machine
from packdepth.studies.setting import (
    Judged,
    Setting,
    city_setting,
    data_values,
    real_setting,
    scores,
    setting_from,
    trained_scores,
    training_values,
)
from packdepth.studies.side_by_side import train_side_by_side

Part = Literal["signals", "transfer", "frames"]
PARTS: tuple[Part, ...] = ("signals", "transfer", "frames")
FRAMES = (10, 25, 50, 100, 200)  # of one's own
LEAST_FRAMES = 3  # of a clip: a target and its two context frames
PHOTOMETRIC = {"kind": "photometric", "scales": "pyramid"}
SMOOTHNESS = {"kind": "smoothness", "weight": 1e-3}


@dataclass(frozen=True)
class Plan(Budget):
    """Everything that the scores depend on."""

    machine: Machine = field(default_factory=Machine)  # the machine and the data


def supervision(output: Path, budget: Budget, machine: Machine, parts: Sequence[Part] = PARTS) -> list[Path]:
    """Carry out parts of the study and return the paths of their pages.

    Args:
        output: the folder of the study; each part has a folder in it. What an earlier call trained is used again.
        budget: the budget of every training.
        machine: the machine and the data.
        parts: the parts.

    Raises InputError if the budget is too small, if the folder holds a study with another budget, if `transfer` or
    `frames` lacks real clips, or if a training fails.
    """
    budget = machine.limited(budget)
    budget.check()
    machine.check()
    if machine.data is None and set(parts) - {"signals"}:
        raise InputError("--data: the parts transfer and frames need the folder of the real clips, or a YAML file")
    plan = Plan(**vars(budget), machine=machine)
    carry_out = {"signals": signals, "transfer": transfer, "frames": frames}
    return [carry_out[part](output, plan) for part in parts]


# --- signals ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Signal:
    """The supervision of depth."""

    name: str
    """The name in files."""
    title: str
    """The title in tables."""
    terms: tuple[dict[str, Any], ...]
    """The terms of the objective, without smoothness."""
    beams: int | None = None
    """The number of LiDAR beams that are trained on; None for all measured depth."""
    video: bool = True
    """Whether there are context frames and an ego-motion network."""
    metric: bool = True
    """True: scores that need metres do not exist for relative depth, and are left out."""


SIGNALS = (
    Signal("video", "video (M)", (PHOTOMETRIC,)),
    Signal("speed", "video and speed (M+v)", (PHOTOMETRIC, {"kind": "velocity", "weight": 0.2})),
    Signal("height", "video and camera height", (PHOTOMETRIC, {"kind": "camera_height", "weight": 0.2})),
    Signal("lidar_4", "video and 4 beams", (PHOTOMETRIC, {"kind": "reprojected", "weight": 0.02}), beams=4),
    Signal("lidar_64", "video and 64 beams", (PHOTOMETRIC, {"kind": "reprojected", "weight": 0.02}), beams=64),
    Signal("stereo", "stereo pairs", ({"kind": "stereo", "scales": "pyramid", "both": False},), video=False),
    Signal("depth", "measured depth alone", ({"kind": "sparse_l1"},), video=False),
)


@engine.owning
def signals(output: Path, plan: Plan) -> Path:
    """Carry out the part on signals: PackNet `tiny` on the city or on the data of a YAML file.

    Args:
        output: the folder of the study.
        plan: the plan of the study.
    """
    folder, data = output / "signals", plan.machine.data
    engine.begin(folder, plan)
    given = data is not None and not data.is_dir()
    setting = setting_from(data) if given and data is not None else city_setting(output, plan, plan.machine.processes)

    def compute(seed: int) -> list[Scores]:
        runs = {folder / "runs" / f"{each.name}-{seed}": signal_run(each, plan, setting, seed) for each in SIGNALS}
        return trained_scores(runs, setting.judged, plan.machine.processes)

    study = Study(
        name="signals",
        title="What depth is learned from",
        claim="on KITTI, M and M+v are equally accurate (abs_rel 0.111), the first scaled by ground truth and the "
        "second in metres (Guizilini et al., CVPR 2020, table 3)",
        variants=SIGNALS,
        charts=partial(error_bars, ("abs_rel", "abs_rel, scaled")),
    )
    return engine.carry_out(study, folder, plan, _words(plan), plan.seeds, compute)


def signal_run(signal: Signal, plan: Plan, setting: Setting, seed: int) -> dict[str, Any]:
    """Return the content of a run file of the part on signals.

    Args:
        signal: the signal.
        plan: the plan of the study.
        setting: the data.
        seed: the seed of the training.
    """
    data = data_values(setting, plan.size, plan.machine) | {"beams": signal.beams}
    networks: dict[str, Any] = {"depth": {"kind": "packnet", "preset": "tiny", "initial_depth": 6.0}}
    if signal.video:
        networks["pose"] = {"kind": "posenet", "initial_forward": 0.7}
    return {
        "data": data if signal.video else data | {"context": []},
        "networks": networks,
        "objective": [*signal.terms, SMOOTHNESS],
        "training": training_values(plan.steps, seed, plan.machine),
    }


# --- transfer and frames ------------------------------------------------------------------------------------------

Weights = Literal["random", "imagenet"]
WEIGHTS: dict[Weights, dict[str, Any]] = {  # normalizations suit the weights; ImageNet's statistics are kept
    "random": {"kind": "efficientnet_lite", "weights": None, "normalization": "group"},
    "imagenet": {"kind": "efficientnet_lite", "normalization": "frozen"},
}
TITLES = {"random": "random weights", "imagenet": "ImageNet"}


@dataclass(frozen=True)
class Start:
    """The start of a training on real clips."""

    weights: Weights
    """The weights of the encoder at the very beginning: random ones, or those of ImageNet."""
    city: bool = False
    """Whether the networks are pretrained on the city."""
    steps: float = 1.0
    """Steps on the real clips, as a multiple of those of the budget; 0 to evaluate what was pretrained."""
    frames: int | None = None
    """Number of frames to train on; None for all."""
    metric: bool = True
    """True: scores that need metres do not exist for relative depth, and are left out."""

    @property
    def start(self) -> str:
        """The start in words."""
        return TITLES[self.weights] + (", then the city" if self.city else "")

    @property
    def name(self) -> str:
        """The name in files, such as "imagenet-city"."""
        parts = [self.weights, "city" if self.city else "", "" if self.steps == 1 else f"{self.steps:g}"]
        return "-".join(part for part in [*parts, f"{self.frames}_frames" if self.frames else ""] if part)

    @property
    def title(self) -> str:
        """The title in tables, such as "ImageNet, then the city"."""
        steps = ", no real frames" if self.steps == 0 else f", {self.steps:g} times the steps"
        frames = f", {self.frames} frames" if self.frames else ""
        return f"{self.start}{'' if self.steps == 1 else steps}{frames}"


TRANSFERS = (
    Start("random"),
    Start("random", steps=2),
    Start("random", city=True, steps=0),
    Start("random", city=True),
    Start("imagenet"),
    Start("imagenet", steps=2),
    Start("imagenet", city=True, steps=0),
    Start("imagenet", city=True),
)
STARTS = (Start("random"), Start("random", city=True), Start("imagenet"), Start("imagenet", city=True))


def transfer(output: Path, plan: Plan) -> Path:
    """Carry out the part on what to start from.

    Args:
        output: the folder of the study.
        plan: the plan of the study.
    """
    study = Study(
        name="transfer",
        title="What to start from",
        claim="pretraining on Cityscapes lowers abs_rel on KITTI from 0.111 to 0.108, and an ImageNet encoder lowers "
        "that of ResNet-18 from 0.133 to 0.120 (Guizilini et al., CVPR 2020, tables 3 and 4)",
        variants=TRANSFERS,
        charts=partial(error_bars, ("abs_rel, scaled",)),
    )
    return _on_real_clips(study, output, plan)


def frames(output: Path, plan: Plan) -> Path:
    """Carry out the part on the number of frames.

    Args:
        output: the folder of the study.
        plan: the plan of the study.
    """
    counts = FRAMES[:1] if plan.machine.quick else FRAMES
    study = Study(
        name="frames",
        title="How many frames are enough",
        claim="nothing in print: how many frames of a camera of one's own are enough, from each start",
        variants=[Start(each.weights, each.city, frames=count) for each in STARTS for count in counts],
        charts=frame_charts,
    )
    return _on_real_clips(study, output, plan)


@engine.owning
def _on_real_clips(study: Study[Start], output: Path, plan: Plan) -> Path:
    """Carry out a study of starts: pretrain on the city, then train on the real clips."""
    assert plan.machine.data is not None
    folder, data = output / study.name, plan.machine.data
    engine.begin(folder, plan)
    city = city_setting(output, plan, plan.machine.processes)
    setting = real_setting(data) if data.is_dir() else setting_from(data)

    def compute(seed: int) -> list[Scores]:
        pretrained = {
            weights: output / "pretrained" / f"{weights}-{seed}"
            for weights in WEIGHTS
            if any(variant.city and variant.weights == weights for variant in study.variants)
        }
        first = {run: start_run(Start(weights), plan, city, seed) for weights, run in pretrained.items()}
        train_side_by_side(first, plan.machine.processes)
        runs = {
            each: (
                folder / "runs" / f"{each.name}-{seed}",
                start_run(each, plan, setting, seed, pretrained[each.weights] / "last" if each.city else None),
            )
            for each in study.variants
            if each.steps
        }
        trained_scores(dict(runs.values()), setting.judged, plan.machine.processes)
        return [_found(each, runs, pretrained, setting.judged) for each in study.variants]

    return engine.carry_out(study, folder, plan, _words(plan), plan.seeds, compute)


def _found(
    start: Start,
    runs: Mapping[Start, tuple[Path, dict[str, Any]]],
    pretrained: Mapping[Weights, Path],
    judged: Sequence[Judged],
) -> Scores:
    """Return the scores of a start on the real clips."""
    return scores(runs[start][0] if start in runs else pretrained[start.weights], judged)


def start_run(start: Start, plan: Plan, setting: Setting, seed: int, initial: Path | None = None) -> dict[str, Any]:
    """Return the content of a run file of the parts on real clips, and of the pretraining.

    Args:
        start: what the training starts from.
        plan: the plan of the study.
        setting: the data.
        seed: the seed of the training.
        initial: the checkpoint to start from; None for the weights of `start`.
    """
    values: dict[str, Any] = {
        "data": data_values(setting, plan.size, plan.machine),
        "networks": {
            "depth": {"kind": "encoder_decoder", "initial_depth": 8.0, "encoder": WEIGHTS[start.weights]},
            "pose": {"kind": "posenet", "initial_forward": 0.7},
        },
        "objective": [PHOTOMETRIC, SMOOTHNESS],
        "training": training_values(round(start.steps * plan.steps), seed, plan.machine, weight_decay=0.5),
    }
    if start.frames is not None:
        values["data"]["train"] = shortened(values, start.frames)
    if initial is not None:
        values["initial"] = {"depth": str(initial.resolve()), "pose": str(initial.resolve())}
    return values


def shortened(values: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """Return the sources of a run file, with about `count` frames: the first ones of each clip, by its share.

    Sources of clips that would keep fewer than `LEAST_FRAMES` are left out, the shortest first.

    Args:
        values: the content of the run file.
        count: number of frames, at least `LEAST_FRAMES`.
    """
    sources = list(zip(values["data"]["train"], parse_run(dict(values), "study").data.train, strict=True))
    lengths = [[len(clip.frames) for clip in source.clips()] for _, source in sources]
    kept = sorted(range(len(sources)), key=lambda number: -max(lengths[number]))
    while True:
        total = sum(sum(lengths[number]) for number in kept)
        share = min(count / total, 1.0)
        least = kept[-1]
        if len(kept) == 1 or round(share * max(lengths[least])) >= LEAST_FRAMES:
            break
        kept.pop()
    return [
        dict(sources[number][0]) | {"frames": [0, max(round(share * max(lengths[number])), LEAST_FRAMES)]}
        for number in sorted(kept)
    ]


# --- plots --------------------------------------------------------------------------------------------------------


def error_bars(scores: Sequence[str], rows: Sequence[Row[Any]]) -> list[Markup]:
    """Return plots of scores, under each protocol.

    Args:
        scores: names of the scores, without the protocol.
        rows: the results of all variants.
    """
    names = [name for name in rows[0].seeds[0] if name.split(" ", 1)[1] in scores]
    return [bars({row.variant.title: (row.mean(name), row.spread(name)) for row in rows}, name) for name in names]


def frame_charts(rows: Sequence[Row[Start]]) -> list[Markup]:
    """Return plots of abs_rel over the number of frames, a line for each start, under each protocol.

    Args:
        rows: the results of all variants.
    """
    plots = []
    counts = sorted({row.variant.frames or 0 for row in rows})
    for name in (name for name in rows[0].seeds[0] if name.endswith("abs_rel, scaled")):
        lines = []
        for start, color in zip(STARTS, (INK, "#f2a541", TRUE, OURS), strict=True):
            chosen = [row for row in rows if _like(row, start)]
            points = [(counts.index(row.variant.frames or 0), row.mean(name)) for row in chosen]
            spread = np.array([row.spread(name) for row in chosen])
            lines.append(Line(np.array(points), color, start.start, spread))
        plots.append(key(lines) + svg(lines, "frames", name, x_names=[str(count) for count in counts], dots=True))
    return plots


def _like(row: Row[Start], start: Start) -> bool:
    """Return whether a row has a start."""
    return (row.variant.weights, row.variant.city) == (start.weights, start.city)


def _words(plan: Plan) -> str:
    """Return the budget in words."""
    return f"{plan.steps} steps of {plan.machine.batch} images at {plan.size[0]}x{plan.size[1]}"
