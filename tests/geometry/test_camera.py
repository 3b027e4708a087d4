"""The pinhole camera against kornia, against itself and against the half-pixel rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, replace
from typing import Any

import kornia
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from present import present
from torch import Tensor
from torch.autograd import gradcheck

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera

ONE = Camera(fx=60.0, fy=55.0, cx=30.5, cy=20.25, width=64, height=40)
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])

sizes = st.integers(2, 300)
cameras = st.builds(
    Camera,
    fx=st.floats(10, 2000),
    fy=st.floats(10, 2000),
    cx=st.floats(-50, 400),
    cy=st.floats(-50, 400),
    width=sizes,
    height=sizes,
)


def camera_of(intrinsics: Sequence[Tensor], width: int, height: int) -> Camera:
    """Return the camera with these fx, fy, cx and cy."""
    fx, fy, cx, cy = intrinsics
    return Camera(fx, fy, cx, cy, width, height)


def batch(dtype: torch.dtype = torch.float64) -> Camera:
    """Three different cameras as one."""
    rows = torch.tensor([[60, 55, 30.5, 20.25], [40, 44, 25, 18], [90, 91, 33.75, 22]], dtype=dtype)
    return camera_of(rows.unbind(-1), 64, 40)


def loop(cameras: Camera) -> list[Camera]:
    """The cameras of a batch, one by one, in floats."""
    matrices = cameras.matrix()
    return [Camera.from_matrix(matrix, cameras.width, cameras.height) for matrix in matrices]


def random(*shape: int, low: float = -1.0, high: float = 1.0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return (low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)).to(dtype)


def points_ahead(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Points [shape[0], 3, ...] in front of the camera."""
    points = random(shape[0], 3, *shape[1:], low=-4, high=4)
    points[:, 2] = points[:, 2].abs() + 1
    return points.to(dtype)


def tolerance(dtype: torch.dtype) -> dict[str, Any]:
    return {"rtol": 1e-5, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-10}


@DTYPES
def test_project_agrees_with_kornia(dtype: torch.dtype) -> None:
    cameras, points = batch(dtype), points_ahead(3, 17, dtype=dtype)
    pixels, z = cameras.project(points)
    expected = kornia.geometry.camera.project_points(points.transpose(1, 2), cameras.matrix()[:, None])
    assert pixels.dtype == z.dtype == dtype
    torch.testing.assert_close(pixels, expected.transpose(1, 2), **tolerance(dtype))
    assert torch.equal(z, points[:, 2:])


@DTYPES
def test_unproject_agrees_with_kornia(dtype: torch.dtype) -> None:
    cameras, depth = batch(dtype), random(3, 1, 40, 64, low=0.5, high=80, dtype=dtype)
    points = cameras.unproject(depth)
    expected = kornia.geometry.depth.depth_to_3d(depth, cameras.matrix())
    assert points.dtype == dtype
    torch.testing.assert_close(points, expected, **tolerance(dtype))


@DTYPES
@pytest.mark.parametrize("camera", [ONE, "batch"], ids=["one", "batch"])
def test_projecting_what_was_unprojected_returns_to_the_pixel(camera: Camera | str, dtype: torch.dtype) -> None:
    camera = batch(dtype) if isinstance(camera, str) else camera
    depth = random(3, 1, 40, 64, low=0.1, high=100, dtype=dtype)
    pixels, z = camera.project(camera.unproject(depth))
    v, u = torch.meshgrid(torch.arange(40), torch.arange(64), indexing="ij")
    torch.testing.assert_close(pixels, torch.stack([u, v]).to(dtype).expand(3, -1, -1, -1), **tolerance(dtype))
    torch.testing.assert_close(z, depth)


def test_a_batch_of_cameras_is_each_camera_by_itself() -> None:
    cameras, depth, points = batch(), random(3, 1, 40, 64, low=1, high=50), points_ahead(3, 5, 7)
    together = cameras.unproject(depth), *cameras.project(points)
    for index, one in enumerate(loop(cameras)):
        alone = one.unproject(depth[index : index + 1]), *one.project(points[index : index + 1])
        for whole, part in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[index : index + 1], part)


@pytest.mark.parametrize("shape", [(), (6,), (4, 5)], ids=["point", "list", "map"])
def test_points_may_have_any_shape(shape: tuple[int, ...]) -> None:
    points = points_ahead(3, *shape)
    pixels, z = batch().project(points)
    flat_pixels, flat_z = batch().project(points.reshape(3, 3, -1))
    assert torch.equal(pixels, flat_pixels.reshape(3, 2, *shape))
    assert torch.equal(z, flat_z.reshape(3, 1, *shape))


