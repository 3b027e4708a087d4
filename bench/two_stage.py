"""Infinite depth on cars that drive at the camera's own speed: both stages of training, and the filter between them.

    python bench/two_stage.py OUTPUT [--drives N] [--lead-share X] [--seed N] [--guide none|network|labels]
        [--segmentation-steps N] [--rounds N] [KEY=VALUE]

The benchmark renders drives, of which a share has a lead car. It trains the run of the demo without auto-masking in two
stages: unguided, guided by a segmentation network that is trained on the same drives first, or guided by their true
label maps. With `--rounds 2`, the network of the second stage filters the kept frames once more, and a third one is
trained on what is left. Existing results are used again. It prints precision and recall of the filter for frames that
show a lead car. For test drives that all have a lead car, it prints for each stage the share of pixels that are
predicted more than 1.5 times too far, and abs_rel, on lead cars, on all dynamic objects, and on the rest. An override
changes the run, such as training.epochs=3.
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
SPEEDS = (10.0, 15.0)  # metres per second: at high speed, an image region that does not change is clearly far away
SEGMENTATION_STEPS = 800  # of the training of the segmentation network, unless asked for more; chosen by eye
MIN_PIXELS = 30  # of a part, for a frame to show it; chosen by eye


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("output", type=Path)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--drives", type=int, default=56)
    parser.add_argument("--lead-share", type=float, default=0.4)
    parser.add_argument("--seed", type=int, default=7, help="of the drives; that of the training is training.seed=N")
    parser.add_argument("--guide", choices=("none", "network", "labels"), default="labels")
    parser.add_argument("--segmentation-steps", type=int, default=SEGMENTATION_STEPS)
    parser.add_argument("--rounds", type=int, default=1, help="of filter and training")
    options = parser.parse_intermixed_args()  # overrides may follow options
    train = replace(recipe("train", TRAIN_FRAMES, options.seed, lead_share=options.lead_share), speeds=SPEEDS)
    test = replace(recipe("test", TEST_FRAMES, options.seed, lead_share=1.0), record=(1, 1))
    write_city(options.output / "train", train, options.drives)
    write_city(options.output / "test", test, TEST_DRIVES)
    if options.guide == "network":
        drives = {"train": options.output / "train", "val": options.output / "test"}
        segment(options.output / "segmentation", drives, SIZE, options.segmentation_steps)
    run = options.output / "run.yaml"
    run.write_text(run_text(options.output, options.guide))
    folder = options.output / "run"
    train_two_stage(run, folder, tuple(options.overrides), resume=True)
    report_filter(options.output, folder, train, options.drives)
    report_stages(options.output, folder, test)
    for number in range(2, options.rounds + 1):
        before, folder = folder, options.output / f"round{number}"
        folder.mkdir(exist_ok=True)
        if not (folder / "stage1").exists():
            (folder / "stage1").symlink_to((before / "stage2").resolve())
        train_two_stage(before / "stage2.yaml", folder, resume=True)
        report_filter(options.output, folder, train, options.drives)
        report_stages(options.output, folder, test)


def run_text(output: Path, guide: str) -> str:
    """Return the text of the demo's run file with changes: PackNet `tiny`, these drives, no auto-masking, guidance.

    Weaker regularization lets the network predict infinite depth more easily.

    Args:
        output: folder of the benchmark.
        guide: "none", "network" or "labels".
    """
    run = yaml.safe_load(RUN_FILE.read_text())
    run["data"] |= {"train": [{"kind": "folder", "root": str(output / "train")}], "val": []}
    run["networks"]["pose"]["initial_forward"] = round(mean_step(output), 3)
    photometric, smoothness, _ = run["objective"]
    photometric["automask"], smoothness["weight"] = False, 1e-3
    run["networks"]["depth"] = {"kind": "packnet", "preset": "tiny", "initial_depth": 6.0}
    run["training"]["optimizer"]["weight_decay"] = 0.1
    run["training"]["epoch_steps"] = 112
    if guide != "none":
        network = {"kind": "fpn", "checkpoint": str(output / "segmentation")}
        labels = {"kind": "labels", "classes": len(STREET_CLASSES)}
        run["networks"]["depth"]["guidance"] = {"semantics": network if guide == "network" else labels}
    return yaml.safe_dump(run, sort_keys=False)


def lead_car(frame: Frame, leader: int | None) -> Tensor:
    """Return the mask of the lead car: [H, W] bool.

    Args:
        frame: the frame, with instances.
        leader: number of the lead car; None if there is none.
    """
    assert frame.instance is not None
    return torch.from_numpy(frame.instance.read()) == (-1 if leader is None else leader)


def report_filter(output: Path, folder: Path, train: Recipe, drives: int) -> None:
    """Print precision and recall of the filter: dropped targets, and targets that show a lead car.

    Args:
        output: folder of the benchmark.
        folder: folder of both stages.
        train: recipe of the training drives.
        drives: number of training drives.
    """
    with (folder / "ground" / "0" / COUNTS).open(newline="") as file:
        kept = {(row["clip"], row["frame"]): row["kept"] == "1" for row in csv.DictReader(file)}
    dropped, led = {frame for frame in kept if not kept[frame]}, set()
    for number in range(drives):
        clip = read_clip(clip_folder(output / "train", train, number, "front"))
        leader = Drive(train, number).traffic.leader
        led |= {(clip.name, f.name) for f in clip.frames if lead_car(f, leader).sum() >= MIN_PIXELS} & kept.keys()
    both = len(dropped & led)
    print(f"filter: {len(dropped)} of {len(kept)} frames dropped, {len(led)} show a lead car, {both} both; ", end="")
    print(f"precision {both / len(dropped) if dropped else math.nan:.2f}, recall {both / max(len(led), 1):.2f}")


def report_stages(output: Path, folder: Path, test: Recipe) -> None:
    """Print the share too far and abs_rel of each stage and part, as means over the frames that show the part.

    Args:
        output: folder of the benchmark.
        folder: folder of both stages.
        test: recipe of the test drives.
    """
    print(f"{'':8} {'part':>10} {'too far':>8} {'abs_rel':>8} {'frames':>7}")
    for stage in ("stage1", "stage2"):
        predictor = load(folder / stage / "best")
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
                    evaluated = mask & (truth > 0)
                    if evaluated.sum() >= MIN_PIXELS:
                        abs_rel = (depth / truth - 1).abs()[evaluated].mean()
                        scores[part].append((float(share_too_far(depth, truth, mask)), float(abs_rel)))
        for part, values in scores.items():
            far, abs_rel = (sum(column) / len(values) for column in zip(*values, strict=True))
            print(f"{stage:8} {part:>10} {far:8.3f} {abs_rel:8.3f} {len(values):7}", flush=True)


if __name__ == "__main__":
    main()
