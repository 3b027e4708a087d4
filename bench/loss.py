"""Time and memory of the photometric objective on this machine: as the reference computes it, and ours.

    python bench/loss.py [--threads N] [--repeats N]

Forward and backward of the term `photometric` as published (two context frames, four scales at full resolution,
minimum, auto-masking), on the GPU if there is one. The reference's way, in our conventions: average pooling with
reflection, everything computed anew for each context frame and scale. Both give equal values and gradients, which the
run checks in float64 (in float32 rounding decides where two errors tie). Times, in float32, are medians of several
repeats, taken in turn so that a drift of the machine's speed meets both. Memory is what the graph keeps for the
gradient and, on a GPU, the peak that is allocated.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from memory import kept, peak
from torch import Tensor

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.geometry.warp import synthesize
from packdepth.objectives.photometric import Photometric, combine
from packdepth.objectives.scales import enlarged
from packdepth.objectives.term import masked_mean
from packdepth.records import Batch, Outputs

Loss = Callable[[Outputs, Batch], Tensor]


def reference(outputs: Outputs, batch: Batch) -> Tensor:
    """The term with nothing shared between context frames and scales."""
    losses = []
    for s, inv_depth in enumerate(outputs.inv_depths):
        depth = 1 / enlarged(inv_depth, s, *batch.image.shape[-2:]).clamp(min=1e-6)
        synthesized, unmoved, valid = [], [], []
        for context, T in zip(batch.context.unbind(1), outputs.T_context_target.unbind(1), strict=True):
            view = synthesize(context, depth, T, batch.camera)
            synthesized.append(reference_error(view.image, batch.image))
            unmoved.append(reference_error(context, batch.image))
            valid.append(view.valid)
        error, seen = combine(torch.cat(synthesized, 1), torch.cat(valid, 1), minimum=True)
        still, _ = combine(torch.cat(unmoved, 1), torch.cat(valid, 1), minimum=True)
        losses.append(masked_mean(torch.minimum(error, still), seen))
    return torch.stack(losses).mean()


def reference_error(x: Tensor, y: Tensor) -> Tensor:
    """PackNet, CVPR 2020, eq. 2, of images [B, 3, H, W]: [B, 1, H, W]."""
    padded_x, padded_y = (F.pad(images, (1, 1, 1, 1), mode="reflect") for images in (x, y))
    mean_x, mean_y = F.avg_pool2d(padded_x, 3, 1), F.avg_pool2d(padded_y, 3, 1)
    var_x = F.avg_pool2d(padded_x**2, 3, 1) - mean_x**2
    var_y = F.avg_pool2d(padded_y**2, 3, 1) - mean_y**2
    covariance = F.avg_pool2d(padded_x * padded_y, 3, 1) - mean_x * mean_y
    above = (2 * mean_x * mean_y + 1e-4) * (2 * covariance + 9e-4)
    below = (mean_x**2 + mean_y**2 + 1e-4) * (var_x + var_y + 9e-4)
    distance = ((1 - above / below) / 2).clamp(0, 1)
    return 0.85 * distance.mean(1, keepdim=True) + 0.15 * (x - y).abs().mean(1, keepdim=True)


def example(
    size: int, height: int, width: int, device: torch.device, dtype: torch.dtype = torch.float32
) -> tuple[Outputs, Batch]:
    """Smooth random frames, inverse depths and motions; the outputs have gradients."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(3 * size, 3, height // 8, width // 8, generator=generator)
    frames = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=False).clamp(0, 1)
    image, *context = frames.view(3, size, 3, height, width).to(device, dtype)
    contexts, ones = torch.stack(context, dim=1), torch.ones(size, device=device, dtype=dtype)
    camera = Camera(0.6 * width * ones, 2 * height * ones, width / 2 * ones, height / 2 * ones, width, height)
    names = [str(number) for number in range(size)]
    batch = Batch(names, (-1, 1), camera, image, contexts, image, contexts)
    shapes = [(size, 1, height >> s, width >> s) for s in range(4)]
    inv_depths = [(0.05 + 0.1 * torch.rand(shape, generator=generator)).to(device, dtype) for shape in shapes]
    T = se3.from_vector(0.05 * torch.randn(size, 2, 6, generator=generator)).to(device, dtype)
    return Outputs([inv_depth.requires_grad_() for inv_depth in inv_depths], T.requires_grad_()), batch


class Step(NamedTuple):
    """One forward and backward pass."""

    seconds: float
    value: float
    gradients: tuple[Tensor, ...]


def step(loss: Loss, outputs: Outputs, batch: Batch) -> Step:
    inputs = [*outputs.inv_depths, outputs.T_context_target]
    start = time.perf_counter()
    value = loss(outputs, batch)
    gradients = torch.autograd.grad(value, inputs)
    total = value.item()  # waits for a GPU
    return Step(time.perf_counter() - start, total, gradients)


def check_equal(ours: Step, theirs: Step) -> None:
    assert abs(ours.value - theirs.value) < 1e-12 * theirs.value, (ours.value, theirs.value)
    for a, b in zip(ours.gradients, theirs.gradients, strict=True):
        assert (a - b).norm() < 1e-9 * b.norm()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    machine = torch.cuda.get_device_name() if gpu else f"CPU, {options.threads} threads"
    print(f"torch {torch.__version__}, {machine}; ratios are ours to the reference's way")
    print(f"{'size':>8} {'batch':>5} {'reference [ms]':>14} {'ours [ms]':>9} {'ratio':>6}", end=" ")
    print(f"{'kept [MiB]':>10} {'ours':>6} {'ratio':>6}" + (f" {'peak [MiB]':>10} {'ours':>6}" if gpu else ""))
    forms: tuple[Loss, Loss] = (reference, Photometric())
    for height, width in ((96, 320), (192, 640)):
        for size in (1, 4):
            outputs, batch = example(size, height, width, device)
            exact = example(size, height, width, device, torch.float64)
            check_equal(*(step(form, *exact) for form in reversed(forms)))
            times: tuple[list[float], list[float]] = ([], [])
            for _ in range(options.repeats):
                for form, seconds in zip(forms, times, strict=True):
                    seconds.append(step(form, outputs, batch).seconds)
            theirs, ours = (1e3 * statistics.median(seconds) for seconds in times)
            graph = [kept(partial(form, outputs, batch)) for form in forms]
            line = f"{f'{height}x{width}':>8} {size:5} {theirs:14.1f} {ours:9.1f} {ours / theirs:6.2f}"
            line += f" {graph[0]:10.1f} {graph[1]:6.1f} {graph[1] / graph[0]:6.2f}"
            if gpu:
                line += " {:10.1f} {:6.1f}".format(*(peak(partial(step, form, outputs, batch)) for form in forms))
            print(line, flush=True)


if __name__ == "__main__":
    main()
