"""`packdepth demo`: render, train, judge, report. What is there already is not made again."""

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
from packdepth.clock import clock
from packdepth.files import make_folder, replacing
from packdepth.sources.folder import Folder
from packdepth.training.elsewhere import finished_epochs, train_elsewhere

if TYPE_CHECKING:
    from packdepth.city.drive import Recipe

STEPS = 4
# How many of how many frames of a drive are rendered, so that places vary: to train on them takes neighbors.
STRETCHES = {"train": (5, 60), "val": (4, 60), "test": (1, 60), "odometry": (1, 1)}
# Height and width. The network sees smaller images: made smaller, rendered ones fit each other better than rendered so.
SIZE = (96, 320)
RUN_FILE = files("packdepth.demo") / "run.yaml"


@dataclass(frozen=True)
class Plan:
    """How much of everything: what the demo's time is spent on."""

    train_drives: int
    train_frames: int
    test_drives: int
    epochs: int
    epoch_steps: int
    odometry_frames: int
    minutes: float  # that all of it takes on two cores, about

    @property
    def steps(self) -> int:
        """Of the training."""
        return self.epochs * self.epoch_steps

    @property
    def drives(self) -> dict[str, tuple[int, int]]:
        """Drives of each set, and how many frames long they are."""
        return {
            "train": (self.train_drives, self.train_frames),
            "val": (4, 124),
            "test": (self.test_drives, 181),
            "odometry": (1, self.odometry_frames),
        }


FULL = Plan(train_drives=56, train_frames=240, test_drives=30, epochs=10, epoch_steps=56, odometry_frames=60, minutes=9)
QUICK = Plan(train_drives=14, train_frames=140, test_drives=8, epochs=2, epoch_steps=80, odometry_frames=40, minutes=3)


def demo(output: Path, quick: bool = False, seed: int = 1) -> Path:
    """Run the demo; the path of its report.

    Args:
        output: folder for data, checkpoints and report.html; what an earlier demo left there is used again.
        quick: less of everything: in three minutes, and worse for it.
        seed: of the city and of the training.
    """
    require_city()
    plan = QUICK if quick else FULL
    output = output / "quick" if quick else output
    make_folder(output)
    print(f"packdepth demo: about {plan.minutes:g} minutes on two cores" + (", of lower quality" if quick else ""))
    started = time.monotonic()
    with step(1, "render drives through a city, with exact ground truth", started):
        render(output / "data", plan, seed)
    with step(2, "train PackNet on video and speed alone", started):
        train(output, plan, seed)
    with step(3, "judge it on streets it has never seen", started):
        from packdepth.demo.findings import find

        findings = find(output)
        with replacing(output / "findings.json") as temporary:
            temporary.write_text(json.dumps(asdict(findings.numbers), indent=1))
    with step(4, "write the report", started):
        from packdepth.demo.report import write_report

        report = output / "report.html"
        write_report(report, findings, quick)
    print(findings.numbers.table())
    print(f"open {report} in a browser")
    return report


@contextmanager
def step(number: int, title: str, started: float) -> Iterator[None]:
    """Say what begins, and how long it took."""
    print(f"\n[{number}/{STEPS}] {title}", flush=True)
    begun = time.monotonic()
    yield
    now = time.monotonic()
    print(f"[{number}/{STEPS}] done in {clock(now - begun)}, {clock(now - started)} in all", flush=True)


def recipe(name: str, frames: int, seed: int, lead_share: float = 0.1) -> Recipe:
    """The drives of a set: on the long one for odometry nobody drives ahead."""
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


def render(data: Path, plan: Plan, seed: int) -> None:
    """Render the sets that are not there yet."""
    from packdepth.city.write import write_city

    for name, (drives, frames) in plan.drives.items():
        drive = recipe(name, frames, seed)
        print(f"{name}: {drives} drives of {len(drive.recorded)} frames", flush=True)
        write_city(data / name, drive, drives)


def mean_step(data: Path) -> float:
    """Metres between two frames that the training drives' speed gives on average."""
    frames = [frame for clip in Folder(kind="folder", root=data / "train").clips() for frame in clip.frames]
    return float(np.mean([frame.speed for frame in frames if frame.speed is not None])) / 10


def train(output: Path, plan: Plan, seed: int) -> None:
    """Train, or go on with a training that was stopped. A process of its own, which starts others as it needs."""
    run, data = output / "run", output / "data"
    if finished_epochs(run) >= plan.epochs:
        print("trained already")
        return
    with replacing(output / "run.yaml") as temporary:
        temporary.write_text(_run_text(data, plan, seed))
    train_elsewhere(output / "run.yaml", run)


def _run_text(data: Path, plan: Plan, seed: int) -> str:
    """The run file, filled in. The one prior that it takes from the speed is the mean step between frames."""
    run = yaml.safe_load(RUN_FILE.read_text())
    for part in ("train", "val"):
        run["data"][part][0]["root"] = str((data / part).resolve())
    run["networks"]["pose"]["initial_forward"] = round(mean_step(data), 3)
    run["training"] |= {"epochs": plan.epochs, "epoch_steps": plan.epoch_steps, "seed": seed}
    schedule = run["training"]["schedule"]
    schedule["warmup"] = min(schedule["warmup"], plan.steps // 4)  # a quick training has no steps to spare
    return yaml.safe_dump(run, sort_keys=False)
