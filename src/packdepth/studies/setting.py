"""The data of studies and their scores: the rendered city, real clips, or any data that a YAML file names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from packdepth.blocks import Closed, parse
from packdepth.city.command import require_city
from packdepth.errors import InputError
from packdepth.run_files import read_yaml
from packdepth.sources.base import AnySource
from packdepth.studies.budget import Budget
from packdepth.studies.engine import Scores, remembered
from packdepth.studies.machine import Machine
from packdepth.studies.side_by_side import in_processes, train_side_by_side

REAL_CLIPS: tuple[dict[str, Any], ...] = (  # those of configs/kitti_mixed.yaml, relative to the folder of the data
    {"kind": "folder", "root": "clips/kitti360_3000"},
    {"kind": "folder", "root": "clips/kitti_0926_mono"},
    {"kind": "folder", "root": "clips/kitti2015_lead_car"},
    {"kind": "kitti_odometry", "root": "kitti_odometry/dataset", "sequences": ["06"], "cameras": ["left"]},
)
NO_SCALE = "none"  # the source of the scale of checkpoints that know none
RECORD = (8, 60)  # of each 60 frames of a training drive, the first 8 are rendered
VAL_FRAMES = 4  # frames of each validation drive
EPOCH_STEPS = 2000  # largest number of steps between two checkpoints, so that a long training can be resumed


class Judged(Closed):
    """A protocol that networks are judged by.

    >>> Judged(protocol="kitti-eigen-original", data="/data").protocol
    'kitti-eigen-original'
    """

    protocol: str
    """Name of the protocol, or a YAML file with one."""
    data: Path
    """The folder of its data, as in `packdepth evaluate --data`."""


class StudyData(Closed):
    """The file that `--data` names: training data and protocols.

    >>> StudyData(train=[{"kind": "folder", "root": "a"}], judged=[{"protocol": "folder", "data": "b"}]).context
    [-1, 1]
    """

    train: Annotated[list[AnySource], Field(min_length=1)]
    """Clips to train on, as in `data.train` of a run file."""
    context: list[int] = [-1, 1]
    """Offsets of the context frames, as in `data.context` of a run file."""
    judged: Annotated[list[Judged], Field(min_length=1)]
    """The protocols of the scores."""


@dataclass(frozen=True)
class Setting:
    """The data of a study."""

    train: tuple[dict[str, Any], ...]
    """Sources of the training, as in a run file."""
    judged: tuple[Judged, ...]
    """The protocols of the scores."""
    context: tuple[int, ...] = (-1, 1)
    """Offsets of the context frames."""
    small: bool = True
    """Whether the resized images are sure to fit into memory, once for each training that runs."""


def setting_from(path: Path) -> Setting:
    """Return the data that a YAML file names.

    Args:
        path: the file, see `StudyData`.

    Raises InputError if it cannot be used.
    """
    values = read_yaml(path)
    found = parse(StudyData, values, str(path))
    return Setting(tuple(values["train"]), tuple(found.judged), tuple(found.context), small=False)


def city_setting(output: Path, budget: Budget, processes: int, **sensors: Any) -> Setting:
    """Render the drives of a study that do not exist yet, and return them as its data.

    Args:
        output: the folder of the study.
        budget: the budget, which has the number, the length and the size of the drives.
        processes: number of processes that render.
        sensors: sensors of the car that differ from the defaults of `city.drive.Recipe`.

    Raises InputError if the extra `city` is not installed.
    """
    require_city()
    drives = (output / "data").resolve()
    render(drives, budget, RECORD, sensors, processes)
    train = {"kind": "folder", "root": str(drives / "train")}
    return Setting((train,), (Judged(protocol="city", data=drives / "val"),))


def render(data: Path, budget: Budget, record: tuple[int, int], sensors: Mapping[str, Any], processes: int) -> None:
    """Render the drives that do not exist yet.

    Args:
        data: folder for the drives.
        budget: the budget, which has the number, the length and the size of drives.
        record: (n, m): of each m frames of a training drive, the first n are rendered.
        sensors: the sensors of the car that differ from the defaults of `city.drive.Recipe`.
        processes: number of processes.
    """
    from packdepth.city.drive import Recipe
    from packdepth.city.style import Split
    from packdepth.city.write import write_city

    parts: tuple[tuple[Split, int, int, tuple[int, int]], ...] = (
        ("train", budget.drives, budget.frames, record),
        ("val", budget.val_drives, VAL_FRAMES, (1, 1)),
    )
    for split, drives, frames, recorded in parts:
        recipe = Recipe(
            split=split,
            seed=1,
            frames=frames,
            height=budget.size[0],
            width=budget.size[1],
            lead_share=0.1,
            stop_share=0.1,
            speeds=(6.0, 12.0),
            record=recorded,
            **sensors,
        )
        write_city(data / split, recipe, drives, processes)


def real_setting(data: Path) -> Setting:
    """Return the real clips as data: four clips, judged on pairs whose streets they do not show.

    Args:
        data: the folder with clips/ and kitti_odometry/.

    Raises InputError if a clip is not there.
    """
    for clip in REAL_CLIPS:
        if not (data / clip["root"]).is_dir():
            raise InputError(f"{data / clip['root']}: is not there; --data needs the clips of configs/kitti_mixed.yaml")
    train = tuple(clip | {"root": str((data / clip["root"]).resolve())} for clip in REAL_CLIPS)
    return Setting(train, (Judged(protocol="kitti2015-pairs", data=data.resolve()),))


def both(first: Setting, second: Setting) -> Setting:
    """Return the data of two settings together.

    Args:
        first: one setting, whose context frames are used.
        second: the other one.
    """
    return Setting(
        first.train + second.train, first.judged + second.judged, first.context, first.small and second.small
    )


def data_values(setting: Setting, size: tuple[int, int], machine: Machine) -> dict[str, Any]:
    """Return the data block of a run file.

    Args:
        setting: the data of the study.
        size: height and width of the images, in pixels.
        machine: the machine.
    """
    return {
        "train": list(setting.train),
        "image_size": list(size),
        "context": list(setting.context),
        "augmentation": {"flip": 0.5, "jitter": None},
        "workers": machine.workers,
        "cache": setting.small or machine.accelerator == "cpu",
    }


def training_values(steps: int, seed: int, machine: Machine, weight_decay: float = 0.1) -> dict[str, Any]:
    """Return the training block of a run file.

    Args:
        steps: number of steps.
        seed: the seed of the training.
        machine: the machine.
        weight_decay: weight decay of muon; networks without normalization in the decoder need 0.5.
    """
    epochs = math.ceil(steps / EPOCH_STEPS)
    muon = {"kind": "muon", "learning_rate": 0.04, "pose_learning_rate": 0.02, "weight_decay": weight_decay}
    rates = {"depth_learning_rate": 2e-3, "pose_learning_rate": 1e-3, "optimizer": muon}
    published = {"depth_learning_rate": 2e-4, "pose_learning_rate": 5e-4, "optimizer": {"kind": "adam"}}
    return {
        "epochs": epochs,
        "epoch_steps": math.ceil(steps / epochs),
        "batch_size": machine.batch,
        **(rates if machine.optimizer == "muon" else published),
        "schedule": {"kind": "cosine", "warmup": min(50, steps // 2), "hold": 0.3},
        "precision": machine.precision,
        "seed": seed,
        "accelerator": machine.accelerator,
        "devices": machine.devices,
    }


def trained_scores(
    runs: Mapping[Path, dict[str, Any]], judged: Sequence[Judged], processes: int, use: Sequence[str] = ()
) -> list[Scores]:
    """Train runs side by side, evaluate each, and return their scores. What was computed before is used again.

    Args:
        runs: contents of run files by folder.
        judged: the protocols of the scores.
        processes: number of trainings, and of evaluations, at a time.
        use: modules that the runs need, as on the command line.
    """
    train_side_by_side(runs, processes, use)
    return in_processes(partial(scores, judged=tuple(judged), use=tuple(use)), list(runs), processes)


def scores(run: Path, judged: Sequence[Judged], use: Sequence[str] = ()) -> Scores:
    """Return the scores of a finished training, which are kept in a file beside its folder.

    A score is named "PROTOCOL abs_rel" or, with each image scaled by its median, "PROTOCOL abs_rel, scaled". Without
    "scaled" it is NaN if nothing supervises the scale. It is there also if the scale came out wrong.

    Args:
        run: the folder of the training.
        judged: the protocols of the scores.
        use: modules that the run needs, as on the command line.
    """
    return remembered(run.with_name(f"{run.name}-scores.json"), lambda: evaluated(run / "last", judged, use))


def evaluated(checkpoint: Path, judged: Sequence[Judged], use: Sequence[str] = ()) -> Scores:
    """Return the scores of a checkpoint, named as those of `scores`, computed in one thread.

    Args:
        checkpoint: the folder of the checkpoint.
        judged: the protocols of the scores.
        use: modules that its run needs, as on the command line.
    """
    import torch

    from packdepth import blocks
    from packdepth.evaluation.run import evaluate

    torch.set_num_threads(1)
    for module in use:
        blocks.use(module)
    found: dict[str, float] = {}
    for each in judged:
        (report,) = evaluate(checkpoint, each.protocol, each.data)
        name, has_scale = report.protocol.name, report.scale_source != NO_SCALE
        for score in ("abs_rel", "a1"):
            found[f"{name} {score}"] = report.rows["plain"][score] if has_scale else math.nan
            found[f"{name} {score}, scaled"] = report.rows["scaled"][score]
    return found
