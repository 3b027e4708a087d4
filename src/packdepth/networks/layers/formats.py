"""Dtypes and memory formats of a network's tensors, and the choice of its convolutions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which operations on a device use the dtypes of their inputs, regardless of autocast.

    Args:
        device: device of the operations. Some devices have no autocast: their context does nothing.

    >>> with without_autocast(torch.device("cpu")):
    ...     (torch.ones(1) + 1).dtype
    torch.float32
    """
    available = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if available else nullcontext()


def use_channels_last(network: nn.Module) -> None:
    """Change the memory format of the weights of 2D convolutions to channels last, in place.

    Weights of 3D convolutions have no such format and stay as they are.

    Args:
        network: the network with these weights.

    >>> conv = nn.Conv2d(4, 8, 3)
    >>> use_channels_last(conv)
    >>> conv.weight.is_contiguous(memory_format=torch.channels_last)
    True
    """
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


@contextmanager
def fastest_convolutions() -> Iterator[None]:
    """Return a context in which cuDNN times its algorithms for each new size of a convolution, and keeps the fastest.

    What it guesses without timing can be 8 times slower on a GPU (docs/results/2026-11-27-gpu-convolutions.md). The
    first images of each size take longer. On a CPU nothing changes.

    >>> with fastest_convolutions():
    ...     torch.backends.cudnn.benchmark
    True
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def widened(convert: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return a conversion of tensors that changes device and dtype as another does, but keeps float32 or wider.

    Args:
        convert: a conversion to another device or dtype, as `nn.Module._apply` gets it.

    >>> widened(lambda tensor: tensor.half())(torch.ones(1)).dtype
    torch.float32
    """

    def wide(tensor: Tensor) -> Tensor:
        moved = convert(tensor)
        return moved if moved.dtype.itemsize >= torch.float32.itemsize else tensor.to(moved.device)

    return wide
