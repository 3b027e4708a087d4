"""The likelihood of residuals: closed forms, gradients, what it is constant in, and residuals of exact depth."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import pytest
import torch
from batches import make_batch, make_outputs
from torch import Tensor

from packdepth.objectives.objective import Objective
from packdepth.objectives.uncertainty import (
    Residual,
    Uncertainty,
    laplace_nll,
    log_residual,
    mirrored_residual,
    photometric_residual,
    teacher_residual,
)
from packdepth.records import Batch, Outputs

ALL = pytest.mark.parametrize("residual", get_args(Residual))


def example(dtype: torch.dtype = torch.float64) -> tuple[Outputs, Batch]:
    batch = make_batch(dtype=dtype)
    truth = 2 + 20 * torch.rand(2, 1, 40, 60, dtype=dtype)
    outputs = make_outputs(batch)
    log_scale = torch.randn(2, 1, 16, 24, dtype=dtype).requires_grad_()
    teacher = torch.rand(2, 1, 16, 24, dtype=dtype)
    batch = replace(batch, truth=truth * (torch.rand_like(truth) < 0.5), teacher=teacher)
    mirrored = 0.2 + 0.1 * torch.rand(2, 1, 16, 24, dtype=dtype)
    return replace(outputs, log_scale=log_scale, mirrored_inv_depth=mirrored), batch


def test_the_likelihood_is_that_of_laplace() -> None:
    residual, log_scale = torch.randn(2, 100, dtype=torch.float64)
    laplace = torch.distributions.Laplace(torch.zeros(100, dtype=torch.float64), log_scale.exp())
    torch.testing.assert_close(laplace_nll(residual, log_scale), -laplace.log_prob(residual) - math.log(2))


@pytest.mark.parametrize("residual", [0.01, 0.3, 5.0])
def test_the_best_scale_is_the_residual(residual: float) -> None:
    log_scale = torch.linspace(-6, 3, 9001, dtype=torch.float64)
    best = log_scale[laplace_nll(torch.tensor(residual, dtype=torch.float64), log_scale).argmin()]
    assert float(best.exp()) == pytest.approx(residual, rel=1e-3)


def test_the_likelihood_has_the_right_gradient() -> None:
    residual = torch.rand(3, 4, dtype=torch.float64) + 0.1
    assert torch.autograd.gradcheck(
        laplace_nll, (residual.requires_grad_(), torch.randn_like(residual).requires_grad_())
    )


@ALL
def test_depth_and_motion_get_no_gradient(residual: Residual) -> None:
    outputs, batch = example()
    for tensor in (*outputs.inv_depths, outputs.T_context_target):
        tensor.requires_grad_()
    Uncertainty(residual=residual)(outputs, batch).backward()
    assert outputs.log_scale is not None
    assert outputs.log_scale.grad is not None
    assert outputs.log_scale.grad.abs().sum() > 0
    assert all(tensor.grad is None for tensor in (*outputs.inv_depths, outputs.T_context_target))


@ALL
def test_the_term_has_the_right_gradient(residual: Residual) -> None:
    outputs, batch = example()
    term = Uncertainty(residual=residual)

    def value(log_scale: Tensor) -> Tensor:
        return term(replace(outputs, log_scale=log_scale), batch)

    assert outputs.log_scale is not None
    assert torch.autograd.gradcheck(value, [outputs.log_scale], fast_mode=True)


@ALL
def test_descent_learns_the_mean_residual(residual: Residual) -> None:
    outputs, batch = example()
    term = Uncertainty(residual=residual)
    if residual == "truth":
        assert batch.truth is not None
        values, valid = log_residual(outputs.inv_depths[0], batch.truth)
    elif residual == "teacher":
        assert batch.teacher is not None
        values, valid = teacher_residual(outputs.inv_depths[0], batch.teacher)
    elif residual == "mirrored":
        assert outputs.mirrored_inv_depth is not None
        values, valid = mirrored_residual(outputs.inv_depths[0], outputs.mirrored_inv_depth)
    else:
        values, valid = photometric_residual(outputs, batch)
    means = [float(v[m].mean()) for v, m in zip(values, valid, strict=True)]
    one = torch.zeros(2, 1, 1, 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([one], max_iter=100)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = term(replace(outputs, log_scale=one.expand(2, 1, 16, 24)), batch)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert one.detach().exp().flatten().tolist() == pytest.approx(means, rel=1e-4)


def test_a_common_factor_of_depth_is_no_residual() -> None:
    truth = 1 + 30 * torch.rand(2, 1, 9, 12, dtype=torch.float64)
    residual, valid = log_residual(torch.tensor([0.5, 3.0]).view(2, 1, 1, 1) / truth, truth)
    assert residual.max() < 1e-9
    assert valid.all()


def test_scale_and_shift_of_a_teacher_are_no_residual_and_unknown_pixels_do_not_count() -> None:
    inv_depth = 0.1 + torch.rand(2, 1, 9, 12, dtype=torch.float64)
    residual, valid = teacher_residual(inv_depth, 5 * inv_depth - 1)
    assert residual.max() < 1e-9
    assert valid.all()
    teacher = inv_depth.clone()
    teacher[:, :, :3] = torch.nan
    residual, valid = teacher_residual(inv_depth, teacher)
    assert torch.equal(valid, teacher.isfinite())
    assert residual.max() < 1e-9
    teacher[:, :, 5, 5] *= 1.5
    assert float(teacher_residual(inv_depth, teacher)[0][0, 0, 5, 5]) == pytest.approx(math.log(1.5), rel=0.1)


def test_unknown_depth_does_not_count() -> None:
    outputs, batch = example()
    assert batch.truth is not None
    other = replace(batch, truth=batch.truth.clone())
    assert other.truth is not None
    residual, valid = log_residual(outputs.inv_depths[0], batch.truth)
    assert torch.equal(valid, batch.truth > 0)
    assert (residual[~valid] == 0).all()
    nothing = replace(batch, truth=torch.zeros_like(batch.truth))
    assert float(Uncertainty(residual="truth")(outputs, nothing).detach()) == 0


def test_the_photometric_residual_of_equal_frames_without_motion_is_zero() -> None:
    batch = make_batch()
    batch = replace(batch, context=batch.image[:, None].expand(-1, 2, -1, -1, -1))
    outputs = make_outputs(batch)
    still = replace(outputs, T_context_target=torch.eye(4).expand(2, 2, 4, 4))
    residual, _ = photometric_residual(still, batch)
    assert residual.max() < 1e-4
    moved, valid = photometric_residual(outputs, batch)
    assert moved.mean() > 10 * residual.mean()
    assert not valid.any()  # frames that are equal without any motion say nothing about depth


@ALL
def test_the_objective_asks_for_what_the_term_needs(residual: Residual) -> None:
    objective = Objective([Uncertainty(residual=residual)])
    mirrored = {"mirrored_inv_depth"} if residual == "mirrored" else set()
    assert objective.output_fields == {"log_scale"} | mirrored
    assert objective.batch_fields == {residual} - {"photometric", "mirrored"}
    assert objective.metric_from == frozenset()
    assert Uncertainty(residual=residual).needs_context == (residual == "photometric")
