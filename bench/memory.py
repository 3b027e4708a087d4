"""What a step needs: kept for the gradient, and at most on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def kept(loss: Callable[[], Tensor], beside: Iterable[Tensor] = ()) -> float:
    """MiB that the graph of a loss keeps for its gradient, each storage counted once, without those of `beside`."""
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # a result that is kept as it is would keep its own graph, for ever

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        value = loss()
    for tensor in beside:
        sizes.pop(tensor.untyped_storage().data_ptr(), None)
    del value
    return sum(sizes.values()) / 2**20


def peak(step: Callable[[], object]) -> float:
    """MiB that a step allocates on the GPU at most, beyond what was there."""
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    return (torch.cuda.max_memory_allocated() - before) / 2**20
