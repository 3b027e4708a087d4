"""Losses on measured depth: closed forms, gradients in float64, what is missing, resolutions."""

from __future__ import annotations

import math
from dataclasses import replace
from operator import itemgetter
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from batches import make_batch, make_outputs
from torch import Tensor

from packdepth.objectives.objective import Objective
from packdepth.objectives.supervised import LOSSES, REFERENCE_LOSSES, Supervised, SupervisedKind, reverse_huber
from packdepth.objectives.term import Convention
from packdepth.records import Batch, Outputs

KINDS: tuple[SupervisedKind, ...] = get_args(SupervisedKind)
ALL = pytest.mark.parametrize("kind", KINDS)
BOTH = pytest.mark.parametrize("convention", get_args(Convention))


def measured_batch(dtype: torch.dtype = torch.float32, share: float = 0.3) -> Batch:
    """Two samples of 16x24 pixels with sparse depth at 40x60; that of the second is half as dense."""
    generator = torch.Generator().manual_seed(2)
    truth = 2 + 20 * torch.rand(2, 1, 40, 60, generator=generator, dtype=dtype)
    density = torch.tensor([share, share / 2]).view(2, 1, 1, 1)
    return replace(make_batch(dtype=dtype), truth=truth * (torch.rand(truth.shape, generator=generator) < density))


