"""Infinite depth and its cure: both stages and the filter between them, on cars ahead at the camera's own speed.

    python bench/two_stage.py OUTPUT [--drives N] [--lead-share X] [--seed N] [--guide none|network|labels] [KEY=VALUE]

Renders drives, of which a share has a lead car, trains the demo's run without auto-masking in two stages (what is there
already is used again), unguided, guided by a segmentation network that is trained on the same drives first, or by their
true label maps, and prints: precision and recall of the filter for frames that show a lead car; on test drives
that all have one, the share of pixels that each stage predicts more than 1.5 times too far, and abs_rel, on lead cars,
on all that moves, and on the rest. An override changes the run, such as training.epochs=3.
"""

from __future__ import annotations

import argparse
import csv
import math
from dataclasses import replace
from pathlib import Path

import torch
import yaml
from torch import Tensor

from packdepth.city.drive import Drive, Recipe
from packdepth.city.write import clip_folder, write_city
from packdepth.classes import STREET_CLASSES
from packdepth.demo.steps import RUN_FILE, SIZE, mean_step, recipe
from packdepth.evaluation.metrics import share_too_far
from packdepth.inference.ground import COUNTS
from packdepth.inference.predictor import load
from packdepth.records import Frame
from packdepth.sources.folder import read_clip
from packdepth.studies.guidance import segment
from packdepth.training.two_stage import train_two_stage

TRAIN_FRAMES, TEST_FRAMES, TEST_DRIVES = 240, 10, 10
SPEEDS = (10.0, 15.0)  # metres a second: the faster, the plainer that what stays the same is far
SEGMENTATION_STEPS = 800
VISIBLE = 30  # pixels of a lead car, for a frame to show it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("output", type=Path)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--drives", type=int, default=56)
    parser.add_argument("--lead-share", type=float, default=0.4)
    parser.add_argument("--seed", type=int, default=7, help="of the drives; that of the training is training.seed=N")
    parser.add_argument("--guide", choices=("none", "network", "labels"), default="labels")
    options = parser.parse_intermixed_args()  # overrides may follow options
    train = replace(recipe("train", TRAIN_FRAMES, options.seed, lead_share=options.lead_share), speeds=SPEEDS)
    test = replace(recipe("test", TEST_FRAMES, options.seed, lead_share=1.0), record=(1, 1))
    write_city(options.output / "train", train, options.drives)
    write_city(options.output / "test", test, TEST_DRIVES)
    if options.guide == "network":
        drives = {"train": options.output / "train", "val": options.output / "test"}
        segment(options.output / "segmentation", drives, SIZE, SEGMENTATION_STEPS)
    run = options.output / "run.yaml"
    run.write_text(run_text(options.output, options.guide))
    train_two_stage(run, options.output / "run", tuple(options.overrides), resume=True)
    report_filter(options.output, train, options.drives)
    report_stages(options.output, test)


def run_text(output: Path, guide: str) -> str:
    """The demo's run file on these drives: no auto-masking, guided, and freer to be wrong, so that holes are deep."""
    run = yaml.safe_load(RUN_FILE.read_text())
    run["data"] |= {"train": [{"kind": "folder", "root": str(output / "train")}], "val": []}
    run["networks"]["pose"]["initial_forward"] = round(mean_step(output), 3)
    photometric, smoothness, _ = run["objective"]
    photometric["automask"], smoothness["weight"] = False, 1e-3
    run["networks"]["depth"]["dropout"] = 0.0
    run["training"]["optimizer"]["weight_decay"] = 0.1
    run["training"]["epoch_steps"] = 112
    if guide != "none":
        network = {"kind": "fpn", "checkpoint": str(output / "segmentation")}
        labels = {"kind": "labels", "classes": len(STREET_CLASSES)}
        run["networks"]["depth"]["guidance"] = {"semantics": network if guide == "network" else labels}
    return yaml.safe_dump(run, sort_keys=False)


def lead_car(frame: Frame, leader: int | None) -> Tensor:
    """Where a frame shows the lead car: [H, W] bool."""
    assert frame.instance is not None
    return torch.from_numpy(frame.instance.read()) == (-1 if leader is None else leader)


def report_filter(output: Path, train: Recipe, drives: int) -> None:
    """Of the targets that were dropped, how many show a lead car, and of those that do, how many were dropped."""
    with (output / "run" / "ground" / "0" / COUNTS).open(newline="") as file:
        kept = {(row["clip"], row["frame"]): row["kept"] == "1" for row in csv.DictReader(file)}
    dropped, led = {frame for frame in kept if not kept[frame]}, set()
    for number in range(drives):
        clip = read_clip(clip_folder(output / "train", train, number, "front"))
        leader = Drive(train, number).traffic.leader
        led |= {(clip.name, f.name) for f in clip.frames if lead_car(f, leader).sum() >= VISIBLE} & kept.keys()
    both = len(dropped & led)
    print(f"filter: {len(dropped)} of {len(kept)} frames dropped, {len(led)} show a lead car, {both} both; ", end="")
    print(f"precision {both / len(dropped) if dropped else math.nan:.2f}, recall {both / max(len(led), 1):.2f}")


def report_stages(output: Path, test: Recipe) -> None:
    """The share too far and abs_rel of each stage, by part: means over the frames that have 30 pixels of it."""
    print(f"{'':8} {'part':>10} {'too far':>8} {'abs_rel':>8} {'frames':>7}")
    for stage in ("stage1", "stage2"):
        predictor = load(output / "run" / stage / "best")
        scores: dict[str, list[tuple[float, float]]] = {"lead car": [], "moving": [], "rest": []}
        for number in range(TEST_DRIVES):
            leader = Drive(test, number).traffic.leader
            for frame in read_clip(clip_folder(output / "test", test, number, "front")).frames:
                assert frame.depth is not None
                assert frame.moving is not None
                truth, moving = torch.from_numpy(frame.depth.read()), torch.from_numpy(frame.moving.read())
                image, labels = frame.image.read(), predictor.labels(frame.image, frame.semantic)
                depth = torch.from_numpy(predictor.predict(image, labels=labels).depth)
                for part, mask in (("lead car", lead_car(frame, leader)), ("moving", moving), ("rest", ~moving)):
                    judged = mask & (truth > 0)
                    if judged.sum() >= VISIBLE:
                        abs_rel = (depth / truth - 1).abs()[judged].mean()
                        scores[part].append((float(share_too_far(depth, truth, mask)), float(abs_rel)))
        for part, values in scores.items():
            far, abs_rel = (sum(column) / len(values) for column in zip(*values, strict=True))
            print(f"{stage:8} {part:>10} {far:8.3f} {abs_rel:8.3f} {len(values):7}", flush=True)


if __name__ == "__main__":
    main()
