"""Loading rate of images, compared with a training step: 0 to 2 workers, original and pre-resized data.

    python bench/loading.py [SOURCE] [--size H W] [--images N] [--batch N]

SOURCE is any data set that packdepth recognizes; if it is left out, KITTI raw in $PACKDEPTH_DATA is used. A sample is a
target with two context frames, so three images are read for each sample. Pre-resized data is the output of `packdepth
data import --size`, here in a temporary folder. The system caches files that were read before: to measure the rate of a
disk, use a data set that is larger than the memory. The training step is that of PackNet's `tiny` preset with PoseNet
and the photometric loss on this machine's device. A data set is fast enough if its rate is at least that of the step.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from packdepth.config import Augmentation
from packdepth.data.dataset import ClipDataset, DrawSampler
from packdepth.inspection.import_data import import_data
from packdepth.networks.packnet import PackNet
from packdepth.networks.posenet import PoseNet
from packdepth.objectives import Objective, Photometric, Smoothness
from packdepth.records import Batch, Clip, Outputs
from packdepth.sources.recognize import source_at
from packdepth.training.data import Batches

OFFSETS = (-1, 1)  # of the context frames
IMAGES = 1 + len(OFFSETS)  # of a sample
ENDLESS = 10**6  # steps of an epoch, more than any measurement takes


def loader(clips: Sequence[Clip], size: tuple[int, int], batch: int, workers: int) -> DataLoader[Batch]:
    """Return a loader of training batches, as a run has it.

    Args:
        clips: the clips.
        size: height and width of samples, in pixels.
        batch: samples of a batch.
        workers: number of worker processes.
    """
    samples = ClipDataset(clips, size, OFFSETS, augmentation=Augmentation())
    sampler = DrawSampler(len(samples), batch, epoch_steps=ENDLESS, seed=0)
    return DataLoader(Batches(samples), batch_size=None, sampler=sampler, num_workers=workers)


def loading_rate(clips: Sequence[Clip], size: tuple[int, int], batch: int, workers: int, images: int) -> float:
    """Return the images per second that are loaded, without the first batches, during which workers start.

    Args:
        clips: the clips.
        size: height and width of samples, in pixels.
        batch: samples of a batch.
        workers: number of worker processes.
        images: number of images to load.
    """
    batches = iter(loader(clips, size, batch, workers))
    for _ in range(1 + 2 * workers):  # batches that workers have loaded in advance are not counted
        next(batches)
    steps = max(images // (IMAGES * batch), 1)
    start = time.perf_counter()
    for _ in islice(batches, steps):
        pass
    return IMAGES * batch * steps / (time.perf_counter() - start)


def step_rate(clips: Sequence[Clip], size: tuple[int, int], batch: int, steps: int = 3) -> float:
    """Return the images per second that training consumes.

    Args:
        clips: the clips.
        size: height and width of samples, in pixels.
        batch: samples of a batch.
        steps: number of steps to time.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    depth = PackNet("tiny").to(device)
    pose = PoseNet().to(device)
    objective = Objective([Photometric(), Smoothness()])
    optimizer = torch.optim.Adam([*depth.parameters(), *pose.parameters()])
    data = next(iter(loader(clips, size, batch, workers=0))).to(device)
    start = 0.0
    for step in range(steps + 1):
        if step == 1:
            start = time.perf_counter()
        motion = pose(data.network_image, data.network_context, data.offsets)
        loss, _ = objective(Outputs(depth(data.network_image), motion), data)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        loss.item()  # waits for a GPU
    return IMAGES * batch * steps / (time.perf_counter() - start)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    variable = os.environ.get("PACKDEPTH_DATA")
    root = Path(variable) / "kitti_raw" if variable else None
    parser.add_argument("source", nargs="?" if root else None, type=Path, default=root)
    parser.add_argument("--size", nargs=2, type=int, default=(192, 640))
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--batch", type=int, default=4)
    options = parser.parse_args()
    height, width = options.size
    size = height, width
    with tempfile.TemporaryDirectory() as folder:
        data = {"as it is": source_at(options.source).clips()}
        for image_format in ("png", "jpg"):
            output = Path(folder) / image_format
            import_data(options.source, output, size=size, image_format=image_format)
            data[f"{height}x{width} {image_format}"] = source_at(output).clips()
        step = step_rate(data["as it is"], size, options.batch)
        print(f"a training step consumes {step:.1f} images/s at {height}x{width} ({options.batch} samples)")
        print(f"{'data':>14} {'workers':>8} {'images/s':>9} {'of the step':>12} {'of as it is':>12}")
        first: dict[int, float] = {}
        for name, clips in data.items():
            for workers in (0, 1, 2):
                rate = loading_rate(clips, size, options.batch, workers, options.images)
                ratio = rate / first.setdefault(workers, rate)
                print(f"{name:>14} {workers:8} {rate:9.1f} {rate / step:11.2f}x {ratio:11.2f}x", flush=True)


if __name__ == "__main__":
    main()
