"""Muon: orthogonalised momentum for the weights of convolutions, Adam for everything else (Jordan et al., 2024)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

STEPS = 5  # of the Newton-Schulz iteration
QUINTIC = (3.4445, -4.7750, 2.0315)  # its coefficients: every singular value ends between 0.7 and 1.2
MOMENTUM = 0.95
BETAS = (0.9, 0.999)  # of Adam
EPSILON = 1e-8


class Muon(Optimizer):
    """Steps all of whose directions are of one size: where Adam scales each weight, Muon scales each singular value.

    In short trainings from scratch it needs about half of Adam's steps (docs/training.md).

    Args:
        groups: of parameters, with `lr` and `orthogonal`: whether a group's tensors [out, ...] are stepped as matrices
            [out, everything else] by Muon, or by Adam.
    """

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        super().__init__(groups, {"lr": 1e-3, "orthogonal": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters by their gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            change = self._muon if group["orthogonal"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(change(self.state[parameter], parameter.grad), alpha=group["lr"])
        return loss

    def _muon(self, state: dict[str, Tensor], gradient: Tensor) -> Tensor:
        """Nesterov's momentum, orthogonalised; of tall matrices larger, so that outputs change alike."""
        momentum = state.setdefault("momentum", torch.zeros_like(gradient))
        momentum.lerp_(gradient, 1 - MOMENTUM)
        matrix = gradient.lerp(momentum, MOMENTUM).flatten(1)
        rows, columns = matrix.shape
        step: Tensor = orthogonalised(matrix).view_as(gradient) * max(1.0, rows / columns) ** 0.5
        return step

    def _adam(self, state: dict[str, Tensor], gradient: Tensor) -> Tensor:
        if not state:
            state |= {"step": torch.zeros(()), "mean": torch.zeros_like(gradient), "square": torch.zeros_like(gradient)}
        state["step"] += 1
        count = float(state["step"])
        first, second = BETAS
        mean = state["mean"].lerp_(gradient, 1 - first) / (1 - first**count)
        square = state["square"].lerp_(gradient.square(), 1 - second) / (1 - second**count)
        step: Tensor = mean / (square.sqrt() + EPSILON)
        return step


def is_matrix(parameter: Tensor) -> bool:
    """Whether a parameter is the weight of a two-dimensional convolution with several outputs."""
    return parameter.ndim == 4 and len(parameter) > 1


def orthogonalised(matrix: Tensor) -> Tensor:
    """The matrix [N, M] with all singular values brought near 1 by Newton and Schulz's quintic iteration.

    It runs on the smaller Gram matrix: each iterate is a polynomial of that times the first one.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalised(matrix.T).T
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
