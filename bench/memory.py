"""Memory of a step: tensors that are kept for the gradient, and the peak on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def kept(loss: Callable[[], Tensor], beside: Iterable[Tensor] = ()) -> float:
    """Return the MiB that the graph of a loss keeps for its gradient. Each storage counts once.

    Args:
        loss: computes the loss.
        beside: tensors whose storages do not count, such as parameters.
    """
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # a result that is saved itself would keep its own graph forever

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        value = loss()
    for tensor in beside:
        sizes.pop(tensor.untyped_storage().data_ptr(), None)
    del value
    return sum(sizes.values()) / 2**20


def peak(step: Callable[[], object]) -> float:
    """Return the peak of the memory that a step allocates on the GPU, in MiB, without earlier allocations.

    Args:
        step: the step.
    """
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    return (torch.cuda.max_memory_allocated() - before) / 2**20
