"""Time and memory of pixel-adaptive convolution on this machine: the unfolded forms, and ours.

    python bench/guidance.py [--threads N] [--repeats N]

The layers are those with 3x3 kernels that guide PackNet `1A` at 192x640, with one image and 64 guide channels. The
unfolded forms copy features and guide k^2 times, once for each tap. One of them has a bandwidth for each filter, as
ours does. The other has one bandwidth for all filters, so that it can weight the taps before they are mixed (one matrix
product). All forms give equal results. Memory is the peak of the allocations beyond inputs and results; on a CPU it is
computed from the allocations that PyTorch's profiler records. Times are medians of several repeats. The forms are timed
in turn, so that a change of the machine's speed affects all of them. Training is forward and backward to features,
weight and bandwidth.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from packdepth.networks.layers.pixel_adaptive import pixel_adaptive_conv2d

LAYERS = ((256, 12, 40), (256, 24, 80), (128, 48, 160), (64, 96, 320))  # channels, height, width
GUIDE = 64  # channels of the guide
KERNEL = 3  # height and width of the kernel
MAX_DIFFERENCE = 1e-4  # relative difference of two forms, from rounding in float32

Form = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def unfolded(x: Tensor, guide: Tensor, weight: Tensor, bandwidth: Tensor, shared: bool) -> Tensor:
    """Compute pixel-adaptive convolution from tensors of all taps.

    Args:
        x: [B, C, H, W] features.
        guide: [B, 64, H, W].
        weight: [O, C, k, k].
        bandwidth: [O].
        shared: whether all filters have the first bandwidth.
    """
    batch, channels, height, width = x.shape
    taps = F.unfold(x, KERNEL, padding=KERNEL // 2).view(batch, channels, KERNEL**2, -1)
    guides = F.unfold(guide, KERNEL, padding=KERNEL // 2).view(batch, GUIDE, KERNEL**2, -1)
    distance = (guides - guide.flatten(2)[:, :, None]).square().sum(1)  # [B, k^2, H W]
    filters = weight.flatten(2)  # [O, C, k^2]
    if shared:
        weighted = taps * (-0.5 * distance / bandwidth[0] ** 2).exp()[:, None]
        return (filters.flatten(1) @ weighted.flatten(1, 2)).view(batch, -1, height, width)
    kernel = (-0.5 * distance[:, None] / bandwidth[:, None, None] ** 2).exp()  # [B, O, k^2, H W]
    mixed = torch.einsum("ock,bckp->bokp", filters, taps)
    return (mixed * kernel).sum(2).view(batch, -1, height, width)


def step(form: Form, inputs: tuple[Tensor, ...], training: bool) -> list[Tensor]:
    """Return the result or, in training, the gradients.

    Args:
        form: a form of the convolution.
        inputs: features, guide, weight and bandwidth.
        training: whether to compute the gradients.
    """
    x, guide, weight, bandwidth = inputs
    if not training:
        with torch.no_grad():
            return [form(x, guide, weight, bandwidth)]
    result = form(x, guide, weight, bandwidth)
    return list(torch.autograd.grad(result, (x, weight, bandwidth), torch.ones_like(result)))


def seconds(form: Form, inputs: tuple[Tensor, ...], training: bool) -> float:
    """Return the seconds of one call.

    Args:
        form: a form of the convolution.
        inputs: features, guide, weight and bandwidth.
        training: whether to compute the gradients.
    """
    start = time.perf_counter()
    results = step(form, inputs, training)
    if results[0].is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def extra_memory(form: Form, inputs: tuple[Tensor, ...], training: bool) -> float:
    """Return the peak memory beyond inputs and results, in MiB.

    Args:
        form: a form of the convolution.
        inputs: features, guide, weight and bandwidth.
        training: whether to compute the gradients.
    """
    if inputs[0].is_cuda:
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        results = step(form, inputs, training)
        peak = torch.cuda.max_memory_allocated() - before
    else:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            results = step(form, inputs, training)
        peak = total = 0
        for event in sorted(profiler.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
            if event.name() == "[memory]":
                total += event.nbytes()
                peak = max(peak, total)
    return (peak - sum(result.nbytes for result in results)) / 2**20


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
    forms: tuple[Form, ...] = (partial(unfolded, shared=False), partial(unfolded, shared=True), pixel_adaptive_conv2d)
    print(f"torch {torch.__version__}, {machine}; ratios are ours to each unfolded form")
    head = f"{'unfold':>8} {'shared':>8} {'ours':>8} {'ratios':>11}"
    print(f"{'channels':>8} {'size':>8} {'mode':>9} {'time [ms]':>9} {head} {'memory [MiB]':>13} {head}")
    for channels, height, width in LAYERS:
        torch.manual_seed(0)
        x = torch.randn(1, channels, height, width, device=device, requires_grad=True)
        guide = F.normalize(torch.randn(1, GUIDE, height, width, device=device))
        weight = (torch.randn(channels, channels, KERNEL, KERNEL, device=device) / channels).requires_grad_()
        bandwidth = torch.ones(channels, device=device, requires_grad=True)
        inputs = x, guide, weight, bandwidth
        for training in (False, True):
            results = [step(form, inputs, training) for form in forms]
            for result in results[:2]:
                for ours, theirs in zip(results[2][:2], result[:2], strict=True):  # a shared one differs
                    assert (ours - theirs).norm() < MAX_DIFFERENCE * theirs.norm()
            times: list[list[float]] = [[] for _ in forms]
            for _ in range(options.repeats):
                for form, kept in zip(forms, times, strict=True):
                    kept.append(1e3 * seconds(form, inputs, training))
            line = f"{channels:8} {f'{height}x{width}':>8} {'training' if training else 'inference':>9} {'':>9}"
            medians = [statistics.median(kept) for kept in times]
            for unfold, shared, own in (medians, [extra_memory(form, inputs, training) for form in forms]):
                line += f" {unfold:8.1f} {shared:8.1f} {own:8.1f} {own / unfold:5.2f} {own / shared:5.2f} {'':>13}"
            print(line.rstrip(), flush=True)


if __name__ == "__main__":
    main()
