"""Reprojected distance: the formula, its degenerate motions, gradients, what is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from batches import make_batch, make_outputs
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.geometry.resize import resize_inv_depth
from packdepth.objectives.reprojected import Reprojected, at_pixels, reprojected_distance, returns
from packdepth.records import Batch, Outputs

CAMERA = Camera(50.0, 45.0, 31.5, 15.5, width=64, height=32)


def points(count: int = 40, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels [1, 2, 1, M], predicted and measured depth [1, 1, 1, M] from 4 m on, float64."""
    generator = torch.Generator().manual_seed(seed)
    draw = torch.rand(4, 1, 1, 1, count, generator=generator, dtype=torch.float64)
    return torch.cat([63 * draw[0], 31 * draw[1]], dim=1), 4 + 30 * draw[2], 4 + 30 * draw[3]


def motion(*vector: float) -> Tensor:
    return se3.from_vector(torch.tensor([vector], dtype=torch.float64))


def distance(T: Tensor, predicted: Tensor, measured: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    rays = CAMERA.lift(pixels, torch.ones_like(measured))
    return reprojected_distance(1 / predicted, 1 / measured, rays, T, CAMERA)


def literally(T: Tensor, predicted: Tensor, measured: Tensor, pixels: Tensor) -> Tensor:
    """|| pi(K, T d' K^-1 p) - pi(K, T d K^-1 p) ||, as it is written."""
    images = [CAMERA.project(se3.transform(T, CAMERA.lift(pixels, depth)))[0] for depth in (predicted, measured)]
    return torch.linalg.vector_norm(images[0] - images[1], dim=1, keepdim=True)


component, angle = st.floats(-1.0, 1.0), st.floats(-0.2, 0.2)


@given(st.tuples(component, component, component, angle, angle, angle))
def test_it_is_the_distance_of_the_two_image_points(vector: tuple[float, ...]) -> None:
    pixels, predicted, measured = points()
    T = motion(*vector)
    found, valid = distance(T, predicted, measured, pixels)
    assert valid.all()
    torch.testing.assert_close(found, literally(T, predicted, measured, pixels), rtol=1e-7, atol=1e-9)


def test_sideways_it_is_the_difference_of_disparities() -> None:
    pixels, predicted, measured = points()
    found, _ = distance(motion(0.7, 0, 0, 0, 0, 0), predicted, measured, pixels)
    torch.testing.assert_close(found, CAMERA.fx * 0.7 * (1 / predicted - 1 / measured).abs())


@given(st.tuples(component, component, component))
def test_an_exact_prediction_costs_nothing(vector: tuple[float, ...]) -> None:
    pixels, _, measured = points()
    found, _ = distance(motion(*vector, 0.1, 0, 0), measured, measured, pixels)
    assert found.abs().max() == 0


def test_a_standing_camera_and_the_focus_of_expansion_teach_nothing_and_harm_nothing() -> None:
    pixels, predicted, measured = points()
    center = torch.tensor([31.5, 15.5], dtype=torch.float64).view(1, 2, 1, 1).expand_as(pixels)
    for T, seen in ((motion(0, 0, 0, 0.1, 0, 0), pixels), (motion(0, 0, -1, 0, 0, 0), center)):
        T, depth = T.requires_grad_(), predicted.clone().requires_grad_()
        found, _ = distance(T, depth, measured, seen)
        gradients = torch.autograd.grad(found.sum(), [T, depth])
        assert found.abs().max() == 0
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert gradients[1].abs().max() == 0


@given(st.floats(0.01, 200.0), st.floats(2.0, 80.0))
def test_wherever_the_prediction_lies_it_is_pulled_to_the_measurement(predicted: float, measured: float) -> None:
    """Even where the predicted point lies behind the context camera; with a bounded gradient."""
    pixels = torch.tensor([50.0, 25.0], dtype=torch.float64).view(1, 2, 1, 1)
    inv_depth = torch.full((1, 1, 1, 1), 1 / predicted, dtype=torch.float64, requires_grad=True)
    truth = torch.full((1, 1, 1, 1), 1 / measured, dtype=torch.float64)
    rays = CAMERA.lift(pixels, torch.ones_like(truth))
    found, valid = reprojected_distance(inv_depth, truth, rays, motion(0, 0, -1.2, 0, 0, 0), CAMERA)
    (gradient,) = torch.autograd.grad(found.sum(), inv_depth)
    assert valid.all()
    if abs(predicted - measured) > 1e-6:
        assert gradient.sign().item() == (1 if predicted < measured else -1)
        assert gradient.abs().item() < 1e4
        assert found.item() > 0


def test_what_is_measured_behind_the_context_camera_is_left_out() -> None:
    pixels, predicted, _ = points(2)
    near = torch.tensor([1.0, 9.0], dtype=torch.float64).view(1, 1, 1, 2)
    found, valid = distance(motion(0, 0, -1.5, 0, 0, 0), predicted, near, pixels)
    assert valid.flatten().tolist() == [False, True]
    alone, _ = distance(motion(0, 0, -1.5, 0, 0, 0), predicted[..., 1:], near[..., 1:], pixels[..., 1:])
    assert found[valid].tolist() == [alone.item()]


def test_gradients_in_float64() -> None:
    pixels, predicted, measured = points(12)
    rays = CAMERA.lift(pixels, torch.ones_like(measured))
    T = motion(0.2, -0.1, -0.8, 0.02, 0.03, -0.01).requires_grad_()
    inv_depth = (1 / predicted).requires_grad_()

    def value(inv_depth: Tensor, T: Tensor) -> Tensor:
        return reprojected_distance(inv_depth, 1 / measured, rays, T, CAMERA)[0]

    assert torch.autograd.gradcheck(value, (inv_depth, T))


def measured_batch(dtype: torch.dtype = torch.float64) -> Batch:
    """Two samples of 16x24 pixels with sparse depth at 40x60, the second with fewer returns."""
    generator = torch.Generator().manual_seed(2)
    truth = 3 + 20 * torch.rand(2, 1, 40, 60, generator=generator, dtype=dtype)
    share = torch.tensor([0.1, 0.02]).view(2, 1, 1, 1)
    return replace(make_batch(dtype=dtype), truth=truth * (torch.rand(truth.shape, generator=generator) < share))


def test_returns_are_the_pixels_of_a_map_and_their_depth() -> None:
    truth = torch.zeros(3, 1, 4, 5)
    truth[0, 0, 1, 2], truth[0, 0, 3, 4], truth[1, 0, 0, 0] = 7.0, 2.0, 5.0
    pixels, depth = returns(truth)
    assert depth[:, 0, 0].tolist() == [[7, 2], [5, 0], [0, 0]]
    assert pixels[0, :, 0].tolist() == [[2, 4], [1, 3]]
    assert pixels[1, :, 0, 0].tolist() == [0, 0]
    assert returns(torch.zeros(2, 1, 3, 3))[1].shape == (2, 1, 1, 1)


@pytest.mark.parametrize("size", [(16, 24), (8, 12), (40, 60)])
def test_predictions_are_read_off_as_if_resized(size: tuple[int, int]) -> None:
    inv_depth = torch.rand(2, 1, *size, dtype=torch.float64)
    v, u = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")
    pixels = torch.stack([u.flatten(), v.flatten()]).double().expand(2, 2, -1)[:, :, None]
    found = at_pixels(inv_depth, pixels, 40, 60).view(2, 1, 40, 60)
    torch.testing.assert_close(found, resize_inv_depth(inv_depth, 40, 60))


def test_the_term_is_the_mean_over_returns_contexts_and_scales() -> None:
    batch = measured_batch()
    assert batch.truth is not None
    outputs = make_outputs(batch)
    camera = batch.camera.resized(40, 60)
    expected = []
    for inv_depth in outputs.inv_depths:
        predicted = resize_inv_depth(inv_depth, 40, 60)
        for T in outputs.T_context_target.unbind(1):
            lifted = [camera.unproject(depth) for depth in (1 / predicted, batch.truth.clamp(min=1e-3))]
            a, b = (batch.camera.project(se3.transform(T, point))[0] for point in lifted)
            apart = torch.linalg.vector_norm(a - b, dim=1, keepdim=True)
            expected += [apart[i][batch.truth[i] > 0].mean() for i in range(2)]
    torch.testing.assert_close(Reprojected()(outputs, batch), torch.stack(expected).mean())


def test_the_term_teaches_depth_and_leaves_the_ego_motion_alone() -> None:
    batch = measured_batch()
    outputs = make_outputs(batch)
    inputs = [inv_depth.requires_grad_() for inv_depth in outputs.inv_depths]
    outputs.T_context_target.requires_grad_()
    Reprojected()(outputs, batch).backward()
    assert outputs.T_context_target.grad is None
    assert all(x.grad is not None and 0 < x.grad.abs().max() < torch.inf for x in inputs)


def test_gradients_of_the_term_in_float64() -> None:
    batch = measured_batch()
    outputs = make_outputs(batch)
    coarse = outputs.inv_depths[2].requires_grad_()
    term = Reprojected()
    assert torch.autograd.gradcheck(lambda x: term(Outputs([x], outputs.T_context_target), batch), coarse)


def test_a_sample_without_a_return_counts_as_zero() -> None:
    batch = measured_batch()
    assert batch.truth is not None
    outputs = make_outputs(batch)
    half = batch.truth.clone()
    half[1] = 0
    one = Outputs([x[:1] for x in outputs.inv_depths], outputs.T_context_target[:1])
    first = Reprojected()(one, batch.map(lambda tensor: tensor[:1]))
    torch.testing.assert_close(Reprojected()(outputs, replace(batch, truth=half)), first / 2)
    nothing = Reprojected()(outputs, replace(batch, truth=torch.zeros_like(half)))
    assert nothing == 0
