"""The guard of optimizer steps against torch's own clipping, and against gradients that are no numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.optim import Adam, AdamW, Optimizer

from packdepth.optimization.guard import GradientGuard
from packdepth.optimization.muon import Muon


def parameters() -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(8, 3, 3, 3)), nn.Parameter(torch.randn(8))]


@pytest.mark.parametrize("max_norm", [0.1, 1e3])
def test_it_clips_as_torch_does_to_the_last_bit(max_norm: float) -> None:
    ours, theirs = parameters(), parameters()
    for mine, other in zip(ours, theirs, strict=True):
        mine.grad = torch.randn_like(mine)
        other.grad = mine.grad.clone()
    assert GradientGuard(max_norm).check(Adam(ours))
    torch.nn.utils.clip_grad_norm_(theirs, max_norm)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=0, atol=0)


OPTIMIZERS: dict[str, Callable[[list[nn.Parameter]], Optimizer]] = {
    "adam": lambda weights: Adam(weights, lr=0.1),
    "fused adam": lambda weights: Adam(weights, lr=0.1, fused=True),
    "decay": lambda weights: AdamW(weights, lr=0.1, weight_decay=0.5, fused=True),
    "muon": lambda weights: Muon(
        [{"params": weights[:1], "lr": 0.1, "orthogonal": True, "decay": 0.5}, {"params": weights[1:], "lr": 0.1}]
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 1e30])
def test_a_skipped_step_leaves_weights_and_optimizer_as_if_it_had_not_been(name: str, wrong: float) -> None:
    results = []
    for steps in ([0, 1, 2], [0, 3, 1, 2]):
        weights = parameters()
        optimizer, guard = OPTIMIZERS[name](weights), GradientGuard()
        for step in steps:
            torch.manual_seed(step)
            for weight in weights:
                weight.grad = torch.randn_like(weight)
            if step == 3:
                assert weights[0].grad is not None
                weights[0].grad[1, 2, 0, 0] = wrong
            assert guard.check(optimizer) == (step != 3)
            optimizer.step()
        results.append((weights, guard))
    (clean, none), (spoiled, one) = results
    assert (none.skipped, one.skipped, one.in_a_row) == (0, 1, 0)
    for left, right in zip(clean, spoiled, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)


def test_skipped_steps_are_counted_until_one_is_taken() -> None:
    (weight,) = [nn.Parameter(torch.ones(2))]
    optimizer, guard = Adam([weight]), GradientGuard()
    for value, expected in ((float("nan"), 1), (float("nan"), 2), (1.0, 0), (float("inf"), 1)):
        weight.grad = torch.full((2,), value)
        guard.check(optimizer)
        assert guard.in_a_row == expected
    assert guard.skipped == 3
