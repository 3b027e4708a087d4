"""The photometric term: against a plain formulation, gradients in float64, masks, switches, what is shared."""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from batches import make_batch, make_outputs
from torch import Tensor

from packdepth.geometry.warp import synthesize
from packdepth.objectives import photometric
from packdepth.objectives.photometric import Photometric, clipped, combine, photometric_error
from packdepth.objectives.scales import enlarged, reduced
from packdepth.records import Batch, Outputs


def plain_error(x: Tensor, y: Tensor) -> Tensor:
    """Equation 2 of two images [B, 3, H, W], as the reference computes it: [B, 1, H, W]."""

    def mean(images: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="reflect"), 3, stride=1)

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    ssim = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    return (0.85 * ((1 - ssim) / 2).clamp(0, 1) + 0.15 * (x - y).abs()).mean(1, keepdim=True)


def plain_loss(term: Photometric, outputs: Outputs, batch: Batch) -> Tensor:
    """The term with everything computed anew for each context frame and scale."""
    losses, levels = [], list(outputs.inv_depths)
    if term.scales == "pyramid":
        levels.append(F.avg_pool2d(levels[-1], 2, ceil_mode=True))
    for s, inv_depth in enumerate(levels):
        image, context, camera = batch.image, batch.context, batch.camera
        if term.scales == "full":
            inv_depth = enlarged(inv_depth, s, *image.shape[-2:])
        else:
            image, context, camera = reduced(image, s), reduced(context, s), camera.pooled(2**s)
        moved, unmoved, valid = [], [], []
        for i in range(context.shape[1]):
            view = synthesize(context[:, i], 1 / inv_depth, outputs.T_context_target[:, i], camera)
            moved.append(plain_error(view.image, image))
            unmoved.append(plain_error(context[:, i], image))
            valid.append(view.valid)
        candidates = [torch.cat(moved, 1), torch.cat(unmoved, 1)][: 2 if term.automask else 1]
        combined = [combine(errors, torch.cat(valid, 1), term.minimum) for errors in candidates]
        error, seen = torch.stack([error for error, _ in combined]).amin(0), combined[0][1]
        losses.append(torch.stack([e[v].mean() for e, v in zip(error, seen, strict=True)]).mean())
    return torch.stack(losses).mean()


@pytest.mark.parametrize("scales", ["full", "own", "pyramid"])
@pytest.mark.parametrize("minimum", [True, False])
@pytest.mark.parametrize("automask", [True, False])
def test_value_and_gradients_are_those_of_the_plain_formulation(scales: str, minimum: bool, automask: bool) -> None:
    batch = make_batch(height=24, width=40, dtype=torch.float64)
    outputs = make_outputs(batch)
    inputs = [tensor.requires_grad_() for tensor in (*outputs.inv_depths, outputs.T_context_target)]
    term = Photometric(minimum=minimum, automask=automask, scales=scales)
    found, expected = term(outputs, batch), plain_loss(term, outputs, batch)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    gradients = [torch.autograd.grad(loss, inputs) for loss in (found, expected)]
    for ours, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-8, atol=1e-12)


def test_the_pyramid_of_one_scale_goes_down_to_a_sixteenth() -> None:
    batch = make_batch(height=64, width=96)
    (inv_depth, *_), T = make_outputs(batch).inv_depths, make_outputs(batch).T_context_target
    levels = [inv_depth]
    for _ in range(4):
        levels.append(F.avg_pool2d(levels[-1], 2))
    found = Photometric(scales="pyramid")(Outputs([inv_depth], T), batch)
    torch.testing.assert_close(found, Photometric(scales="own")(Outputs(levels, T), batch))


def test_what_networks_do_not_change_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of the unmoved context once for all scales at full resolution, and without a graph."""
    calls: list[bool] = []

    def counted(images: Tensor, *arguments: Any) -> Tensor:
        errors = photometric_error(images, *arguments)
        calls.append(errors.requires_grad)
        return errors

    monkeypatch.setattr(photometric, "photometric_error", counted)
    batch = make_batch()
    batch = replace(batch, context=batch.context.requires_grad_())
    outputs = make_outputs(batch)
    outputs.T_context_target.requires_grad_()
    for scales, expected in (("full", [False, *4 * [True]]), ("own", 4 * [False, True])):
        calls.clear()
        Photometric(scales=scales)(outputs, batch)
        assert calls == expected


def test_error_is_zero_for_equal_images_and_bounded() -> None:
    x, y = torch.rand(2, 2, 3, 9, 11)
    error = photometric_error(torch.stack([x, y], dim=1), x)
    assert error.shape == (2, 2, 9, 11)
    assert error[:, 0].max() == 0
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


@pytest.mark.parametrize("scales", ["full", "own", "pyramid"])
@pytest.mark.parametrize("minimum", [True, False])
@pytest.mark.parametrize("automask", [True, False])
def test_gradients_in_float64(scales: str, minimum: bool, automask: bool) -> None:
    batch = make_batch(size=1, height=8, width=8, dtype=torch.float64)
    outputs = make_outputs(batch, scales=2)
    term = Photometric(minimum=minimum, automask=automask, scales=scales)

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
        single.append(term(one, batch.map(itemgetter(slice(i, i + 1)))))
    torch.testing.assert_close(term(outputs, batch), torch.stack(single).mean())


@pytest.mark.parametrize("size", [(16, 24), (13, 21)])
def test_scales_meet_images_of_any_size(size: tuple[int, int]) -> None:
    batch = make_batch(height=size[0], width=size[1])
    for scales in ("full", "own"):
        term, outputs = Photometric(scales=scales), make_outputs(batch)
        torch.testing.assert_close(term(outputs, batch), plain_loss(term, outputs, batch))


def test_the_reference_counts_pixels_out_of_view() -> None:
    batch = make_batch()
    away = torch.eye(4).repeat(2, 2, 1, 1)
    away[..., 0, 3] = 1e6  # metres: nothing of the target is in view
    outputs = Outputs(make_outputs(batch).inv_depths, away)
    black = photometric_error(torch.zeros_like(batch.context), batch.image).mean()
    loss = Photometric(automask=False, convention="reference")(outputs, batch)
    torch.testing.assert_close(loss, black)
    bordered = Photometric(automask=False, convention="reference", padding="border")(outputs, batch)
    assert (bordered - black).abs() > 0.01


def test_clipping_cuts_off_the_largest_errors_of_each_context_frame() -> None:
    errors = torch.rand(2, 3, 5, 7, dtype=torch.float64)
    limits = [float(errors[:, i].mean() + 0.5 * errors[:, i].std()) for i in range(3)]
    expected = torch.stack([errors[:, i].clamp(max=limit) for i, limit in enumerate(limits)], 1)
    torch.testing.assert_close(clipped(errors, 0.5), expected)
    assert (expected < errors).any()
