"""Smoothness, velocity, and the weighted sum of terms."""

from __future__ import annotations

import kornia.losses
import torch
from batches import make_batch, make_outputs

from packdepth.geometry import se3
from packdepth.objectives import Photometric
from packdepth.objectives.objective import Objective
from packdepth.objectives.scales import enlarged
from packdepth.objectives.smoothness import Smoothness, smoothness
from packdepth.objectives.velocity import Velocity, velocity_loss
from packdepth.records import Outputs


def test_smoothness_is_that_of_kornia_on_normalized_inverse_depth() -> None:
    inv_depth, image = torch.rand(2, 1, 9, 12, dtype=torch.float64) + 0.1, torch.rand(2, 3, 9, 12, dtype=torch.float64)
    normalized = inv_depth / inv_depth.mean((2, 3), keepdim=True)
    expected = kornia.losses.inverse_depth_smoothness_loss(normalized, image)
    torch.testing.assert_close(smoothness(inv_depth, image), expected)


def test_smoothness_does_not_depend_on_scale_and_spares_edges() -> None:
    batch = make_batch()
    outputs = make_outputs(batch)
    larger = Outputs([7 * inv_depth for inv_depth in outputs.inv_depths], outputs.T_context_target)
    torch.testing.assert_close(Smoothness()(outputs, batch), Smoothness()(larger, batch))
    step = torch.ones(1, 1, 8, 8)
    step[..., 4:] = 2
    assert smoothness(step, 5 * step.expand(-1, 3, -1, -1)) < 0.01 * smoothness(step, torch.zeros(1, 3, 8, 8))


def test_smoothness_gradient_in_float64() -> None:
    inv_depth = (torch.rand(1, 1, 5, 6, dtype=torch.float64) + 0.5).requires_grad_()
    image = torch.rand(1, 3, 5, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: smoothness(x, image), inv_depth)


def test_smoothness_at_full_resolution_is_that_of_enlarged_scales() -> None:
    batch = make_batch()
    outputs = make_outputs(batch)
    for convention in ("packdepth", "reference"):
        height, width = batch.image.shape[-2:]
        full = [enlarged(d, s, height, width, convention) for s, d in enumerate(outputs.inv_depths)]
        expected = torch.stack([smoothness(inv_depth, batch.image) / 2**s for s, inv_depth in enumerate(full)]).mean()
        torch.testing.assert_close(Smoothness(scales="full", convention=convention)(outputs, batch), expected)


def test_velocity_is_the_error_of_the_length_in_metres() -> None:
    T = torch.eye(4, dtype=torch.float64).repeat(2, 2, 1, 1)
    T[..., :3, 3] = torch.tensor([[[3.0, 0, 4], [0, 0, 1]], [[1, 2, 2], [0, 0, -2]]], dtype=torch.float64)
    distance = torch.tensor([[5.0, 2.0], [2.5, 2.0]], dtype=torch.float64)
    assert velocity_loss(T, distance) == (0 + 1 + 0.5 + 0) / 4
    T.requires_grad_()
    assert torch.autograd.gradcheck(lambda T: velocity_loss(T, distance + 0.3), T)


def test_the_objective_is_the_weighted_sum_of_its_terms() -> None:
    objective = Objective(
        [
            Photometric(kind="photometric", weight=2.0),
            Smoothness(kind="smoothness", weight=0.5),
            Velocity(kind="velocity", weight=0.0),
        ]
    )
    batch = make_batch()
    total, terms = objective(make_outputs(batch), batch)
    assert list(terms) == ["photometric", "smoothness", "velocity"]
    torch.testing.assert_close(total, 2 * terms["photometric"] + 0.5 * terms["smoothness"])
    assert objective.needs() == {"photometric": (), "smoothness": (), "velocity": ("distance",)}
    assert Velocity.needs == ("distance",)


def test_ego_motion_has_a_gradient_even_of_terms_on_depth_alone() -> None:
    """Of zeros: processes that share a batch wait for the gradient of every network."""
    batch = make_batch()
    outputs = make_outputs(batch)
    outputs.T_context_target.requires_grad_()
    total, _ = Objective([Smoothness(kind="smoothness")])(outputs, batch)
    total.backward()
    assert outputs.T_context_target.grad is not None
    assert not outputs.T_context_target.grad.any()


def test_an_imposed_length_is_what_the_other_terms_see() -> None:
    photometric = Photometric(kind="photometric")
    imposing = Objective([photometric, Velocity(kind="velocity", impose=True)])
    plain = Objective([photometric, Velocity(kind="velocity")])
    batch = make_batch()
    outputs = make_outputs(batch)
    assert batch.distance is not None
    measured = Outputs(outputs.inv_depths, se3.with_length(outputs.T_context_target, batch.distance))
    _, terms = imposing(outputs, batch)
    _, expected = plain(measured, batch)
    _, predicted = plain(outputs, batch)
    assert terms["photometric"] == expected["photometric"] != predicted["photometric"]
    assert terms["velocity"] == predicted["velocity"] > 0.01
