"""The cost of a depth network: parameters, multiply-adds, latency in PyTorch and as an exported file."""

from __future__ import annotations

import copy
import importlib.util
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from packdepth.export.command import export
from packdepth.inference.exported import load_exported
from packdepth.inference.predictor import load
from packdepth.networks.layers.packing import PackLayerConv3d

REPEATS = 5  # timed predictions, of which the median counts; the first one, which is not timed, warms up


class UnfusedPacking(nn.Module):
    """A packing block as published: a 3D convolution, then a 2D convolution.

    Args:
        block: our block, whose layers are used.

    >>> block = PackLayerConv3d(16, kernel=3, features=2)
    >>> x = torch.rand(1, 16, 8, 8)
    >>> torch.allclose(UnfusedPacking(block)(x), block(x), atol=1e-5)
    True
    """

    def __init__(self, block: PackLayerConv3d) -> None:
        super().__init__()
        self.conv, self.conv3d = block.conv, block.conv3d

    def forward(self, x: Tensor) -> Tensor:
        """Return packed features [B, C, H/2, W/2] of features [B, C, H, W]."""
        unshuffled = nn.functional.pixel_unshuffle(x, 2)
        packed: Tensor = self.conv(self.conv3d(unshuffled.unsqueeze(1)).flatten(1, 2))
        return packed


def parameters(network: nn.Module) -> int:
    """Return the number of parameters of a network.

    Args:
        network: the network.

    >>> parameters(nn.Linear(2, 3))
    9
    """
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: nn.Module, size: tuple[int, int]) -> float:
    """Return the multiply-adds of the convolutions of a depth network for one image, with packing as published.

    Nothing is computed: the network is copied to the meta device.

    Args:
        network: the network.
        size: height and width of the image, in pixels.

    >>> multiply_adds(nn.Conv2d(3, 2, 3, padding=1), (4, 5))
    1080.0
    """
    network = copy.deepcopy(network).eval()
    for parent in list(network.modules()):
        for name, block in list(parent.named_children()):
            if isinstance(block, PackLayerConv3d):
                setattr(parent, name, UnfusedPacking(block))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.to("meta")(torch.empty(1, 3, *size, device="meta"))
    return float(counter.get_total_flops()) / 2


def latencies(checkpoint: Path, folder: Path) -> tuple[float, float]:
    """Return the median milliseconds of a prediction of one image, in PyTorch and in ONNX Runtime.

    PyTorch computes on the GPU if there is one, otherwise in one thread. Run it while nothing else does.

    Args:
        checkpoint: the folder of the checkpoint.
        folder: folder for the exported file.

    Returns:
        Milliseconds in PyTorch and in ONNX Runtime; the second is NaN if the extra `export` is not installed.
    """
    predictor = load(checkpoint)
    pixels = torch.rand(1, 3, *predictor.image_size)
    images = pixels.to(predictor.device)
    torch.set_num_threads(1)
    in_torch = _median(lambda: predictor.inv_depth(images).cpu())
    if importlib.util.find_spec("onnxruntime") is None:
        return in_torch, math.nan
    (written,) = export(checkpoint, folder / "network.onnx")
    exported = load_exported(written.path)
    inputs = {"image": pixels.numpy()}
    return in_torch, _median(lambda: exported.compute(inputs))


def _median(function: Callable[[], object]) -> float:
    """Return the median milliseconds of calls of a function."""
    times = []
    for _ in range(REPEATS + 1):
        begun = time.perf_counter()
        function()
        times.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(times[1:])
