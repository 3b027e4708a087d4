"""`packdepth study ego-motion`: which ego-motion network drifts least on drives that it has not been trained on.

One depth network is trained on measured depth and then stays as it is. Every ego-motion network is trained on the same
frames with it, for the same number of steps, by view synthesis and the distance traveled, with several seeds, and
judged as it sees motion, most of them once more, aligned with that depth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from packdepth.config import parse_run
from packdepth.data.targets import distance, target_indices
from packdepth.evaluation.odometry import chained, odometry_errors
from packdepth.files import make_folder, replacing, write_json
from packdepth.inference.predictor import load
from packdepth.records import Clip
from packdepth.studies.side_by_side import train_side_by_side

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
ALIGNED = ", aligned with depth"  # see geometry.align
SPARSE: dict[str, Any] = {"sparsity": {"pattern": "random"}}
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
class Setting:
    """What is trained on, what is judged by, and for how long."""

    train: Mapping[str, Any]  # a source, as a run file names it
    test: Mapping[str, Any]
    image_size: tuple[int, int]
    depth_steps: int
    steps: int  # of each ego-motion network
    seeds: int


def city_study(output: Path, depth_steps: int, steps: int, seeds: int, processes: int = 2) -> str:
    """On rendered streets: 16 drives in stretches to train on, 4 others of 200 frames to judge by. See `study`."""
    from packdepth.city.drive import Recipe
    from packdepth.city.write import write_city

    look: dict[str, Any] = {"height": 64, "width": 224, "speeds": (4.0, 12.0), "lead_share": 0.0, "stop_share": 0.0}
    look |= {"baseline": None, "scanner": None, "seed": 8}
    train_drives, test_drives = output / "data" / "train", output / "data" / "test"
    write_city(train_drives, Recipe(split="train", frames=240, record=(8, 60), **look), drives=16)
    write_city(test_drives, Recipe(split="test", frames=200, **look), drives=4)
    seen, unseen = ({"kind": "folder", "root": str(folder.resolve())} for folder in (train_drives, test_drives))
    return study(output, Setting(seen, unseen, (64, 224), depth_steps, steps, seeds), processes)


def clip_study(output: Path, data: Path, depth_steps: int, steps: int, seeds: int, processes: int = 2) -> str:
    """On KITTI odometry, sequence 06: the first 35 frames to train on, the last 16 to judge by. See `study`."""
    root = str((data / "kitti_odometry" / "dataset").resolve())
    source: dict[str, Any] = {"kind": "kitti_odometry", "root": root, "sequences": ["06"], "cameras": ["left"]}
    seen, unseen = source | {"frames": [0, 35]}, source | {"frames": [35, 51]}
    return study(output, Setting(seen, unseen, (64, 224), depth_steps, steps, seeds), processes)


def study(output: Path, setting: Setting, processes: int = 2) -> str:
    """Train and judge all networks, several at a time; what an earlier study trained is used again.

    Returns a table in Markdown, which output/table.md holds too: mean and standard deviation over the seeds of what
    each network has on average over the test drives. output/results.json holds each seed's.
    """
    make_folder(output)
    forward, clips = mean_step(_clips(setting, setting.train)), _clips(setting, setting.test)
    ahead = np.eye(4)
    ahead[2, 3] = -forward
    results = {"straight ahead at the mean speed": [errors((clip, [ahead] * (len(clip.frames) - 1)) for clip in clips)]}
    train_side_by_side({output / "depth": _depth_run(setting)}, processes)
    for seed in range(1, setting.seeds + 1):
        folders = {name: output / name.replace(", ", "-").replace(": ", "-").replace(" ", "_") for name in networks()}
        runs = {
            folders[name] / str(seed): _pose_run(setting, output / "depth" / "last", pose, forward, seed)
            for name, pose in networks().items()
        }
        train_side_by_side(runs, processes)
        judged = {name: (folder / str(seed) / "last", clips, False) for name, folder in folders.items()}
        judged |= {f"{name}{ALIGNED}": (*judged[name][:2], True) for name in folders if name not in CHOICES}
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            for name, found in zip(judged, pool.map(judge, *zip(*judged.values(), strict=True)), strict=True):
                results.setdefault(name, []).append(found)
        write_json(output / "results.json", results)
        with replacing(output / "table.md") as temporary:
            temporary.write_text(table(results), encoding="utf-8")
    return table(results)


def networks() -> dict[str, dict[str, Any]]:
    """All ego-motion networks, as a run file names them."""
    sparse = {f"{name}, sparse": config | SPARSE for name, config in NETWORKS.items()}
    return {
        name: config for pair in zip(NETWORKS.items(), sparse.items(), strict=True) for name, config in pair
    } | CHOICES


def mean_step(clips: Sequence[Clip]) -> float:
    """Metres between neighboring frames, on average."""
    return float(np.mean([distance(clip, i, i + 1) for clip in clips for i in target_indices(clip, (1,))]))


def judge(checkpoint: Path, clips: Sequence[Clip], aligned: bool) -> Errors:
    """The errors of what a checkpoint sees in clips, aligned with its depth or not; in a process of one thread."""
    torch.set_num_threads(1)
    predictor = load(checkpoint)
    return errors(
        (clip, predictor.motions((frame.image.read() for frame in clip.frames), clip.camera if aligned else None))
        for clip in clips
    )


def errors(motions: Iterable[tuple[Clip, Iterable[np.ndarray]]]) -> Errors:
    """The mean over clips of the errors of motions T_next_current between their frames."""
    rows = []
    for clip, predicted in motions:
        true = np.stack([frame.pose for frame in clip.frames if frame.pose is not None])
        rows.append(asdict(odometry_errors(chained(predicted), true)))
    return {name: float(np.mean([row[name] for row in rows])) for name in COLUMNS}


def table(results: Mapping[str, Sequence[Errors]]) -> str:
    """Markdown: mean ± standard deviation over seeds, a row a network, as it sees motion and then as aligned.

    What clips are too short for is left out.
    """
    columns = [name for name in COLUMNS if all(np.isfinite(row[name]) for rows in results.values() for row in rows)]
    lines = [f"| | {' | '.join(COLUMNS[name] for name in columns)} |", f"|---|{'---|' * len(columns)}"]
    for title in sorted(results, key=lambda title: title.endswith(ALIGNED)):
        cells = [_cell([row[name] for row in results[title]]) for name in columns]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(values: list[float]) -> str:
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def _depth_run(setting: Setting) -> dict[str, Any]:
    """The run of the depth network, by measured depth."""
    return {
        "data": _data(setting, setting.train),
        "networks": {"depth": _depth(), "pose": {"kind": "posenet"}},
        "objective": [{"kind": "sparse_l1"}, {"kind": "smoothness", "weight": 1e-4}],
        "training": _training(setting.depth_steps, seed=0)
        | {"batch_size": 8, "depth_learning_rate": 2e-3, "optimizer": {"kind": "muon", "learning_rate": 0.04}},
    }


def _pose_run(setting: Setting, depth: Path, pose: dict[str, Any], forward: float, seed: int) -> dict[str, Any]:
    """The run of an ego-motion network on depth that stays as it is."""
    return {
        "data": _data(setting, setting.train),
        "networks": {"depth": _depth() | {"frozen": True}, "pose": {"initial_forward": round(forward, 3)} | pose},
        "initial": {"depth": str(depth.resolve())},
        "objective": [{"kind": "photometric", "scales": "pyramid"}, {"kind": "velocity", "weight": 0.05}],
        "training": _training(setting.steps, seed)
        | {"pose_learning_rate": 1e-3, "optimizer": {"kind": "muon", "pose_learning_rate": 0.02}},
    }


def _data(setting: Setting, source: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "train": [dict(source)],
        "image_size": list(setting.image_size),
        "context": [1],
        "augmentation": {"flip": 0.5, "jitter": None},
        "workers": 0,
        "cache": True,
    }


def _depth() -> dict[str, Any]:
    return {"kind": "packnet", "preset": "tiny", "initial_depth": 8.0}


def _training(steps: int, seed: int) -> dict[str, Any]:
    schedule = {"kind": "cosine", "warmup": min(20, steps // 2), "hold": 0.5}
    return {
        "epochs": 1,
        "epoch_steps": steps,
        "batch_size": 4,
        "schedule": schedule,
        "seed": seed,
        "accelerator": "cpu",
    }


def _clips(setting: Setting, source: Mapping[str, Any]) -> list[Clip]:
    run = parse_run(_depth_run(setting) | {"data": _data(setting, source)}, "study")
    return run.data.train[0].clips()