def test_points_behind_the_camera_stay_finite_and_tell_their_depth() -> None:
    points = torch.tensor([[[1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [-3.0, 0.0, 0.5]]], requires_grad=True)
    pixels, z = ONE.project(points, min_depth=0.1)
    pixels.sum().backward()
    assert z[0, 0].tolist() == [-3.0, 0.0, 0.5]
    # Projected as if at min_depth, where they are nearer.
    torch.testing.assert_close(pixels[0, 0], torch.tensor([60 / 0.1, 60 / 0.1, 60 / 0.5]) + 30.5)
    gradient = present(points.grad)[0]
    torch.testing.assert_close(gradient[0], ONE.fx / torch.tensor([0.1, 0.1, 0.5]))
    assert gradient[2, :2].tolist() == [0, 0]  # no gradient pulls a point through the camera


@given(cameras, sizes, sizes, st.floats(-3, 3), st.floats(-3, 3))
def test_resizing_maps_pixels_by_the_half_pixel_rule(
    camera: Camera, height: int, width: int, x: float, y: float
) -> None:
    point = torch.tensor([[x, y, 2.0]], dtype=torch.float64)
    (u, v), (u2, v2) = camera.project(point)[0][0], camera.resized(height, width).project(point)[0][0]
    # Edges of the image lie at -0.5 and W - 0.5 before and after.
    torch.testing.assert_close((u2 + 0.5) / width, (u + 0.5) / camera.width, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close((v2 + 0.5) / height, (v + 0.5) / camera.height, rtol=1e-9, atol=1e-9)


@given(cameras, st.integers(-20, 20), st.integers(-20, 20), st.floats(-3, 3), st.floats(-3, 3))
def test_cropping_moves_pixels(camera: Camera, top: int, left: int, x: float, y: float) -> None:
    point = torch.tensor([[x, y, 2.0]], dtype=torch.float64)
    (u, v), cropped = camera.project(point)[0][0], camera.cropped(top, left, 7, 9)
    torch.testing.assert_close(cropped.project(point)[0][0], torch.stack([u - left, v - top]))
    assert (cropped.height, cropped.width) == (7, 9)


@given(cameras, st.floats(-3, 3), st.floats(-3, 3))
def test_a_mirrored_camera_sees_mirrored_points_at_mirrored_pixels(camera: Camera, x: float, y: float) -> None:
    u, v = camera.project(torch.tensor([[x, y, 2.0]], dtype=torch.float64))[0][0]
    mirrored = camera.flipped().project(torch.tensor([[-x, y, 2.0]], dtype=torch.float64))[0][0]
    torch.testing.assert_close(mirrored, torch.stack([camera.width - 1 - u, v]))


@given(cameras)
def test_flipping_twice_changes_nothing(camera: Camera) -> None:
    assert astuple(camera.flipped().flipped()) == pytest.approx(astuple(camera))


@given(cameras, sizes, sizes)
def test_resizing_there_and_back_changes_nothing(camera: Camera, height: int, width: int) -> None:
    back = camera.resized(height, width).resized(camera.height, camera.width)
    assert astuple(back) == pytest.approx(astuple(camera))


def test_resizing_an_image_and_its_camera_shows_the_same_scene() -> None:
    """An image whose values are its own ray coordinates, halved by averaging, still shows the smaller camera's rays."""
    rays = ONE.unproject(torch.ones(1, 1, ONE.height, ONE.width))
    small = torch.nn.functional.interpolate(rays, size=(20, 32), mode="bilinear", align_corners=False)
    torch.testing.assert_close(small, ONE.resized(20, 32).unproject(torch.ones(1, 1, 20, 32)))


@pytest.mark.parametrize("factor", [2, 4, 3])
def test_pooling_an_image_and_its_camera_shows_the_same_scene(factor: int) -> None:
    rays = ONE.unproject(torch.ones(1, 1, ONE.height, ONE.width))
    small = torch.nn.functional.avg_pool2d(rays, factor, ceil_mode=True)
    camera = ONE.pooled(factor)
    assert (camera.height, camera.width) == small.shape[-2:]
    whole = ..., slice(ONE.height // factor), slice(ONE.width // factor)  # less the windows that the border cuts
    torch.testing.assert_close(small[whole], camera.unproject(torch.ones(1, 1, camera.height, camera.width))[whole])


def test_matrix_and_from_matrix_are_inverse() -> None:
    matrix = np.array([[60.0, 0, 30.5], [0, 55.0, 20.25], [0, 0, 1]])
    camera = Camera.from_matrix(matrix, 64, 40)
    assert astuple(camera) == astuple(ONE)
    assert all(isinstance(value, float) for value in (camera.fx, camera.fy, camera.cx, camera.cy))
    np.testing.assert_array_equal(camera.matrix(), matrix)
    matrices = batch().matrix()
    assert torch.equal(Camera.from_matrix(matrices, 64, 40).matrix(), matrices)


@pytest.mark.parametrize("form", [np.ndarray.tolist, torch.from_numpy, lambda K: torch.tensor(K, dtype=torch.float32)])
def test_a_matrix_may_be_lists_or_a_tensor(form: Callable[[np.ndarray], Any]) -> None:
    matrix = np.array([[60.0, 0, 30.5], [0, 55.0, 20.25], [0, 0, 1]])
    assert astuple(Camera.from_matrix(form(matrix), 64, 40)) == astuple(ONE)


def test_rounding_of_a_matrix_is_no_skew() -> None:
    matrix = np.array([[60.0, 1e-4, 30.5], [-1e-4, 55.0, 20.25], [0, 1e-9, 1 + 1e-9]])
    assert astuple(Camera.from_matrix(matrix, 64, 40)) == astuple(ONE)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (2 * ONE.matrix(), "last row of a camera matrix K is 0 0 1; found 0 0 2; divide K by K"),
        (ONE.matrix().T, "found 30.5 20.25 1"),
        ([[60, 30, 30.5], [0, 55, 20.25], [0, 0, 1]], "no skew, but K.0, 1. is 30 and K.1, 0. 0; rectify"),
        ([[60, np.nan, 30.5], [0, 55, 20.25], [0, 0, 1]], "no skew, but K.0, 1. is nan"),
        ([[np.nan, 0, 30.5], [0, 55, 20.25], [0, 0, 1]], "fx is nan"),
        (np.eye(4), r"array \[3, 3\], or a tensor \[B, 3, 3\] for a batch; found \[4, 4\]"),
        (np.eye(4)[:3], r"found \[3, 4\]"),
        (np.eye(3)[None], r"found \[1, 3, 3\]"),
        (torch.eye(4)[None], r"found \[1, 4, 4\]"),
        ([60.0, 55.0, 30.5, 20.25], r"found \[4\]"),
    ],
)
def test_a_matrix_that_no_pinhole_camera_has_is_refused(matrix: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        Camera.from_matrix(matrix, 64, 40)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("number", [float, np.float32])
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("fx", [np.nan, np.inf, 0, -60]),
        ("fy", [np.nan, np.inf, 0, -55]),
        ("cx", [np.nan, np.inf, -np.inf]),
        ("cy", [np.nan, np.inf, -np.inf]),
    ],
)
def test_intrinsics_that_no_camera_has_are_refused(name: str, values: list[float], number: type) -> None:
    for value in values:
        with pytest.raises(InputError, match=f"a camera's {name} is {value:g}; give a number of pixels"):
            replace(ONE, **{name: number(value)})


