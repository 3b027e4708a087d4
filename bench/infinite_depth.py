"""Effect of auto-masking on cars that drive ahead at exactly our speed: ratio of predicted to true depth.

    python bench/infinite_depth.py DEMO [--steps N]

Training continues from the converged network of a demo (`packdepth demo DEMO`) for N steps, on drives that all have a
lead car, once with and once without auto-masking. Everything else is equal. The lead cars of test drives are evaluated.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from packdepth.city.drive import Drive, Recipe
from packdepth.city.write import clip_folder, write_city
from packdepth.config import Run
from packdepth.data.dataset import ClipDataset
from packdepth.demo.steps import recipe
from packdepth.inference.predictor import Predictor, load
from packdepth.objectives.objective import Objective
from packdepth.records import Batch, Outputs
from packdepth.sources.folder import Folder, read_clip

FRAMES = 10  # of a drive
SEED = 7  # of the drives
LEARNING_RATE = 5e-4  # at the first step
MIN_PIXELS = 30  # of a lead car, for a frame to be evaluated; chosen by eye
MIN_DEPTH = 0.1  # metres, lower bound of a divisor


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--drives", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("train", "test"):
            write_city(Path(folder) / name, led(name), options.drives)
        print(f"{'':>22} {'ratio on lead cars':>20} {'abs_rel on them':>16}")
        report("the demo's network", load(options.demo / "run" / "last"), Path(folder), options.drives)
        for automask in (True, False):
            predictor = load(options.demo / "run" / "last")
            train_further(predictor, Path(folder) / "train", automask, options.steps)
            report(f"automask {automask}", predictor, Path(folder), options.drives)


def led(name: str) -> Recipe:
    """Return the recipe of short drives that all follow a lead car.

    Args:
        name: "train" or "test".
    """
    return replace(recipe(name, FRAMES, SEED, lead_share=1.0), record=(1, 1))


def train_further(predictor: Predictor, data: Path, automask: bool, steps: int) -> None:
    """Train the networks of a predictor further, with a falling learning rate.

    Args:
        predictor: the predictor, whose networks change.
        data: folder of the clips to train on.
        automask: whether the photometric term uses auto-masking.
        steps: number of steps.
    """
    run = predictor.run
    assert isinstance(run, Run)
    assert predictor.pose is not None
    terms = [
        term.model_copy(update={"automask": automask}) if term.kind == "photometric" else term for term in run.objective
    ]
    objective = Objective(terms)
    clips = Folder(kind="folder", root=data).clips()
    samples = ClipDataset(
        clips, run.data.image_size, run.data.context, objective.batch_fields, run.data.augmentation, cache=True
    )
    torch.manual_seed(0)
    networks = torch.nn.ModuleList([predictor.depth, predictor.pose]).train()
    optimizer = torch.optim.Adam(networks.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    draws = np.random.default_rng(0).integers(0, len(samples), (steps, run.training.batch_size))
    for step in range(steps):
        batch = Batch.stack([samples[int(draw) + step * len(samples)] for draw in draws[step]])
        motion = predictor.pose(batch.network_image, batch.network_context, batch.offsets)
        loss, _ = objective(Outputs(predictor.depth(batch.network_image), motion), batch)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    networks.eval()


def report(title: str, predictor: Predictor, folder: Path, drives: int) -> None:
    """Print the median ratio of predicted to true depth on lead cars, and the mean relative error of their depth.

    Args:
        title: title of the row.
        predictor: the predictor to evaluate.
        folder: folder with the test drives.
        drives: number of test drives.
    """
    test = led("test")
    ratios = []
    for number in range(drives):
        leader = Drive(test, number).traffic.leader
        for frame in read_clip(clip_folder(folder / "test", test, number, "front")).frames[1::3]:
            assert frame.instance is not None
            assert frame.depth is not None
            on_leader = frame.instance.read() == leader
            if on_leader.sum() >= MIN_PIXELS:
                depth = predictor.predict(frame.image.read()).depth
                ratios.append((depth / np.maximum(frame.depth.read(), MIN_DEPTH))[on_leader])
    ratio = np.concatenate(ratios)
    print(f"{title:>22} {np.median(ratio):20.2f} {np.abs(ratio - 1).mean():16.3f}", flush=True)


if __name__ == "__main__":
    main()
