"""`packdepth study ego-motion`: a comparison of how much ego-motion networks drift on drives they were not trained on.

One depth network is trained on measured depth and then frozen. Every ego-motion network is trained on the same frames
with it, for the same number of steps, by view synthesis and the distance traveled, with several seeds. It is evaluated
with its own motions, and most networks once more with motions that are aligned with that depth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from markupsafe import Markup

from packdepth.charts import bars
from packdepth.config import parse_run
from packdepth.data.targets import distance, target_indices
from packdepth.evaluation.odometry import odometry_errors
from packdepth.geometry.poses import chained
from packdepth.inference.predictor import load
from packdepth.inference.trajectory import neighbor_motions
from packdepth.records import Clip
from packdepth.studies.engine import Row, Study, begin, carry_out, owning
from packdepth.studies.machine import Machine
from packdepth.studies.setting import Setting, data_values
from packdepth.studies.side_by_side import in_processes, train_side_by_side

NETWORKS: dict[str, dict[str, Any]] = {
    "posenet": {"kind": "posenet"},
    "pose_resnet": {"kind": "pose_resnet"},
    "two_stream, early": {"kind": "two_stream", "fusion": "early"},
    "two_stream, middle": {"kind": "two_stream", "fusion": "middle"},
    "two_stream, late": {"kind": "two_stream", "fusion": "late"},
}
CHOICES: dict[str, dict[str, Any]] = {
    "two_stream, middle, unit: metre": {"kind": "two_stream", "unit": "metre"},
    "two_stream, middle, encoding: inverse": {"kind": "two_stream", "encoding": "inverse"},
    "two_stream, middle, sparse (grid)": {"kind": "two_stream", "sparsity": {"pattern": "grid"}},
    "two_stream, middle, sparse (blocks)": {"kind": "two_stream", "sparsity": {"pattern": "blocks"}},
}
ALIGNED = ", aligned with depth"  # suffix of the titles of aligned motions, see geometry.align
SPARSE: dict[str, Any] = {"sparsity": {"pattern": "random"}}
AHEAD = "straight ahead at the mean speed"  # title of the motions that use no image
COLUMNS = {
    "ate": "ATE, m",
    "ate_scaled": "ATE after scaling, m",
    "t_rel": "t_rel, %",
    "r_rel": "r_rel, degrees for 100 m",
    "rpe_translation": "RPE, m",
    "rpe_rotation": "RPE, degrees",
}
Errors = dict[str, float]


@dataclass(frozen=True)
class Variant:
    """An ego-motion network of the study, with its own motions or with aligned ones."""

    title: str
    """The title in tables, such as "two_stream, early, aligned with depth"."""
    metric: bool = True
    """True: the distance traveled gives the motions their scale."""

    @property
    def name(self) -> str:
        """The name in files, such as "two_stream-early-aligned_with_depth"."""
        return self.title.replace(", ", "-").replace(": ", "-").replace(" ", "_")


@dataclass(frozen=True)
class Plan:
    """The data and the budget of a study."""

    train: Mapping[str, Any]  # the source of training clips, as a block of a run file
    test: Mapping[str, Any]  # the source of test clips
    image_size: tuple[int, int]  # height and width, pixels
    depth_steps: int  # training steps of the depth network
    steps: int  # training steps of each ego-motion network
    seeds: int  # trainings of each ego-motion network


@owning
def city_study(output: Path, depth_steps: int, steps: int, seeds: int, processes: int = 2) -> Path:
    """Carry out the study on rendered streets: 16 training drives, and 4 other test drives of 200 frames.

    Args:
        output: the folder of the study, see `study`.
        depth_steps: training steps of the depth network that all share.
        steps: training steps of each ego-motion network.
        seeds: trainings of each ego-motion network.
        processes: number of trainings at a time.
    """
    from packdepth.city.drive import Recipe
    from packdepth.city.write import write_city

    look: dict[str, Any] = {"height": 64, "width": 224, "speeds": (4.0, 12.0), "lead_share": 0.0, "stop_share": 0.0}
    look |= {"baseline": None, "scanner": None, "seed": 8}
    train_drives, test_drives = output / "data" / "train", output / "data" / "test"
    write_city(train_drives, Recipe(split="train", frames=240, record=(8, 60), **look), 16, processes)
    write_city(test_drives, Recipe(split="test", frames=200, **look), 4, processes)
    train, test = ({"kind": "folder", "root": str(folder.resolve())} for folder in (train_drives, test_drives))
    return study(output, Plan(train, test, (64, 224), depth_steps, steps, seeds), processes)


def clip_study(output: Path, data: Path, depth_steps: int, steps: int, seeds: int, processes: int = 2) -> Path:
    """Carry out the study on KITTI odometry, sequence 06: training on the first 35 frames, testing on the last 16.

    Args:
        output: the folder of the study, see `study`.
        data: the folder that holds kitti_odometry.
        depth_steps: training steps of the depth network that all share.
        steps: training steps of each ego-motion network.
        seeds: trainings of each ego-motion network.
        processes: number of trainings at a time.
    """
    root = str((data / "kitti_odometry" / "dataset").resolve())
    source: dict[str, Any] = {"kind": "kitti_odometry", "root": root, "sequences": ["06"], "cameras": ["left"]}
    train, test = source | {"frames": [0, 35]}, source | {"frames": [35, 51]}
    return study(output, Plan(train, test, (64, 224), depth_steps, steps, seeds), processes)


@owning
def study(output: Path, plan: Plan, processes: int = 2) -> Path:
    """Train and evaluate all networks, and return the path of the page.

    The results are each network's mean errors over the test drives.

    Args:
        output: the folder for the networks and the results as ego_motion.json, .csv, .md and .html. What an earlier
            study trained there is used again.
        plan: the data and the budget.
        processes: number of trainings at a time.

    Raises InputError if the folder holds a study with another budget, or if a training fails.
    """
    begin(output, plan)
    forward, clips = mean_step(_clips(plan, plan.train)), _clips(plan, plan.test)
    folders = {title: output / Variant(title).name for title in networks()}
    train_side_by_side({output / "depth": _depth_run(plan)}, processes)

    def compute(seed: int) -> list[Errors]:
        runs = {
            folders[title] / str(seed): _pose_run(plan, output / "depth" / "last", pose, forward, seed)
            for title, pose in networks().items()
        }
        train_side_by_side(runs, processes)
        tasks = [(folder / str(seed) / "last", clips, False) for folder in folders.values()]
        tasks += [(folders[title] / str(seed) / "last", clips, True) for title in folders if title not in CHOICES]
        found = in_processes(evaluate, tasks, processes)
        return [errors((clip, _straight(clip, forward)) for clip in clips), *found]

    titles = [AHEAD, *folders, *(f"{title}{ALIGNED}" for title in folders if title not in CHOICES)]
    compared = Study(
        name="ego_motion",
        title="Ego-motion networks on unseen drives",
        claim="depth as a second stream, and dropping pixels in training, make ego-motion from video more accurate "
        "(Ambrus et al., CoRL 2019)",
        variants=[Variant(title) for title in titles],
        charts=charts,
    )
    words = f"{plan.steps} steps of 4 pairs of images at {plan.image_size[0]}x{plan.image_size[1]}"
    return carry_out(compared, output, plan, words, plan.seeds, compute)


def charts(rows: Sequence[Row[Variant]]) -> list[Markup]:
    """Return the plots of the page: the mean errors of all networks.

    Args:
        rows: the results of all networks.
    """
    return [
        bars({row.variant.title: (row.mean(title), row.spread(title)) for row in rows}, title)
        for title in (COLUMNS["t_rel"], COLUMNS["rpe_translation"])
    ]


def _straight(clip: Clip, forward: float) -> list[np.ndarray]:
    """Return motions straight ahead, `forward` metres each."""
    ahead = np.eye(4)
    ahead[2, 3] = -forward
    return [ahead] * (len(clip.frames) - 1)


def networks() -> dict[str, dict[str, Any]]:
    """Return the blocks of all ego-motion networks by title."""
    sparse = {f"{name}, sparse": config | SPARSE for name, config in NETWORKS.items()}
    return {
        name: config for pair in zip(NETWORKS.items(), sparse.items(), strict=True) for name, config in pair
    } | CHOICES


def mean_step(clips: Sequence[Clip]) -> float:
    """Return the mean distance between neighboring frames, metres.

    Args:
        clips: clips with poses or speed.
    """
    steps = [distance(clip, i, i + 1) for clip in clips for i in target_indices(clip, (1,), measured=True)]
    return float(np.mean([step for step in steps if step is not None]))


def evaluate(task: tuple[Path, Sequence[Clip], bool]) -> Errors:
    """Return the errors of a checkpoint's motions, computed in one thread.

    Args:
        task: the folder of the checkpoint, the test clips, and whether the motions are aligned with the checkpoint's
            depth.
    """
    checkpoint, clips, aligned = task
    torch.set_num_threads(1)
    predictor = load(checkpoint)
    return errors((clip, neighbor_motions(predictor, clip, clip.camera if aligned else None)) for clip in clips)


def errors(motions: Iterable[tuple[Clip, Iterable[np.ndarray]]]) -> Errors:
    """Return the mean over clips of each error in COLUMNS, by its title; NaN for one that clips are too short for.

    Args:
        motions: clips, each with the predicted motions T_next_current between its frames.
    """
    rows = []
    for clip, predicted in motions:
        true = np.stack([frame.pose for frame in clip.frames if frame.pose is not None])
        rows.append(asdict(odometry_errors(chained(predicted), true)))
    return {title: float(np.mean([row[name] for row in rows])) for name, title in COLUMNS.items()}


def _depth_run(plan: Plan) -> dict[str, Any]:
    """Return the run of the depth network, which is trained on measured depth."""
    return {
        "data": _data(plan, plan.train),
        "networks": {"depth": _depth(), "pose": {"kind": "posenet"}},
        "objective": [{"kind": "sparse_l1"}, {"kind": "smoothness", "weight": 1e-4}],
        "training": _training(plan.depth_steps, seed=0)
        | {"batch_size": 8, "depth_learning_rate": 2e-3, "optimizer": {"kind": "muon", "learning_rate": 0.04}},
    }


def _pose_run(plan: Plan, depth: Path, pose: dict[str, Any], forward: float, seed: int) -> dict[str, Any]:
    """Return the run of an ego-motion network with a frozen depth network."""
    return {
        "data": _data(plan, plan.train),
        "networks": {"depth": _depth() | {"frozen": True}, "pose": {"initial_forward": round(forward, 3)} | pose},
        "initial": {"depth": str(depth.resolve())},
        "objective": [{"kind": "photometric", "scales": "pyramid"}, {"kind": "velocity", "weight": 0.05}],
        "training": _training(plan.steps, seed)
        | {"pose_learning_rate": 1e-3, "optimizer": {"kind": "muon", "pose_learning_rate": 0.02}},
    }


def _data(plan: Plan, source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data block of a run."""
    return data_values(Setting((dict(source),), (), context=(1,)), plan.image_size, Machine())


def _depth() -> dict[str, Any]:
    """Return the block of the depth network."""
    return {"kind": "packnet", "preset": "tiny", "initial_depth": 8.0}


def _training(steps: int, seed: int) -> dict[str, Any]:
    """Return the training block of a run."""
    schedule = {"kind": "cosine", "warmup": min(20, steps // 2), "hold": 0.5}
    return {
        "epochs": 1,
        "epoch_steps": steps,
        "batch_size": 4,
        "schedule": schedule,
        "seed": seed,
        "accelerator": "cpu",
    }


def _clips(plan: Plan, source: Mapping[str, Any]) -> list[Clip]:
    """Return the clips of a source that is given as a block of a run file."""
    run = parse_run(_depth_run(plan) | {"data": _data(plan, source)}, "study")
    return run.data.train[0].clips()
