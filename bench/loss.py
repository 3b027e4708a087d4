"""Time and memory of the photometric term on this machine: the reference's form, and ours.

    python bench/loss.py [--threads N] [--repeats N]

The benchmark is forward and backward of the term `photometric` as published (two context frames, four scales at full
resolution, minimum reprojection, auto-masking), on the GPU if there is one. The reference's form, in our conventions,
uses average pooling with reflection padding, and computes everything again for each context frame and scale. Both forms
give equal values and gradients. The run checks this in float64, because in float32 rounding decides where two errors
are equal. Times are medians of several repeats in float32. The forms are timed in turn, so that a change of the
machine's speed affects both. Memory is that of the tensors that the graph keeps for the gradient and, on a GPU, the
peak of the allocations.
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
    """Compute the photometric term without sharing anything between context frames and scales.

    Args:
        outputs: outputs of the networks.
        batch: the batch.
    """
    losses = []
    for s, inv_depth in enumerate(outputs.inv_depths):
        depth = 1 / enlarged(inv_depth, s, *batch.image.shape[-2:]).clamp(min=1e-6)
        synthesized, identity, valid = [], [], []
        for context, T in zip(batch.context.unbind(1), outputs.T_context_target.unbind(1), strict=True):
            view = synthesize(context, depth, T, batch.camera)
            synthesized.append(reference_error(view.image, batch.image))
            identity.append(reference_error(context, batch.image))
            valid.append(view.valid)
        error, visible = combine(torch.cat(synthesized, 1), torch.cat(valid, 1), minimum=True)
        identity_error, _ = combine(torch.cat(identity, 1), torch.cat(valid, 1), minimum=True)
        losses.append(masked_mean(torch.minimum(error, identity_error), visible))
    return torch.stack(losses).mean()


def reference_error(x: Tensor, y: Tensor) -> Tensor:
    """Compute the photometric error of PackNet, CVPR 2020, eq. 2: [B, 1, H, W].

    Args:
        x: [B, 3, H, W] an image.
        y: [B, 3, H, W] the other image.
    """
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
    """Return smooth random frames, inverse depths and motions. The outputs require gradients.

    Args:
        size: batch size.
        height: height of the images, in pixels.
        width: width of the images, in pixels.
        device: device of the tensors.
        dtype: dtype of the tensors.
    """
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
    value: float  # of the loss
    gradients: tuple[Tensor, ...]  # of the inverse depths, finest first, and of the motions


def step(loss: Loss, outputs: Outputs, batch: Batch) -> Step:
    """Compute a loss and its gradients.

    Args:
        loss: a form of the loss.
        outputs: outputs of the networks.
        batch: the batch.
    """
    inputs = [*outputs.inv_depths, outputs.T_context_target]
    start = time.perf_counter()
    value = loss(outputs, batch)
    gradients = torch.autograd.grad(value, inputs)
    total = value.item()  # waits for a GPU
    return Step(time.perf_counter() - start, total, gradients)


def check_equal(ours: Step, theirs: Step) -> None:
    """Assert that two forms in float64 give equal values and gradients, up to rounding.

    Args:
        ours: step of our form.
        theirs: step of the reference's form.
    """
    assert abs(ours.value - theirs.value) < 1e-12 * theirs.value, (ours.value, theirs.value)
    for a, b in zip(ours.gradients, theirs.gradients, strict=True):
        assert (a - b).norm() < 1e-9 * b.norm()


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    machine = torch.cuda.get_device_name() if gpu else f"CPU, {options.threads} threads"
    print(f"torch {torch.__version__}, {machine}; ratios are ours to the reference's form")
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
