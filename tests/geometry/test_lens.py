"""Lenses against OpenCV, closed forms and autograd."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.lens import (
    MAX_FOV,
    BrownConrady,
    KannalaBrandt,
    Lens,
    fields_of_view,
    ideal_camera,
    make_lens,
    source_pixels,
)

CAMERA = Camera(300.0, 304.0, 322.5, 181.0, width=640, height=376)
K = np.array([[300.0, 0, 322.5], [0, 304.0, 181.0], [0, 0, 1]])
LENSES: dict[str, Lens] = {
    "4 coefficients": BrownConrady(-0.3, 0.09, 0.001, -0.002),
    "5 coefficients": BrownConrady(-0.35, 0.15, 0.0005, 0.001, -0.03),  # stops growing at 56.6 degrees
    "8 coefficients": BrownConrady(8.0, 3.0, 1e-4, -1e-4, 0.1, 8.3, 5.0, 0.7),
    "pincushion": BrownConrady(0.2, 0.05, -0.001, 0.002, 0.01),
    "fisheye": KannalaBrandt(-0.02, 0.004, -0.002, 0.0003),
    "equidistant": KannalaBrandt(),
}
PIXELS = 0.01  # pixels: agreement with OpenCV


@pytest.fixture(params=LENSES)
def lens(request: pytest.FixtureRequest) -> Lens:
    return LENSES[request.param]


def coefficients(lens: Lens) -> np.ndarray:
    return np.array([float(value) for value in lens.coefficients])


def grid(reach: float = 1.2, count: int = 41) -> Tensor:
    """Pinhole coordinates on a grid: [N, 2]."""
    line = torch.linspace(-reach, reach, count, dtype=torch.float64)
    return torch.cartesian_prod(line, line)


def image_pixels(camera: Camera, step: int = 1) -> Tensor:
    """All pixels of an image, or every `step`-th: [h, w, 2] as (u, v)."""
    v, u = torch.meshgrid(
        torch.arange(0, camera.height, step, dtype=torch.float64),
        torch.arange(0, camera.width, step, dtype=torch.float64),
        indexing="ij",
    )
    return torch.stack([u, v], -1)


# --- points -------------------------------------------------------------------------------------------------------


def test_distort_is_opencvs(lens: Lens) -> None:
    x = grid()
    points = np.concatenate([x.numpy(), np.ones((len(x), 1))], axis=1)[:, None]
    zero = np.zeros(3)
    if isinstance(lens, KannalaBrandt):
        expected, _ = cv2.fisheye.projectPoints(points, zero, zero, K, coefficients(lens))
    else:
        expected, _ = cv2.projectPoints(points, zero, zero, K, coefficients(lens))
    found = lens.distort(x).numpy() * [300, 304] + [322.5, 181]
    np.testing.assert_allclose(found, expected[:, 0], atol=1e-8, rtol=1e-10)


def test_undistort_is_opencvs(lens: Lens) -> None:
    x = grid(reach=0.55)  # beyond it, OpenCV's own iteration is not exact
    raw = lens.distort(x).numpy() * [300, 304] + [322.5, 181]
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-12)
    if isinstance(lens, KannalaBrandt):
        expected = cv2.fisheye.undistortPoints(raw[:, None], K, coefficients(lens), criteria=criteria)
    else:
        expected = cv2.undistortPoints(raw[:, None], K, coefficients(lens), criteria=criteria)
    found, valid = lens.undistort((torch.from_numpy(raw) - torch.tensor([322.5, 181])) / torch.tensor([300.0, 304]))
    assert valid.all()
    assert np.abs((found.numpy() - expected[:, 0]) * 300).max() < PIXELS


def test_undistort_inverts_distort_within_the_valid_radius(lens: Lens) -> None:
    x = grid(reach=4.0)
    inside = lens.is_valid(x)
    found, valid = lens.undistort(lens.distort(x)[inside])
    assert inside.sum() > 100
    assert valid.all()
    torch.testing.assert_close(found, x[inside], atol=1e-6, rtol=1e-6)


@given(
    k1=st.floats(-0.5, 0.5),
    k2=st.floats(-0.3, 0.3),
    k3=st.floats(-0.1, 0.1),
    p=st.floats(-0.005, 0.005),
    fisheye=st.booleans(),
    seed=st.integers(0, 100),
)
def test_a_valid_ray_returns_and_an_invalid_one_is_never_taken_for_another(
    k1: float, k2: float, k3: float, p: float, fisheye: bool, seed: int
) -> None:
    lens = KannalaBrandt(k1, k2, k3, p) if fisheye else BrownConrady(k1, k2, p, -p, k3)
    distorted = 3 * torch.rand(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) - 1.5
    x, valid = lens.undistort(distorted)
    assert (x.isnan().any(-1) == ~valid).all()
    assert lens.is_valid(x[valid]).all()
    torch.testing.assert_close(lens.distort(x[valid]), distorted[valid], atol=1e-8, rtol=1e-8)
    rays = 0.999 * lens.max_radius * torch.rand(200, dtype=torch.float64)
    x = torch.stack([rays.clamp(max=3.0), torch.zeros_like(rays)], -1)
    x = x[lens.is_valid(x)]
    again, valid = lens.undistort(lens.distort(x))
    assert valid.all()
    torch.testing.assert_close(again, x, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("lens", "radius"),
    [
        (BrownConrady(-1 / 3), 1.0),  # r - r^3 / 3 is largest at 1
        (BrownConrady(k4=0.25), 2.0),  # r / (1 + r^2 / 4) is largest at 2
        (BrownConrady(k4=-1.0), 1.0),  # the denominator is 0 at 1
        (BrownConrady(0.1), math.tan(math.radians(89))),  # grows for ever
        (KannalaBrandt(-1 / 3), math.tan(1.0)),  # t - t^3 / 3 is largest at 1
    ],
)
def test_the_radius_at_which_the_model_ends(lens: Lens, radius: float) -> None:
    assert lens.max_radius == pytest.approx(radius, rel=1e-6)
    x = torch.tensor([[0.999 * radius, 0.0], [1.001 * radius, 0.0]], dtype=torch.float64)
    assert lens.is_valid(x).tolist() == [True, False]


def test_coordinates_that_no_ray_reaches_are_invalid() -> None:
    lens = BrownConrady(-1 / 3)  # reaches 2/3 at most
    x, valid = lens.undistort(torch.tensor([[0.66, 0.0], [0.67, 0.0], [0.0, -2.0]], dtype=torch.float64))
    assert valid.tolist() == [True, False, False]
    assert x[1:].isnan().all()
    assert x[0, 0] < 1


def test_float32_is_taken(lens: Lens) -> None:
    x = grid(reach=0.5, count=11).float()
    found, valid = lens.undistort(lens.distort(x))
    assert found.dtype == torch.float32
    assert valid.all()
    torch.testing.assert_close(found, x, atol=1e-5, rtol=1e-5)


# --- derivatives --------------------------------------------------------------------------------------------------


def test_the_jacobian_is_that_of_autograd(lens: Lens) -> None:
    x = grid(count=7)
    expected = torch.stack([torch.autograd.functional.jacobian(lens.distort, point) for point in x])
    torch.testing.assert_close(lens.jacobian(x), expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("kind", ["brown_conrady", "kannala_brandt"])
def test_gradients_in_coordinates_and_coefficients(kind: str) -> None:
    count = 8 if kind == "brown_conrady" else 4
    values = torch.linspace(-0.08, 0.05, count, dtype=torch.float64).requires_grad_()
    x = torch.tensor([[0.3, -0.2], [-0.5, 0.4], [0.1, 0.6]], dtype=torch.float64).requires_grad_()
    model = type(make_lens(kind, (0.0,) * count))
    assert torch.autograd.gradcheck(lambda x, values: model(*values).distort(x), (x, values))
    assert torch.autograd.gradcheck(lambda x, values: model(*values).undistort(x)[0], (x, values))


def test_gradients_stay_finite_at_the_center_and_beyond_the_model() -> None:
    for lens_of in (lambda k: BrownConrady(k), lambda k: KannalaBrandt(k)):
        k = torch.tensor(-1 / 3, dtype=torch.float64, requires_grad=True)
        distorted = torch.tensor([[0.0, 0.0], [0.3, 0.1], [5.0, 0.0]], dtype=torch.float64, requires_grad=True)
        x, valid = lens_of(k).undistort(distorted)
        x[valid].sum().backward()
        assert valid.tolist() == [True, True, False]
        assert k.grad is not None
        assert k.grad.isfinite()
        assert distorted.grad is not None
        torch.testing.assert_close(distorted.grad[0], torch.ones(2, dtype=torch.float64))


# --- images -------------------------------------------------------------------------------------------------------


def test_the_pinhole_image_holds_known_pixels_alone_and_is_as_wide_as_that_allows(lens: Lens) -> None:
    ideal = ideal_camera(CAMERA, lens)
    assert ideal is not None
    assert (ideal.width, ideal.height, ideal.cx, ideal.cy) == (640, 376, 322.5, 181)
    assert ideal.fy / ideal.fx == pytest.approx(304 / 300)
    _, valid = source_pixels(CAMERA, lens, ideal, image_pixels(CAMERA))
    assert valid.all()
    wider = Camera(0.99 * ideal.fx, 0.99 * ideal.fy, 322.5, 181.0, 640, 376)
    assert not source_pixels(CAMERA, lens, wider, image_pixels(CAMERA))[1].all()


def test_the_map_of_the_image_is_opencvs(lens: Lens) -> None:
    ideal = ideal_camera(CAMERA, lens)
    assert ideal is not None
    P = ideal.matrix().numpy()
    init = cv2.fisheye.initUndistortRectifyMap if isinstance(lens, KannalaBrandt) else cv2.initUndistortRectifyMap
    u, v = init(K, coefficients(lens), np.eye(3), P, (640, 376), cv2.CV_32FC1)
    found, _ = source_pixels(CAMERA, lens, ideal, image_pixels(CAMERA))
    assert np.abs(found.numpy() - np.stack([u, v], -1)).max() < PIXELS


def test_a_wide_fisheye_is_cut_to_the_largest_field_of_view() -> None:
    wide = Camera(200.0, 200.0, 319.5, 319.5, width=640, height=640)  # 183 degrees across
    ideal = ideal_camera(wide, KannalaBrandt())
    assert ideal is not None
    assert fields_of_view(ideal) == pytest.approx((MAX_FOV, MAX_FOV), abs=1e-6)
    assert KannalaBrandt().field_of_view(wide) == pytest.approx((183.35, 183.35), abs=0.01)


def test_the_field_of_view_of_a_distorted_image() -> None:
    camera = Camera.from_fov(90, 640, 640)
    lens = BrownConrady(0.1)
    right, valid = lens.undistort(torch.tensor([1.0, 0.0], dtype=torch.float64))
    assert valid
    assert lens.field_of_view(camera)[0] == pytest.approx(2 * math.degrees(math.atan(float(right[0]))))
    assert BrownConrady(-1 / 3).field_of_view(camera)[0] == pytest.approx(90)  # the model ends at a radius of 1


def test_a_lens_that_folds_near_the_axis_leaves_no_image() -> None:
    assert ideal_camera(CAMERA, BrownConrady(-1e5)) is None


@pytest.mark.parametrize(
    ("kind", "count", "part"),
    [("brown_conrady", 6, "4 or 5 or 8"), ("kannala_brandt", 5, "4 coefficients"), ("fov", 1, "no lens model")],
)
def test_lenses_that_do_not_exist(kind: str, count: int, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        make_lens(kind, (0.1,) * count)
