"""Inverse depth from the output of a pretrained depth network, whose scale and shift are learned."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from packdepth.networks.layers.formats import widened

Output = Literal["inverse", "depth", "metric"]
"""Meaning of a network's output: inverse depth or depth, up to scale and shift, or depth in metres."""
SHIFT = 0.1  # shift at the start over the typical value: where the output is 0, ten times the typical (inverse) depth
METRIC_SHIFT = 0.05  # metres, added to depth in metres at the start, so that its inverse stays finite; chosen by eye
FACTOR = 20.0  # on the learning rate: at 2e-4, 25 steps change the scale by a tenth, so that speed sets it early


class OutputScale(nn.Module):
    """Inverse depth a x + b of an output x that is inverse depth, or 1 / (a x + b) of one that is depth.

    The positive numbers a and b are learned as logarithms. They and their result are always float32 or wider.

    Args:
        output: what the output is.

    >>> scale = OutputScale("inverse")
    >>> scale.start_at(10.0, typical=3.0)
    >>> (1 / scale(torch.tensor([3.0, 0.0]))).round().tolist()  # metres
    [10.0, 100.0]
    """

    learning_rate_factor = FACTOR

    def __init__(self, output: Output) -> None:
        super().__init__()
        self.output = output
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.log_shift = nn.Parameter(torch.full((), math.log(METRIC_SHIFT)))

    def forward(self, x: Tensor) -> Tensor:
        """Return inverse depth, 1/metres, of the same shape.

        Args:
            x: outputs of a network, of any shape.
        """
        value = self.log_scale.exp() * rectified(x.to(self.log_scale.dtype)) + self.log_shift.exp()
        return value if self.output == "inverse" else 1 / value

    @torch.no_grad()
    def start_at(self, depth: float, typical: float) -> None:
        """Set a and b so that a typical output is a given depth, and zero is ten times that depth, or a tenth of it.

        Depth in metres is left as it is.

        Args:
            depth: the depth, in metres.
            typical: the typical output, positive.
        """
        if self.output == "metric":
            return
        value = 1 / depth if self.output == "inverse" else depth
        self.log_scale.fill_(math.log((1 - SHIFT) * value / typical))
        self.log_shift.fill_(math.log(SHIFT * value))

    @torch.no_grad()
    def remove_shift(self) -> None:
        """Set b to 0, so that an output of 0 is infinitely far. It cannot be learned any more."""
        self.log_shift.fill_(-torch.inf)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Convert the module to another device or dtype, but to no dtype narrower than float32."""
        return super()._apply(widened(fn), recurse)  # type: ignore[no-untyped-call]


def rectified(x: Tensor) -> Tensor:
    """Return max(x, 0), with a gradient that can also raise x from below 0.

    The gradient of ReLU is 0 there: a pixel that a pretrained network takes for infinitely far would stay so forever.

    Args:
        x: a tensor of any shape.

    >>> x = torch.tensor([-1.0, -1.0, 1.0], requires_grad=True)
    >>> (rectified(x) * torch.tensor([-1.0, 1.0, 1.0])).sum().backward()
    >>> x.grad  # a descent raises the first, and leaves the second
    tensor([-1.,  0.,  1.])
    """
    rectify: Callable[[Tensor], Tensor] = _Rectified.apply
    return rectify(x) if torch.is_grad_enabled() and x.requires_grad else x.clamp(min=0)


class _Rectified(torch.autograd.Function):
    """ReLU whose gradient passes below 0, too, where a step against it raises the input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x > 0)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        return torch.where(positive | (gradient < 0), gradient, 0)
