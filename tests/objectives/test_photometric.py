"""The photometric term: SSIM against kornia, gradients in float64, masks and switches."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from batches import make_batch, make_outputs
from scipy.ndimage import uniform_filter
from torch import Tensor

from packdepth.objectives.photometric import Photometric, combine, photometric_error, pooled, ssim_distance
from packdepth.records import Outputs


def test_ssim_is_that_of_scipys_windows() -> None:
    x, y = torch.rand(2, 2, 3, 12, 15, dtype=torch.float64)

    def mean(values: Tensor) -> Tensor:
        return torch.from_numpy(uniform_filter(values.numpy(), size=(0, 0, 3, 3), mode="mirror"))

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    ssim = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    torch.testing.assert_close(ssim_distance(x[:, None], y)[:, 0], ((1 - ssim) / 2).clamp(0, 1))


def test_error_is_zero_for_equal_images_and_bounded() -> None:
    x, y = torch.rand(2, 2, 3, 9, 11)
    error = photometric_error(torch.stack([x, y], dim=1), x)
    assert error.shape == (2, 2, 9, 11)
    assert error[:, 0].abs().max() < 1e-3  # float32 rounding over the constant 9e-4
    assert error[:, 1].min() > 0
    assert error.max() <= 1
    torch.testing.assert_close(photometric_error(y[:, None], x, ssim=0.0)[:, 0], (x - y).abs().mean(1))


def test_combination_over_context_frames() -> None:
    errors = torch.tensor([[0.2, 0.6], [0.4, 0.1], [0.9, 0.3]]).T.reshape(1, 2, 1, 3)
    valid = torch.tensor([[True, True], [True, False], [False, False]]).T.reshape(1, 2, 1, 3)
    least, seen = combine(errors, valid, minimum=True)
    mean, _ = combine(errors, valid, minimum=False)
    torch.testing.assert_close(least, torch.tensor([0.2, 0.4, 0.0]).view(1, 1, 1, 3))
    torch.testing.assert_close(mean, torch.tensor([0.4, 0.4, 0.0]).view(1, 1, 1, 3))
    assert seen.flatten().tolist() == [True, True, False]


@pytest.mark.parametrize("scales", ["full", "own"])
@pytest.mark.parametrize("minimum", [True, False])
@pytest.mark.parametrize("automask", [True, False])
def test_gradients_in_float64(scales: str, minimum: bool, automask: bool) -> None:
    batch = make_batch(size=1, height=8, width=8, dtype=torch.float64)
    outputs = make_outputs(batch, scales=2)
    term = Photometric(minimum=minimum, automask=automask, scales=scales)  # type: ignore[arg-type]

    def loss(fine: Tensor, coarse: Tensor, T: Tensor) -> Tensor:
        return term(Outputs([fine, coarse], T), batch)

    inputs = [tensor.requires_grad_() for tensor in (*outputs.inv_depths, outputs.T_context_target)]
    assert torch.autograd.gradcheck(loss, inputs, eps=1e-7, atol=1e-5)


def test_a_still_camera_is_masked_out() -> None:
    batch = make_batch()
    batch = replace(batch, context=batch.image[:, None].repeat(1, 2, 1, 1, 1))
    outputs = make_outputs(batch)
    for inv_depth in outputs.inv_depths:
        inv_depth.requires_grad_()
    Photometric()(outputs, batch).backward()
    assert all(inv_depth.grad is not None and inv_depth.grad.abs().max() == 0 for inv_depth in outputs.inv_depths)
    Photometric(automask=False)(outputs, batch).backward()
    assert all(inv_depth.grad is not None and inv_depth.grad.abs().max() > 0 for inv_depth in outputs.inv_depths)


def test_minimum_ignores_a_context_frame_that_shows_something_else() -> None:
    batch = make_batch()
    still = Outputs(make_outputs(batch).inv_depths, torch.eye(4).expand(2, 2, 4, 4))
    context = torch.stack([batch.image, torch.rand_like(batch.image)], dim=1)
    batch = replace(batch, context=context)
    assert Photometric(automask=False)(still, batch) < 1e-3
    assert Photometric(automask=False, minimum=False)(still, batch) > 0.1


def test_pixels_out_of_view_do_not_count() -> None:
    batch = make_batch()
    away = torch.eye(4).repeat(2, 2, 1, 1)
    away[..., 0, 3] = 1e6  # metres: nothing of the target is in view
    outputs = Outputs(make_outputs(batch).inv_depths, away)
    assert Photometric()(outputs, batch) == 0


def test_the_batch_is_the_mean_of_its_samples() -> None:
    batch, term = make_batch(size=3), Photometric()
    outputs = make_outputs(batch)
    single = []
    for i in range(3):
        one = Outputs([inv_depth[i : i + 1] for inv_depth in outputs.inv_depths], outputs.T_context_target[i : i + 1])
        single.append(term(one, batch.map(lambda tensor, i=i: tensor[i : i + 1])))
    torch.testing.assert_close(term(outputs, batch), torch.stack(single).mean())


@pytest.mark.parametrize("size", [(16, 24), (13, 21)])
def test_scales_meet_images_of_any_size(size: tuple[int, int]) -> None:
    batch = make_batch(height=size[0], width=size[1])
    for scales in ("full", "own"):
        assert Photometric(scales=scales)(make_outputs(batch), batch).isfinite()  # type: ignore[arg-type]


def test_pooling_averages_what_there_is() -> None:
    image = torch.arange(15.0).view(1, 1, 3, 5)
    assert pooled(image, 2)[0, 0].tolist() == [[3.0, 5.0, 6.5], [10.5, 12.5, 14.0]]
    stack = torch.rand(2, 4, 3, 8, 8)
    torch.testing.assert_close(pooled(stack, 4)[1, 2], F.avg_pool2d(stack[1, 2], 4))
