"""The height of the camera as a term: closed form, gradients, robustness."""

from __future__ import annotations

from dataclasses import replace
from math import log

import pytest
import torch
from batches import make_batch, make_outputs
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from packdepth.config import parse_run
from packdepth.data.fields import FIELDS
from packdepth.errors import InputError
from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.objectives import CameraHeight, Objective, Velocity
from packdepth.objectives.camera_height import camera_height_loss
from packdepth.records import Batch, Outputs

HEIGHT, WIDTH, FOCAL = 48, 96, 60.0


def cameras(count: int) -> Camera:
    ones = torch.ones(count, dtype=torch.float64)
    return Camera(FOCAL * ones, FOCAL * ones, (WIDTH - 1) / 2 * ones, (HEIGHT - 1) / 2 * ones, WIDTH, HEIGHT)


def street(*heights: float) -> Tensor:
    """Inverse depth [B, 1, H, W] of level roads below cameras at several heights, at most 60 m away."""
    y = cameras(1).unproject(torch.ones(1, 1, HEIGHT, WIDTH, dtype=torch.float64))[:, 1:2]
    return torch.cat([(y / height).clamp(min=1 / 60) for height in heights])


def wall(count: int = 1) -> Tensor:
    return torch.full((count, 1, HEIGHT, WIDTH), 1 / 6, dtype=torch.float64)


def ahead(count: int, metres: float = 1.0) -> Tensor:
    """T_context_target [B, 2, 4, 4] to the frames before and after, `metres` apart."""
    vectors = torch.zeros(count, 2, 6, dtype=torch.float64)
    vectors[:, 0, 2], vectors[:, 1, 2] = metres, -metres
    return se3.from_vector(vectors)


def known(*heights: float) -> Tensor:
    return torch.tensor(heights, dtype=torch.float64)


def test_the_loss_is_the_mean_logarithm_of_the_ratio_of_heights() -> None:
    loss = camera_height_loss(street(1.5, 3.0, 0.75), ahead(3), cameras(3), known(1.5, 1.5, 1.5))
    assert loss.item() == pytest.approx((0 + log(2) + log(2)) / 3, rel=1e-6)


def test_a_sample_without_a_road_or_motion_counts_as_zero_and_has_no_gradient() -> None:
    inv_depth = torch.cat([street(3.0), wall(), street(3.0)])
    T = torch.cat([ahead(2), ahead(1, 0.01)]).requires_grad_()
    loss = camera_height_loss(inv_depth, T, cameras(3), known(1.5, 1.5, 1.5))
    assert loss.item() == pytest.approx(log(2) / 3, rel=1e-6)
    loss.backward()
    assert T.grad is not None
    assert [bool(each.any()) for each in T.grad] == [True, False, False]


@pytest.mark.parametrize(("height", "pull"), [(3.0, 1.0), (0.75, -1.0), (1.5 * 1.05, log(1.05) / 0.1), (1.5, 0.0)])
def test_the_gradient_pulls_the_logarithm_of_the_length_alone(height: float, pull: float) -> None:
    inv_depth, T = street(height).requires_grad_(), ahead(1).requires_grad_()
    (to_depth, to_motion) = torch.autograd.grad(
        camera_height_loss(inv_depth, T, cameras(1), known(1.5)), (inv_depth, T), allow_unused=True
    )
    assert to_depth is None
    along = (to_motion[..., :3, 3] * T[..., :3, 3]).sum()  # the derivative by the logarithm of the length
    assert along.item() == pytest.approx(pull, abs=1e-6)


def test_the_pull_passes_gradcheck_where_the_road_is_fixed() -> None:
    T = ahead(1).requires_grad_()

    def pull(T: Tensor) -> Tensor:
        return T[0, 0, :3, 3].norm().log()

    assert torch.autograd.gradcheck(pull, T)
    (gradient,) = torch.autograd.grad(camera_height_loss(street(3.0), T, cameras(1), known(1.5)), T)
    (expected,) = torch.autograd.grad(pull(T), T)
    assert torch.allclose(gradient, expected)


@given(st.floats(0.2, 5.0))
def test_depth_motion_and_known_height_scaled_together_change_nothing(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    inv_depth = street(2.0, 1.2) * (1 + 0.01 * torch.randn(2, 1, HEIGHT, WIDTH, generator=generator).double())
    one, other = (
        camera_height_loss(inv_depth / s, ahead(2, s), cameras(2), s * known(1.5, 1.6)).item() for s in (1.0, scale)
    )
    assert one == pytest.approx(other, rel=1e-9)


def test_descent_along_the_gradient_reaches_the_height() -> None:
    """Depth follows the length of the motion, as view synthesis makes it do."""
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([scale], lr=0.02)
    still = torch.eye(4, dtype=torch.float64)
    for _ in range(150):
        optimizer.zero_grad()
        T = still + scale * (ahead(1) - still)
        camera_height_loss(street(1.5) / scale.detach(), T, cameras(1), known(1.5)).backward()
        optimizer.step()
    assert scale.item() == pytest.approx(1.0, abs=0.01)


def batch_and_outputs(*heights: float) -> tuple[Batch, Outputs]:
    batch = make_batch(len(heights), HEIGHT, WIDTH, torch.float64)
    outputs = make_outputs(batch)
    inv_depths = [street(*heights), *outputs.inv_depths[1:]]
    return replace(batch, camera=cameras(len(heights))), Outputs(inv_depths, ahead(len(heights)))


def test_the_height_comes_from_the_option_or_from_each_clip() -> None:
    batch, outputs = batch_and_outputs(1.5, 1.5)
    assert CameraHeight(height_m=3.0)(outputs, batch).item() == pytest.approx(log(2), rel=1e-6)
    per_clip = replace(batch, camera_height=known(1.5, 3.0))
    assert CameraHeight()(outputs, per_clip).item() == pytest.approx(log(2) / 2, rel=1e-6)
    assert CameraHeight(height_m=3.0).needs == ()
    assert CameraHeight().needs == ("camera_height",)


def test_it_combines_with_speed() -> None:
    batch, outputs = batch_and_outputs(1.5, 3.0)
    objective = Objective((CameraHeight(height_m=1.5), Velocity(weight=0.05, impose=True)))
    assert objective.metric_from == {"camera_height", "distance"}
    _, values = objective(outputs, batch)
    assert values["camera_height"].item() == pytest.approx(log(2) / 2, rel=1e-6)
    assert values["velocity"].item() == pytest.approx(0.0, abs=1e-9)


def test_it_makes_depth_metric_from_the_camera_height() -> None:
    assert Objective((CameraHeight(),)).metric_from == {"camera_height"}
    assert FIELDS["camera_height"].scale is not None
    assert FIELDS["camera_height"].scale([], None) == "camera height"
    assert Objective((CameraHeight(weight=0),)).metric_from == frozenset()


def test_it_needs_context_frames() -> None:
    values = {
        "data": {"train": [{"kind": "folder", "root": "/clips"}], "image_size": [32, 64], "context": []},
        "networks": {"depth": {"kind": "packnet", "preset": "tiny"}},
        "objective": [{"kind": "camera_height", "height_m": 1.5}],
        "training": {"epochs": 1},
    }
    with pytest.raises(InputError, match=r"'camera_height' needs context frames, but data\.context is empty"):
        parse_run(values, "run.yaml")
