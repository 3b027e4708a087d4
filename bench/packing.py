"""Time of the forms of a packing block on this machine: as published, as a band matrix, by rows, and fused.

    python bench/packing.py [--threads N] [--repeats N]

The layers are those of PackNet `tiny` at 96x320 with 4 images, forward and backward. Each figure is the shortest time
of several repeats. The forms are timed in turn, so that a change of the machine's speed affects all of them. A second
table has the ratio of fused to unfused for the packing blocks of `1A` and `slim-1A` at 192x640 in training, and the
form that the block selects (`packing.COMPOSITION_COST`). All ratios are those of one run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.layers.fused import compose, packed
from packdepth.networks.layers.packing import PackLayerConv3d, banded, channelwise_conv3d, row_by_row

LAYERS = ((32, 8, 5, 48, 160), (64, 16, 3, 24, 80), (128, 32, 3, 12, 40), (256, 64, 3, 6, 20), (512, 128, 3, 3, 10))
"""Channels, channels of the result, kernel, height and width of the layers of the first table."""

WIDE = (  # features, channels, kernel, height of the result
    (8, 64, 5, 96),
    (8, 64, 3, 48),
    (8, 128, 3, 24),
    (8, 256, 3, 12),
    (8, 512, 3, 6),
    (4, 64, 3, 48),
    (4, 128, 3, 24),
    (4, 256, 3, 12),
)


def seconds(function: Callable[[], Tensor]) -> float:
    """Return the seconds of one forward and backward pass.

    Args:
        function: computes the result.
    """
    start = time.perf_counter()
    torch.autograd.backward(function().sum())
    return time.perf_counter() - start


def shortest_seconds(forms: Sequence[Callable[[], Tensor]], repeats: int) -> list[float]:
    """Return the shortest time of each form, in seconds.

    Args:
        forms: the forms, which are timed in turn.
        repeats: number of repeats.
    """
    best = [float("inf")] * len(forms)
    for _ in range(repeats):
        best = [min(shortest, seconds(form)) for shortest, form in zip(best, forms, strict=True)]
    return best


def choices(repeats: int) -> None:
    """Print the ratio of fused to unfused for wide layers, and the form that the block selects.

    Args:
        repeats: number of repeats.
    """
    print(f"{'features':>8} {'channels':>8} {'kernel':>6} {'images':>6} {'unfused [ms]':>12} {'fused':>6} picked")
    for features, channels, kernel, height in WIDE:
        for images in (1, 4):
            block = PackLayerConv3d(channels, kernel, features).train()
            x = torch.randn(images, 4 * channels, height, height * 10 // 3, requires_grad=True)

            def unfused(x: Tensor = x, block: PackLayerConv3d = block) -> Tensor:
                return block.conv(channelwise_conv3d(x, block.conv3d))

            def fused(x: Tensor = x, block: PackLayerConv3d = block) -> Tensor:
                return block.conv.activate(packed(x, compose(block.conv3d, block.conv.conv_base)))

            plain, ours = shortest_seconds((unfused, fused), repeats)
            picked = "fused" if block.is_faster_fused(x) else "unfused"
            print(f"{features:8} {channels:8} {kernel:6} {images:6} {1e3 * plain:12.1f} {ours / plain:6.2f} {picked}")


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads; ratios to the 3D convolution as written")
    print(f"{'channels':>8} {'kernel':>6} {'size':>8} {'3D [ms]':>9} {'band':>6} {'rows':>6} {'fused':>6}")
    for channels, out, kernel, height, width in LAYERS:
        torch.manual_seed(0)
        x = torch.randn(4, channels, height, width, requires_grad=True)
        conv3d, conv = nn.Conv3d(1, 2, 3, padding=1), nn.Conv2d(2 * channels, out, kernel, padding=kernel // 2)

        def plain(x: Tensor = x, conv3d: nn.Conv3d = conv3d, conv: nn.Conv2d = conv) -> Tensor:
            return conv(conv3d(x[:, None]).flatten(1, 2))

        def band(x: Tensor = x, conv3d: nn.Conv3d = conv3d, conv: nn.Conv2d = conv) -> Tensor:
            return conv(F.conv2d(x, *banded(conv3d, x.shape[1]), padding=1))

        def rows(x: Tensor = x, conv3d: nn.Conv3d = conv3d, conv: nn.Conv2d = conv) -> Tensor:
            return conv(row_by_row(x, conv3d))

        def fused(x: Tensor = x, conv3d: nn.Conv3d = conv3d, conv: nn.Conv2d = conv) -> Tensor:
            return packed(x, compose(conv3d, conv))

        forms = (plain, band, rows, fused)
        best = shortest_seconds(forms, options.repeats)
        ratios = " ".join(f"{shortest / best[0]:6.2f}" for shortest in best[1:])
        print(f"{channels:8} {kernel:6} {f'{height}x{width}':>8} {1e3 * best[0]:9.1f} {ratios}")
    choices(options.repeats)


if __name__ == "__main__":
    main()
