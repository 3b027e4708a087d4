"""Pose consistency: closed forms, and gradients in float64 where they are smooth."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from batches import make_batch, make_outputs
from present import present

from packdepth.geometry import se3
from packdepth.objectives import DepthConsistency, Photometric, Velocity
from packdepth.objectives.objective import Objective
from packdepth.objectives.pose_consistency import PoseConsistency, pose_consistency


def motions(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return se3.from_vector(0.3 * torch.randn(3, 2, 6, generator=generator, dtype=torch.float64))


def test_translation_in_metres_and_rotation_by_its_lever() -> None:
    T = motions(0)
    difference = torch.tensor([0.3, 0.0, 0.4, 0.0, 0.0, 0.2], dtype=torch.float64)
    found = pose_consistency(T @ se3.from_vector(difference), T, lever=10.0)
    assert found.item() == pytest.approx(0.5 + 10 * 2 * math.sin(0.1))
    assert pose_consistency(T, T, lever=10.0).item() == pytest.approx(0, abs=1e-12)


def test_gradients_in_float64() -> None:
    T, other = motions(0).requires_grad_(), motions(1).requires_grad_()
    assert torch.autograd.gradcheck(lambda T, other: pose_consistency(T, other, 3.0), (T, other))


def test_agreement_has_no_gradient() -> None:
    """Where a norm has none, so that nothing is moved."""
    vector = torch.zeros(1, 6, requires_grad=True)
    pose_consistency(se3.from_vector(vector), torch.eye(4)[None], 10.0).backward()
    assert torch.equal(present(vector.grad), torch.zeros(1, 6))


def test_an_objective_says_which_outputs_it_needs() -> None:
    terms = [Photometric(kind="photometric"), Velocity(kind="velocity")]
    assert Objective(terms).output_fields == frozenset()
    objective = Objective(
        [*terms, DepthConsistency(kind="depth_consistency"), PoseConsistency(kind="pose_consistency")]
    )
    assert objective.output_fields == {"context_inv_depths", "T_context_target_reversed"}
    assert objective.batch_fields == {"distance"}
    assert objective.needs()["depth_consistency"] == ()


def test_both_estimates_are_compared_as_they_were_predicted() -> None:
    """Though `velocity` imposes the measured length on what other terms see."""
    batch = make_batch()
    outputs = make_outputs(batch)
    outputs = replace(outputs, T_context_target_reversed=outputs.T_context_target.roll(1, 0))
    objective = Objective([Velocity(kind="velocity", impose=True), PoseConsistency(kind="pose_consistency", lever=2.0)])
    assert objective(outputs, batch)[1]["pose_consistency"] == PoseConsistency(lever=2.0)(outputs, batch) > 0
