"""Seconds of a training step without and with the guard of gradients: `python bench/guard.py`.

The steps alternate, so that other work on the machine slows both alike, and the seconds are those of the processor.
"""

from __future__ import annotations

import statistics
import time

import torch
from torch.nn.utils import clip_grad_norm_

from packdepth.config import parse_run
from packdepth.geometry.camera import Camera
from packdepth.objectives import Objective
from packdepth.optimization.guard import GradientGuard
from packdepth.records import Batch
from packdepth.training.module import DepthModule

STEPS = 12  # of each kind; the median is printed
WARM_UP = 2  # steps that do not count


def main() -> None:
    """Print the table."""
    torch.manual_seed(0)
    run = parse_run(
        {
            "data": {"train": [{"kind": "folder", "root": "."}], "image_size": [96, 320]},
            "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
            "objective": [{"kind": "photometric"}, {"kind": "smoothness"}],
            "training": {"epochs": 1, "batch_size": 4},
        },
        "bench",
    )
    objective = Objective(run.objective)
    module = DepthModule(run, objective, steps=1).train()
    optimizer = torch.optim.Adam(module.parameters(), 1e-5)
    batch = random_batch(4, 96, 320)
    before = {
        "nothing": lambda: None,
        "guard": lambda: GradientGuard().check(optimizer),
        "clipping": lambda: clip_grad_norm_(module.parameters(), 1.0),
        "guard and clipping": lambda: GradientGuard(1.0).check(optimizer),
    }
    seconds: dict[str, list[float]] = {name: [] for name in before}
    for _ in range(WARM_UP + STEPS):
        for name, check in before.items():
            began = time.process_time()
            optimizer.zero_grad()
            objective(module(batch), batch)[0].backward()
            check()
            optimizer.step()
            seconds[name].append(time.process_time() - began)
    medians = {name: statistics.median(values[WARM_UP:]) for name, values in seconds.items()}
    print("| before a step of the optimizer | s of the processor | ratio |\n|---|---|---|")
    for name, value in medians.items():
        print(f"| {name} | {value:.3f} | {value / medians['nothing']:.3f} |")


def random_batch(size: int, height: int, width: int) -> Batch:
    """Return a batch of noise with two context images.

    Args:
        size: number of samples.
        height: height of the images.
        width: width of the images.
    """
    images, ones = torch.rand(size, 3, 3, height, width), torch.ones(size)
    return Batch(
        names=["noise"] * size,
        offsets=(-1, 1),
        camera=Camera(200 * ones, 200 * ones, width / 2 * ones, height / 2 * ones, width, height),
        image=images[:, 0],
        context=images[:, 1:],
        network_image=images[:, 0],
        network_context=images[:, 1:],
        distance=torch.ones(size, 2),
    )


if __name__ == "__main__":
    main()
