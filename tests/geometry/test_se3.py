"""Rigid motions against scipy and kornia, with their corners: rotations by zero and by pi."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from kornia.geometry.liegroup import Se3, So3
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.autograd import gradcheck

from packdepth.geometry import se3

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])

directions = (
    st.tuples(*[st.floats(-1, 1)] * 3)
    .filter(lambda xyz: math.hypot(*xyz) > 0.1)
    .map(lambda xyz: np.array(xyz) / math.hypot(*xyz))
)
vectors = st.tuples(*[st.floats(-5, 5)] * 3, *[st.floats(-1.8, 1.8)] * 3).map(
    lambda six: torch.tensor(six, dtype=torch.float64)
)
# Every order of magnitude below a radian, both borders of the series, and the last bits before pi.
ANGLES = [0.0, *[10.0**-k for k in range(1, 13)], 0.999e-3, 1.001e-3, 0.00999, 0.01001, 1.0, 2.0, 3.0]
ANGLES += [math.pi - gap for gap in (1e-2, 1e-4, 1e-6, 1e-8, 1e-10)]
AXES = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0.6, -0.8, 0], [0.48, 0.6, -0.64], [-0.48, 0.64, 0.6]])


def rotation_vectors(dtype: torch.dtype = torch.float64) -> Tensor:
    """[A, N, 3]: each of ANGLES about each of AXES."""
    return torch.tensor(np.array(ANGLES)[:, None, None] * AXES, dtype=dtype)


def motions(dtype: torch.dtype = torch.float64) -> Tensor:
    """[5, 4, 4], arbitrary."""
    generator = torch.Generator().manual_seed(0)
    return se3.from_vector(torch.randn(5, 6, generator=generator, dtype=torch.float64).to(dtype))


def tolerance(dtype: torch.dtype) -> dict[str, Any]:
    return {"rtol": 0, "atol": 1e-6 if dtype == torch.float32 else 1e-14}


@DTYPES
def test_exp_agrees_with_scipy_at_every_angle(dtype: torch.dtype) -> None:
    vectors = rotation_vectors(dtype)
    expected = Rotation.from_rotvec(vectors.double().reshape(-1, 3).numpy()).as_matrix()
    result = se3.rotation_exp(vectors)
    assert result.dtype == dtype
    torch.testing.assert_close(result, torch.tensor(expected).view_as(result).to(dtype), **tolerance(dtype))


@DTYPES
def test_log_agrees_with_scipy_at_every_angle(dtype: torch.dtype) -> None:
    matrices = Rotation.from_rotvec(rotation_vectors().reshape(-1, 3).numpy()).as_matrix()
    result = se3.rotation_log(torch.tensor(matrices, dtype=dtype)).double()
    # Near pi a vector and its opposite are the same rotation up to rounding: rotations are compared.
    left_over = Rotation.from_matrix(matrices).inv() * Rotation.from_rotvec(result.numpy())
    assert left_over.magnitude().max() < (2e-6 if dtype == torch.float32 else 5e-15)
    assert result.norm(dim=-1).max() < math.pi + 1e-6


@DTYPES
def test_log_undoes_exp_at_every_angle(dtype: torch.dtype) -> None:
    vectors = rotation_vectors(dtype)[:-3]  # less the angles that float32 cannot tell from pi
    absolute = 2e-6 if dtype == torch.float32 else 1e-14
    torch.testing.assert_close(se3.rotation_log(se3.rotation_exp(vectors)), vectors, rtol=0, atol=absolute)


def test_log_of_a_half_turn_about_each_axis() -> None:
    for axis in AXES:
        axis = torch.tensor(axis)
        half_turn = 2 * axis[:, None] * axis - torch.eye(3, dtype=torch.float64)  # exactly pi
        result = se3.rotation_log(half_turn)
        torch.testing.assert_close((result @ axis).abs(), torch.tensor(math.pi, dtype=torch.float64))


@given(directions, st.floats(0, math.pi))
@example(np.array([0.0, 0.0, 1.0]), math.pi)
def test_exp_is_a_rotation_and_log_undoes_it(direction: np.ndarray, angle: float) -> None:
    matrix = se3.rotation_exp(torch.tensor(direction * angle))
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-14)
    assert torch.linalg.det(matrix).item() == pytest.approx(1)
    again = se3.rotation_exp(se3.rotation_log(matrix))
    torch.testing.assert_close(again, matrix, rtol=0, atol=1e-14)


@DTYPES
def test_exp_agrees_with_kornia(dtype: torch.dtype) -> None:
    vectors = rotation_vectors(dtype)[[1, 2, 16, 17]].reshape(-1, 3)
    torch.testing.assert_close(se3.rotation_exp(vectors), So3.exp(vectors).matrix(), **tolerance(dtype))


def test_inverse_and_transform_agree_with_kornia() -> None:
    T, points = motions(), torch.arange(60, dtype=torch.float64).view(5, 3, 4).sin()
    theirs = Se3.from_matrix(T)
    torch.testing.assert_close(se3.inverse(T), theirs.inverse().matrix())
    expected = torch.stack([theirs * points[..., index] for index in range(4)], dim=-1)
    torch.testing.assert_close(se3.transform(T, points), expected)


@DTYPES
def test_hat_is_the_cross_product(dtype: torch.dtype) -> None:
    a, b = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, 7.0]], dtype=dtype), torch.tensor([4.0, 5.0, -6.0], dtype=dtype)
    torch.testing.assert_close(se3.hat(a) @ b, torch.linalg.cross(a, b.expand(2, 3)))


@given(vectors)
@example(torch.zeros(6, dtype=torch.float64))
def test_a_vector_returns_from_its_matrix(vector: Tensor) -> None:
    assume(vector[3:].norm() < math.pi - 1e-3)
    torch.testing.assert_close(se3.to_vector(se3.from_vector(vector)), vector, rtol=1e-10, atol=1e-12)


@given(vectors)
def test_a_motion_and_its_inverse_cancel(vector: Tensor) -> None:
    T = se3.from_vector(vector)
    identity = torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close(se3.compose(T, se3.inverse(T)), identity, rtol=0, atol=1e-12)
    torch.testing.assert_close(se3.compose(se3.inverse(T), T), identity, rtol=0, atol=1e-12)


@given(vectors, vectors)
def test_composing_is_moving_twice(first: Tensor, second: Tensor) -> None:
    T_a_b, T_b_c = se3.from_vector(first[None]), se3.from_vector(second[None])
    points = torch.tensor([[[1.0, -3.0], [2.0, 0.0], [0.5, 9.0]]], dtype=torch.float64)
    torch.testing.assert_close(
        se3.transform(se3.compose(T_a_b, T_b_c), points), se3.transform(T_a_b, se3.transform(T_b_c, points))
    )


def test_a_translation_is_the_origin_of_src_in_dst() -> None:
    T_dst_src = se3.from_vector(torch.tensor([[1.0, 2.0, 3.0, 0.0, 0.0, math.pi / 2]]))
    points = torch.tensor([[[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]])  # the origin and a metre along x
    moved = se3.transform(T_dst_src, points)
    torch.testing.assert_close(moved[0, :, 0], torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(moved[0, :, 1], torch.tensor([1.0, 3.0, 3.0]))  # x turned onto y about z


def test_a_batch_is_each_motion_by_itself() -> None:
    T, points = motions(), torch.arange(90, dtype=torch.float64).view(5, 3, 2, 3).cos()
    vectors = se3.to_vector(T)
    for index in range(5):
        torch.testing.assert_close(se3.to_vector(T[index]), vectors[index])
        torch.testing.assert_close(se3.from_vector(vectors[index]), T[index])
        torch.testing.assert_close(se3.inverse(T[index]), se3.inverse(T)[index])
        one = se3.transform(T[index : index + 1], points[index : index + 1])
        torch.testing.assert_close(one[0], se3.transform(T, points)[index])
    pairs = T.view(5, 1, 4, 4).expand(5, 2, 4, 4)  # any leading dimensions
    torch.testing.assert_close(se3.to_vector(pairs)[:, 1], vectors)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-5, 0.9e-3, 1.1e-3, 0.3, 3.0, math.pi])
def test_gradients_of_exp(angle: float) -> None:
    vector = torch.tensor([[0.48, 0.6, -0.64]], dtype=torch.float64) * angle
    assert gradcheck(se3.rotation_exp, vector.requires_grad_())


def test_the_gradient_of_exp_at_zero_is_the_generators() -> None:
    for dtype in (torch.float32, torch.float64):
        jacobian = torch.autograd.functional.jacobian(se3.rotation_exp, torch.zeros(3, dtype=dtype))
        generators = torch.stack([se3.hat(axis) for axis in torch.eye(3, dtype=dtype)], dim=-1)
        assert torch.equal(jacobian, generators)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-5, 0.9e-3, 1.1e-3, 0.3, 2.0, 3.0])
def test_gradients_of_log(angle: float) -> None:
    # A step away from a rotation matrix is none any more: the gradient is taken along rotations, log(R exp(x)).
    R = torch.tensor(Rotation.from_rotvec(np.array([0.48, 0.6, -0.64]) * angle).as_matrix())

    def log_of_turned(vector: Tensor) -> Tensor:
        return se3.rotation_log(R @ se3.rotation_exp(vector))

    assert gradcheck(log_of_turned, torch.zeros(3, dtype=torch.float64, requires_grad=True), atol=1e-6)


def test_gradients_of_motions() -> None:
    vector = se3.to_vector(motions()[:2]).requires_grad_()
    points = torch.arange(12, dtype=torch.float64).view(2, 3, 2).sin().requires_grad_()
    assert gradcheck(lambda v, p: se3.transform(se3.inverse(se3.from_vector(v)), p), (vector, points))


def test_a_motion_is_stretched_to_a_length() -> None:
    T, length = motions(), torch.tensor([0.0, 0.5, 1.0, 2.0, 30.0], dtype=torch.float64)
    stretched = se3.with_length(T, length)
    torch.testing.assert_close(stretched[:, :3, 3].norm(dim=-1), length)
    assert torch.equal(stretched[:, :3, :3], T[:, :3, :3])
    cosine = torch.nn.functional.cosine_similarity(stretched[1:, :3, 3], T[1:, :3, 3], dim=-1)
    torch.testing.assert_close(cosine, torch.ones_like(cosine))
    still = torch.eye(4, dtype=torch.float64)  # a motion without direction stays where it is
    assert torch.equal(se3.with_length(still, length[2]), still)
    vector = se3.to_vector(T[:2]).requires_grad_()
    assert gradcheck(lambda v: se3.with_length(se3.from_vector(v), length[1:3]), vector)
