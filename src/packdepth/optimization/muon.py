"""Muon: orthogonalized momentum for the weights of convolutions, Adam for everything else (Jordan et al., 2024)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor
from torch.optim import Adam

from packdepth.optimization.blocks import Groups, OptimizerBlock

STEPS = 5  # of the Newton-Schulz iteration
QUINTIC = (3.4445, -4.7750, 2.0315)  # its coefficients: every singular value ends between 0.7 and 1.2
MOMENTUM = 0.95
EPSILON = 1e-8
MIN_CHANNELS = 8  # output channels of a convolution that is stepped as a matrix: output layers have fewer


class MuonBlock(OptimizerBlock):
    """Muon for convolutions except output layers, Adam for everything else: short trainings learn faster."""

    kind: Literal["muon"] = "muon"
    learning_rate: PositiveFloat = 0.02
    """Learning rate of the depth network's convolutions, in singular values; the schedule applies to it too."""
    pose_learning_rate: PositiveFloat | None = None
    """Learning rate of the ego-motion network's convolutions; if left out, Adam trains all of that network."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Each step shrinks those convolutions by the learning rate times this: for streets that were not seen."""

    def build(self, groups: Groups, fused: bool) -> Muon:
        """Return the optimizer, with the convolutions of each network in a group of their own."""
        groups = with_matrix_group(groups, "depth", self.learning_rate, self.weight_decay)
        if self.pose_learning_rate is not None:
            groups = with_matrix_group(groups, "pose", self.pose_learning_rate, self.weight_decay)
        return Muon(groups, fused)


class Muon(Adam):
    """Adam, but for chosen groups steps whose directions are all of one size.

    Where Adam scales each weight, Muon scales each singular value. Short trainings from scratch need fewer
    steps of it (docs/results/2026-11-21-demo.md).

    Args:
        groups: of parameters, with `lr`, and `orthogonal: True` where tensors [out, ...] are stepped as matrices
            [out, everything else] by Muon, and shrunk by `lr` times `decay` (0 if left out) before.
        fused: of Adam.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], fused: bool | None = None) -> None:
        super().__init__([{"orthogonal": False, "decay": 0.0} | group for group in groups], fused=fused)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters by their gradients, and forget those of the groups of Muon."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if group["orthogonal"] and parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["decay"])
                    parameter.sub_(self._change(parameter), alpha=group["lr"])
                    parameter.grad = None  # what is left is for Adam
        super().step()
        return loss

    def _change(self, parameter: Tensor) -> Tensor:
        """Nesterov's momentum, orthogonalized; of tall matrices larger, so that outputs change alike."""
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if not state:
            state |= {"step": torch.zeros(()), "exp_avg": torch.zeros_like(gradient)}
        state["step"] += 1
        mean = state["exp_avg"].lerp_(gradient, 1 - MOMENTUM)
        matrix = gradient.lerp(mean, MOMENTUM).flatten(1)
        rows, columns = matrix.shape
        change: Tensor = orthogonalized(matrix).view_as(gradient) * max(1.0, rows / columns) ** 0.5
        return change


def with_matrix_group(groups: Groups, name: str, learning_rate: float, decay: float) -> Groups:
    """Move the convolution weights of group `name`, except those of the output layers, into a Muon group.

    Args:
        groups: of parameters.
        name: of the group that is split.
        learning_rate: of the new group.
        decay: weight decay of the new group.
    """

    def split(group: dict[str, Any]) -> Groups:
        matrices = [
            parameter for parameter in group["params"] if parameter.ndim == 4 and len(parameter) >= MIN_CHANNELS
        ]
        chosen = {id(parameter) for parameter in matrices}
        others = [parameter for parameter in group["params"] if id(parameter) not in chosen]
        apart = {"name": f"{name}, convolutions", "params": matrices, "lr": learning_rate}
        return [group | {"params": others}, apart | {"orthogonal": True, "decay": decay}]

    return [part for group in groups for part in (split(group) if group["name"] == name else [group])]


def orthogonalized(matrix: Tensor) -> Tensor:
    """The matrix [N, M] with all singular values brought near 1 by Newton and Schulz's quintic iteration.

    It runs on the smaller Gram matrix: each iterate is a polynomial of that times the first one.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalized(matrix.T).T
    matrix = matrix / (matrix.norm() + EPSILON)
    gram = matrix @ matrix.T
    factor = torch.eye(len(gram), dtype=matrix.dtype, device=matrix.device)
    a, b, c = QUINTIC
    for _ in range(STEPS):
        polynomial = torch.addmm(b * gram, gram, gram, alpha=c)
        polynomial.diagonal().add_(a)
        factor = polynomial @ factor
        gram = polynomial @ gram @ polynomial
    return factor @ matrix
