"""Muon: orthogonalized momentum for the weights of convolutions, Adam for everything else (Jordan et al., 2024)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor
from torch.optim import Adam

from packdepth.optimization.blocks import Groups, OptimizerBlock

STEPS = 5  # steps of the Newton-Schulz iteration, as published
QUINTIC = (3.4445, -4.7750, 2.0315)  # its published coefficients: every singular value ends between 0.7 and 1.2
MOMENTUM = 0.95  # share of the earlier gradients in their mean, as published
EPSILON = 1e-8  # keeps the normalization of a zero matrix finite
BOUNDING_DECAY = 0.5  # weight decay that bounds singular values by 2, so that they do not grow until depth collapses
MIN_CHANNELS = 8  # smallest number of output channels of a convolution that Muon trains: output layers have fewer


class MuonBlock(OptimizerBlock):
    """Muon for convolutions except output layers, Adam for everything else. Short trainings learn faster with it.

    >>> MuonBlock().learning_rate
    0.02
    """

    kind: Literal["muon"] = "muon"
    learning_rate: PositiveFloat = 0.02
    """Learning rate of the depth network's convolutions, in singular values. The schedule applies to it too."""
    pose_learning_rate: PositiveFloat | None = None
    """Learning rate of the ego-motion network's convolutions; if left out, Adam trains the whole network."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Each step shrinks these convolutions by the learning rate times this.

    It helps on streets outside the training data. Convolutions without normalization, such as those of the decoder of
    monodepth2, need it: 0.5 bounds their singular values by 2, while without it they grow until depth collapses.
    """

    @property
    def bounds_weights(self) -> bool:
        """Whether the weight decay is large enough to keep the weights from growing until depth collapses."""
        return self.weight_decay >= BOUNDING_DECAY

    def build(self, groups: Groups, fused: bool) -> Muon:
        """Return the optimizer, with the convolutions of each network in a group of their own."""
        groups = with_matrix_group(groups, "depth", self.learning_rate, self.weight_decay)
        if self.pose_learning_rate is not None:
            groups = with_matrix_group(groups, "pose", self.pose_learning_rate, self.weight_decay)
        return Muon(groups, fused)


class Muon(Adam):
    """Adam, with groups whose steps are orthogonalized.

    Adam scales each weight, Muon scales each singular value. Short trainings from scratch need fewer steps with Muon
    (docs/results/2026-11-21-demo.md).

    Args:
        groups: parameter groups, with `lr`. With `orthogonal: True` Muon trains the tensors [out, ...] of a group as
            matrices [out, everything else], and first shrinks them by `lr` times `decay` (0 if left out).
        fused: whether Adam uses torch's fused implementation; None lets torch decide.

    >>> weight = torch.nn.Parameter(torch.zeros(2, 2))
    >>> weight.grad = torch.eye(2)
    >>> Muon([{"params": [weight], "lr": 0.1, "orthogonal": True}]).step()
    >>> bool((weight.diagonal() < -0.06).all())
    True
    """

    def __init__(self, groups: Iterable[dict[str, Any]], fused: bool | None = None) -> None:
        super().__init__([{"orthogonal": False, "decay": 0.0} | group for group in groups], fused=fused)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters by their gradients, and delete the gradients of Muon's groups."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if group["orthogonal"] and parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["decay"])
                    parameter.sub_(self._change(parameter), alpha=group["lr"])
                    parameter.grad = None  # Adam skips parameters without a gradient
        super().step()
        return loss

    def _change(self, parameter: Tensor) -> Tensor:
        """Return Nesterov's momentum, orthogonalized; larger for tall matrices, so that all outputs change alike."""
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
        groups: parameter groups.
        name: name of the group that is split.
        learning_rate: learning rate of the new group.
        decay: weight decay of the new group.

    Returns:
        The groups, with two in place of the one that is split.

    >>> conv = torch.nn.Conv2d(4, 8, 3)
    >>> groups = [{"name": "depth", "params": list(conv.parameters()), "lr": 1e-4}]
    >>> groups = with_matrix_group(groups, "depth", learning_rate=0.02, decay=0.0)
    >>> [(group["name"], len(group["params"]), group["lr"]) for group in groups]
    [('depth', 1, 0.0001), ('depth, convolutions', 1, 0.02)]
    """

    def split(group: dict[str, Any]) -> Groups:
        matrices = [
            parameter for parameter in group["params"] if parameter.ndim == 4 and len(parameter) >= MIN_CHANNELS
        ]
        chosen = {id(parameter) for parameter in matrices}
        others = [parameter for parameter in group["params"] if id(parameter) not in chosen]
        new = {"name": f"{name}, convolutions", "params": matrices, "lr": learning_rate}
        return [group | {"params": others}, new | {"orthogonal": True, "decay": decay}]

    return [part for group in groups for part in (split(group) if group["name"] == name else [group])]


def orthogonalized(matrix: Tensor) -> Tensor:
    """Return a matrix with all singular values brought near 1, by Newton and Schulz's quintic iteration.

    The iteration runs on the smaller Gram matrix: each iterate is a polynomial of that, times the first matrix.

    Args:
        matrix: [N, M].

    Returns:
        [N, M].

    >>> values = torch.linalg.svdvals(orthogonalized(torch.tensor([[3.0, 0.0], [0.0, 1.0]])))
    >>> bool(((values > 0.6) & (values < 1.3)).all())
    True
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
