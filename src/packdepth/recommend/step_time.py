"""Measurement of how long a training step takes on this machine: a few steps of the very run that is recommended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import torch

from packdepth.config import Run
from packdepth.data.targets import distinct_cameras
from packdepth.objectives.objective import Objective
from packdepth.records import Batch, Clip
from packdepth.training.data import RunData
from packdepth.training.module import DepthModule, optimizer_and_schedule

STEPS = 3  # steps that are timed, after one that is not: allocations and caches of the first one distort it
PARALLEL_COST = (
    1.3  # time of a step of two processes over that of one alone, which has no gradients to exchange: 1.15 to 1.35
)


class StepTime(NamedTuple):
    """Time of a training step.

    >>> StepTime(seconds=0.4, slowdown=1.5).seconds
    0.4
    """

    seconds: float  # of the processor on a CPU, without other work; on a GPU, as it passed
    slowdown: float  # how many times as long the timed steps took, beside the other work on this machine


def time_of_step(run: Run, clips: Sequence[Clip]) -> StepTime:
    """Return the time of one training step of a run, as each of its processes would take it.

    Args:
        run: the run. On a CPU, one process's share of a batch is timed with one thread.
        clips: the clips to train on.

    Raises InputError if the data lacks what a term needs.
    """
    processes = run.training.devices
    device = torch.device("cuda" if run.training.accelerator == "gpu" else "cpu")
    alone = device.type == "cpu"
    clock = time.thread_time if alone else time.monotonic  # other work on the machine does not count
    threads = torch.get_num_threads()
    if alone:
        torch.set_num_threads(1)
    try:
        objective = Objective(run.objective)
        cameras = distinct_cameras(clips) if run.camera.learn else []
        data = RunData(run, objective, clips, cameras=cameras)
        module = DepthModule(run, objective, 100, cameras).to(device)
        optimizer, _ = optimizer_and_schedule(run.training, module.networks, 100)
        share = max(run.training.batch_size // processes, 1)
        batch = Batch.stack([data.train[index % len(data.train)] for index in range(share)]).to(device)
        times, passed = [], []
        for _ in range(STEPS + 1):
            started, began = clock(), time.monotonic()
            loss, _ = module.objective(module(batch), module.taught(module.calibrated(batch)))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append(clock() - started)
            passed.append(time.monotonic() - began)
    finally:
        torch.set_num_threads(threads)
    seconds = sum(times[1:]) / STEPS * (PARALLEL_COST if processes > 1 else 1.0)
    return StepTime(seconds, sum(passed[1:]) / sum(times[1:]))
