"""How weights lie in memory."""

from __future__ import annotations

import torch
from torch import nn


def lay_channels_last(network: nn.Module) -> None:
    """Lay out the weights of 2D convolutions so; those of 3D convolutions, which have no such layout, stay."""
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
