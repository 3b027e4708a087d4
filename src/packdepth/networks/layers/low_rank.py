"""Low-rank updates of the linear layers of a pretrained network (LoRA, Hu et al. 2022)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LowRankLinear(nn.Linear):
    """A linear layer whose weight is fixed, plus a low-rank update that is trained: W + U V, where U starts at zero.

    The names of weight and bias are those of the layer that it replaces.

    Args:
        linear: the layer to replace. Its weight and bias are shared, and no longer trained.
        rank: rank of the update.

    >>> linear = nn.Linear(4, 6)
    >>> layer, x = LowRankLinear(linear, rank=2), torch.rand(3, 4)
    >>> torch.equal(layer(x), linear(x))
    True
    >>> [name for name, parameter in layer.named_parameters() if parameter.requires_grad]
    ['down', 'up']
    """

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        with torch.device("meta"):
            super().__init__(linear.in_features, linear.out_features, linear.bias is not None)
        self.weight, self.bias = linear.weight, linear.bias
        for parameter in linear.parameters():
            parameter.requires_grad = False
        self.down = nn.Parameter(torch.empty(rank, self.in_features))
        self.up = nn.Parameter(torch.zeros(self.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)  # as torch initializes the weight of a linear layer

    def forward(self, x: Tensor) -> Tensor:
        """Return features [..., out] of features [..., in]."""
        return super().forward(x) + F.linear(F.linear(x, self.down), self.up)

    def folded(self) -> nn.Linear:
        """Return the layer for export: a linear layer, whose weight includes the update."""
        with torch.device("meta"):
            linear = nn.Linear(self.in_features, self.out_features, self.bias is not None)
        linear.weight = nn.Parameter((self.weight + self.up @ self.down).detach(), requires_grad=False)
        linear.bias = self.bias
        return linear


def add_low_rank(network: nn.Module, rank: int) -> int:
    """Give each linear layer of a network a low-rank update, in place, and stop the training of all else in it.

    Args:
        network: the network.
        rank: rank of the updates.

    Returns:
        The number of layers that got one.

    >>> network = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 2))
    >>> add_low_rank(network, rank=2)
    2
    """
    network.requires_grad_(False)
    layers = [(name, module) for name, module in network.named_modules() if type(module) is nn.Linear]
    for name, linear in layers:
        parent, _, own = name.rpartition(".")
        setattr(network.get_submodule(parent), own, LowRankLinear(linear, rank))
    return len(layers)
