"""What a graph keeps for the gradient."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def kept_for_the_gradient(function: Callable[[], Tensor]) -> tuple[Tensor, dict[int, int]]:
    """The result of a function, and the bytes of each storage that its graph keeps, by address."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = function()
    return result, kept