def row(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


P, G, VALID = row(0.1, 0.5, 0.3, 9.0), row(0.2, 0.4, 0.8, 1.0), row(1, 1, 1, 0).bool()
LOGS = [math.log(0.5), math.log(1.25), math.log(0.375)]
CLOSED_FORMS = {
    "sparse_l1": (0.1 + 0.1 + 0.5) / 3,
    "mse": (0.01 + 0.01 + 0.25) / 3,
    "berhu": (0.1 + 0.1 + (0.25 + 0.01) / 0.2) / 3,  # c = 0.2 * 0.5
    "silog": 10 * math.sqrt(sum(e * e for e in LOGS) / 3 - 0.85 * (sum(LOGS) / 3) ** 2),
    "abs_rel": (0.1 / 0.2 + 0.1 / 0.4 + 0.5 / 0.8) / 3,
}


@ALL
def test_closed_forms(kind: SupervisedKind) -> None:
    torch.testing.assert_close(
        LOSSES[kind](P, G, VALID), torch.tensor([CLOSED_FORMS[kind]], dtype=torch.float64), rtol=1e-9, atol=1e-12
    )


def test_what_the_reference_calls_berhu_and_abs_rel() -> None:
    berhu = (0.1 + 0.1 + 0.5 + 0.01 + 0.01 + 0.25) / 6  # c = 0.2 * 0.1, all three are beyond
    abs_rel = (0.1 / 0.1 + 0.1 / 0.5 + 0.5 / 0.3) / 3
    assert REFERENCE_LOSSES["berhu"](P, G, VALID).item() == pytest.approx(berhu)
    assert REFERENCE_LOSSES["abs_rel"](P, G, VALID).item() == pytest.approx(abs_rel)


@ALL
def test_gradients_of_losses_in_float64(kind: SupervisedKind) -> None:
    generator = torch.Generator().manual_seed(0)
    p, g = 0.1 + torch.rand(2, 2, 1, 4, 5, generator=generator, dtype=torch.float64)
    valid = torch.rand(2, 1, 4, 5, generator=generator) < 0.7
    if kind == "berhu":  # its c is a constant for the gradient, but not for finite differences
        c = torch.tensor([0.1, 0.2], dtype=torch.float64).view(2, 1, 1, 1)
        assert torch.autograd.gradcheck(lambda p: reverse_huber((p - g).abs(), c), p.requires_grad_())
    else:
        assert torch.autograd.gradcheck(lambda p: LOSSES[kind](p, g, valid), p.requires_grad_())


def test_berhu_pulls_like_l1_near_and_like_l2_far() -> None:
    p = P.clone().requires_grad_()
    LOSSES["berhu"](p, G, VALID).backward()
    expected = row(-1, 1, -0.5 / 0.1, 0) / 3  # sign(e), and e / c beyond c
    torch.testing.assert_close(p.grad, expected)


@ALL
@BOTH
def test_gradients_of_terms_reach_every_scale(kind: SupervisedKind, convention: Convention) -> None:
    batch = measured_batch(torch.float64)
    outputs = make_outputs(batch)
    inputs = [inv_depth.requires_grad_() for inv_depth in outputs.inv_depths]
    gradients = torch.autograd.grad(Supervised(kind=kind, convention=convention)(outputs, batch), inputs)
    assert all(0 < gradient.abs().max() < torch.inf for gradient in gradients)
    if kind != "berhu":
        fine = Outputs([inputs[2]], outputs.T_context_target)
        term = Supervised(kind=kind, convention=convention)
        assert torch.autograd.gradcheck(lambda x: term(replace(fine, inv_depths=[x]), batch), inputs[2])


@ALL
@BOTH
def test_an_exact_prediction_costs_nothing_and_moves_nothing(kind: SupervisedKind, convention: Convention) -> None:
    batch = measured_batch()
    assert batch.truth is not None
    batch = replace(batch, truth=torch.where(batch.truth > 0, 8.0, 0.0)[..., :16, :24])
    inv_depth = torch.full((2, 1, 16, 24), 1 / 8).requires_grad_()
    loss = Supervised(kind=kind, convention=convention)(
        Outputs([inv_depth], make_outputs(batch).T_context_target), batch
    )
    loss.backward()
    assert loss == 0
    assert inv_depth.grad is not None
    assert inv_depth.grad.abs().max() == 0


@ALL
@BOTH
def test_images_without_a_return_are_finite_and_count_as_zero(kind: SupervisedKind, convention: Convention) -> None:
    batch = measured_batch()
    assert batch.truth is not None
    outputs = make_outputs(batch)
    inputs = [inv_depth.requires_grad_() for inv_depth in outputs.inv_depths]
    term = Supervised(kind=kind, convention=convention)
    nothing = term(outputs, replace(batch, truth=torch.zeros_like(batch.truth)))
    nothing.backward()
    assert nothing == 0
    assert all(inv_depth.grad is not None and inv_depth.grad.abs().max() == 0 for inv_depth in inputs)
    half = batch.truth.clone()
    half[1] = 0
    loss = term(outputs, replace(batch, truth=half))
    for gradient in torch.autograd.grad(loss, inputs):
        assert gradient[0].abs().max() > 0
        assert gradient[1].abs().max() == 0
    if convention == "packdepth":
        one = Outputs([inv_depth[:1] for inv_depth in inputs], outputs.T_context_target[:1])
        torch.testing.assert_close(loss, term(one, batch.map(lambda tensor: tensor[:1])) / 2)


@ALL
def test_the_batch_is_the_mean_of_its_samples(kind: SupervisedKind) -> None:
    batch, term = measured_batch(), Supervised(kind=kind)
    outputs = make_outputs(batch)
    single = [
        term(
            Outputs([inv_depth[i : i + 1] for inv_depth in outputs.inv_depths], outputs.T_context_target[i : i + 1]),
            batch.map(itemgetter(slice(i, i + 1))),
        )
        for i in range(2)
    ]
    torch.testing.assert_close(term(outputs, batch), torch.stack(single).mean())


def test_every_measurement_counts_where_it_was_made() -> None:
    """A ramp of inverse depth, seen at three resolutions: interpolation about pixel centers is exact but at borders."""
    ramp = torch.linspace(0.1, 0.6, 61, dtype=torch.float64)
    centers = (ramp[1:] + ramp[:-1]) / 2  # of 60 pixels
    truth = torch.zeros(1, 1, 2, 60, dtype=torch.float64)
    truth[..., 9:51] = 1 / centers[9:51]
    batch = replace(make_batch(1, dtype=torch.float64), truth=truth)
    inv_depths = [F.avg_pool2d(centers.expand(1, 1, 2, 60), (1, width)) for width in (1, 3, 6)]
    outputs = Outputs(inv_depths, make_outputs(batch).T_context_target)
    assert Supervised(kind="sparse_l1")(outputs, batch) < 1e-12


def test_a_run_file_names_them() -> None:
    batch = measured_batch()
    objective = Objective([Supervised(kind=kind, weight=2.0) for kind in KINDS])
    total, terms = objective(make_outputs(batch), batch)
    assert tuple(terms) == KINDS
    assert objective.needs() == dict.fromkeys(KINDS, ("truth",))
    torch.testing.assert_close(total, 2 * torch.stack(list(terms.values())).sum())
    assert all(value > 0 for value in terms.values())
