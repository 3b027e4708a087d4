"""Muon against its definition, and its other half against torch's Adam."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from packdepth.training.muon import MOMENTUM, Muon, orthogonalised


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (9, 9)])
def test_orthogonalised_matrices_keep_their_directions_and_lose_their_sizes(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape, dtype=torch.float64)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    inner = u.T @ orthogonalised(matrix) @ v.T
    values = inner.diagonal()
    assert values.min() > 0.65
    assert values.max() < 1.25
    torch.testing.assert_close(inner, values.diag(), rtol=0, atol=1e-9)


def test_a_step_is_the_orthogonalised_momentum() -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(8, 3, 3, 3, dtype=torch.float64))
    optimizer = Muon([{"params": [weight], "lr": 0.1, "orthogonal": True}])
    expected, momentum = weight.detach().clone(), torch.zeros(8, 27, dtype=torch.float64)
    for _ in range(3):
        weight.grad = torch.randn_like(weight)
        gradient = weight.grad.flatten(1)
        momentum = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
        direction = (1 - MOMENTUM) * gradient + MOMENTUM * momentum
        expected -= 0.1 * orthogonalised(direction).view_as(weight)
        optimizer.step()
    torch.testing.assert_close(weight.detach(), expected)


def test_everything_else_is_adam() -> None:
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(torch.linspace(-1, 1, 12).double()) for _ in range(2))
    optimizers = Muon([{"params": [ours], "lr": 1e-2}]), torch.optim.Adam([theirs], lr=1e-2)
    for _ in range(20):
        gradient = torch.randn(12, dtype=torch.float64)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_its_state_survives_a_checkpoint() -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(4, 9), torch.randn(6, 4, 9)

    def run(parameter: nn.Parameter, optimizer: Muon, steps: range) -> None:
        for step in steps:
            parameter.grad = gradients[step]
            optimizer.step()

    whole = nn.Parameter(start.clone())
    run(whole, Muon([{"params": [whole], "lr": 0.1, "orthogonal": True}]), range(6))
    half = nn.Parameter(start.clone())
    first = Muon([{"params": [half], "lr": 0.1, "orthogonal": True}])
    run(half, first, range(3))
    second = Muon([{"params": [half], "lr": 0.1, "orthogonal": True}])
    second.load_state_dict(first.state_dict())
    run(half, second, range(3, 6))
    torch.testing.assert_close(half, whole, rtol=0, atol=0)