@pytest.mark.parametrize("side", ["width", "height"])
@pytest.mark.parametrize("pixels", [0, -3, 2.5, np.nan, np.inf])
def test_sizes_that_no_image_has_are_refused(side: str, pixels: Any) -> None:
    with pytest.raises(InputError, match="give whole numbers, at least 1"):
        replace(ONE, **{side: pixels})


@given(st.floats(1, 179))
def test_the_field_of_view_is_the_stated_one(fov: float) -> None:
    assert Camera.from_fov(fov, 64, 40).fov() == pytest.approx(fov)


@pytest.mark.parametrize("fov", [0, 180, 200, -60, np.nan, np.inf])
def test_a_field_of_view_that_no_pinhole_camera_has_is_refused(fov: float) -> None:
    with pytest.raises(InputError, match=f"field of view is {fov:g} degrees; give degrees above 0 and below 180"):
        Camera.from_fov(fov, 640, 192)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((40, 64), r"depth has shape \[B, 1, H, W\]; found \[40, 64\]; of one map \[H, W\], give depth"),
        ((2, 40, 64), r"found \[2, 40, 64\]"),
        ((2, 3, 40, 64), r"found \[2, 3, 40, 64\]"),
        ((2, 1, 20, 32), "for 64x40 pixels, but the depth map has 32x20; give the camera of this depth map"),
        ((2, 1, 64, 40), "for 64x40 pixels, but the depth map has 40x64"),
    ],
)
def test_depth_of_another_shape_is_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ONE.unproject(torch.ones(shape))


def test_gradients_of_project() -> None:
    def project(points: Tensor, *intrinsics: Tensor) -> tuple[Tensor, Tensor]:
        return camera_of(intrinsics, 64, 40).project(points)

    intrinsics = batch().matrix()[:, [0, 1, 0, 1], [0, 1, 2, 2]].unbind(-1)
    inputs = [tensor.clone().requires_grad_() for tensor in (points_ahead(3, 4), *intrinsics)]
    assert gradcheck(project, inputs)


def test_gradients_of_unproject() -> None:
    def unproject(depth: Tensor, *intrinsics: Tensor) -> Tensor:
        return camera_of(intrinsics, 5, 4).unproject(depth)

    intrinsics = batch().matrix()[:, [0, 1, 0, 1], [0, 1, 2, 2]].unbind(-1)
    depth = random(3, 1, 4, 5, low=1, high=9)
    assert gradcheck(unproject, [tensor.clone().requires_grad_() for tensor in (depth, *intrinsics)])
