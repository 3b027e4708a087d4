"""Agreement with a teacher: invariances, exact zeros, gradients, unknown pixels, and the fading weight."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from batches import make_batch, make_outputs
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from packdepth.objectives import Objective, Smoothness, Teacher
from packdepth.objectives.teacher import (
    gradient_matching,
    masked_median,
    metric_residual,
    relative_residual,
    spread,
    teacher_loss,
)
from packdepth.records import Outputs

scales, shifts, seeds = st.floats(0.01, 100), st.floats(-10, 10), st.integers(0, 1000)


def pair(seed: int = 0, size: int = 2, height: int = 8, width: int = 16) -> tuple[Tensor, Tensor]:
    """Inverse depth of a student and of a teacher."""
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.rand(2, size, 1, height, width, generator=generator, dtype=torch.float64)
    return first + 0.1, second


def with_holes(teacher: Tensor) -> Tensor:
    holes = teacher.clone()
    holes[:, :, :2, 3:7] = torch.nan
    return holes


@settings(max_examples=20, deadline=None)
@given(seeds, scales, shifts, scales)
def test_scale_and_shift_of_the_teacher_and_scale_of_the_student_change_nothing(
    seed: int, scale: float, shift: float, own: float
) -> None:
    p, t = pair(seed)
    t = with_holes(t)
    for gradients in (0.0, 0.5):
        expected = teacher_loss(p, t, False, gradients)
        torch.testing.assert_close(teacher_loss(own * p, scale * t + shift, False, gradients), expected)


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(0.01, 1), st.floats(0, 2))
def test_the_loss_is_zero_if_the_shape_is_that_of_the_teacher(seed: int, scale: float, shift: float) -> None:
    _, t = pair(seed)
    assert teacher_loss(scale * t + shift * scale, t, False, 0.5).max() < 1e-9
    assert teacher_loss(t, t, True, 0.5).max() == 0


def test_the_loss_is_not_zero_for_another_shape_or_an_inverted_one() -> None:
    p, t = pair()
    assert teacher_loss(p, t, False, 0).min() > 0.1
    assert teacher_loss(2 - t, t, False, 0).min() > 1  # near and far exchanged
    one = t.clone()
    one[..., 0, 0] += 0.5
    assert teacher_loss(one, t, False, 0).min() > 0
    assert teacher_loss(1.1 * t, t, True, 0).min() > 0.01  # metric: scale and shift count
    assert teacher_loss(t + 0.1, t, True, 0).min() > 0.01


def test_wrong_pixels_of_the_teacher_do_not_move_the_others() -> None:
    _, t = pair(size=1)
    p, wrong = 0.3 * t + 0.2, t.clone()
    wrong[..., 0, :4] = 3.0
    residual, _ = relative_residual(p, wrong, torch.ones_like(wrong, dtype=torch.bool))
    right = residual[..., 1:, :].abs()
    assert right.max() < residual[..., 0, :4].abs().min() / 3
    assert masked_median(residual, torch.ones_like(residual, dtype=torch.bool)) == 0


@pytest.mark.parametrize("metric", [False, True])
def test_gradient_in_float64(metric: bool) -> None:
    p, t = pair(height=6, width=9)
    p.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: teacher_loss(x, with_holes(t), metric, 0.5), p)


def test_the_gradient_changes_neither_scale_nor_shift_of_the_student() -> None:
    """So that another term can give the metres."""
    p, t = pair()
    p.requires_grad_()
    (gradient,) = torch.autograd.grad(teacher_loss(p, with_holes(t), False, 0.5).sum(), p)
    assert gradient.abs().max() > 1e-4
    for direction in (torch.ones_like(p), p.detach()):
        assert abs(float((gradient * direction).sum())) < 1e-9


def test_matching_gradients_is_zero_for_an_offset_and_finds_an_edge() -> None:
    valid = torch.ones(1, 1, 8, 16, dtype=torch.bool)
    assert gradient_matching(torch.full((1, 1, 8, 16), 2.0), valid) == 0
    step = torch.zeros(1, 1, 8, 16)
    step[..., 8:] = 1
    # A step of 1 at one of w - 1 places, at the four levels of 16, 8, 4 and 2 columns.
    torch.testing.assert_close(gradient_matching(step, valid), torch.tensor([1 / 15 + 1 / 7 + 1 / 3 + 1]))
    hidden = valid.clone()
    hidden[..., 7:9] = False
    assert gradient_matching(step, hidden) < gradient_matching(step, valid)


@pytest.mark.parametrize("metric", [False, True])
def test_a_mirrored_student_agrees_with_a_mirrored_teacher(metric: bool) -> None:
    p, t = pair()
    t = with_holes(t)
    torch.testing.assert_close(teacher_loss(p.flip(-1), t.flip(-1), metric, 0.5), teacher_loss(p, t, metric, 0.5))


def test_unknown_pixels_count_for_nothing() -> None:
    p, t = pair()
    t = with_holes(t)
    other = torch.where(t.isnan(), 5 * p, p).requires_grad_()
    for metric in (False, True):
        torch.testing.assert_close(teacher_loss(other, t, metric, 0), teacher_loss(p, t, metric, 0))
        (gradient,) = torch.autograd.grad(teacher_loss(other, t, metric, 0.5).sum(), other)
        assert gradient[t.isnan()].abs().max() == 0
        assert gradient.isfinite().all()


def test_a_teacher_that_knows_nothing_or_no_shape_teaches_nothing() -> None:
    p, t = pair()
    for silent in (torch.full_like(t, torch.nan), torch.full_like(t, 0.3)):
        mixed = torch.cat([silent[:1], t[1:]])
        student = p.clone().requires_grad_()
        loss = teacher_loss(student, mixed, False, 0.5)
        assert loss[0] == 0
        torch.testing.assert_close(loss[1], teacher_loss(p, t, False, 0.5)[1])
        (gradient,) = torch.autograd.grad(loss.sum(), student)
        assert gradient[0].abs().max() == 0
        assert gradient.isfinite().all()


def test_a_student_without_a_shape_gets_a_bounded_gradient() -> None:
    _, t = pair(size=1)
    student = (0.2 + 1e-9 * torch.rand_like(t)).requires_grad_()
    (gradient,) = torch.autograd.grad(teacher_loss(student, t, False, 0.0).sum(), student)
    assert 0 < gradient.abs().max() < 2 / (0.01 * 0.2) / t.numel()


def test_metric_residuals_are_relative_to_the_median_of_the_teacher() -> None:
    p, t = pair()
    valid = torch.ones_like(t, dtype=torch.bool)
    residual, _ = metric_residual(p, t, valid)
    torch.testing.assert_close(residual[0], (p - t)[0] / t[0].median())
    scaled, _ = metric_residual(7 * p, 7 * t, valid)
    torch.testing.assert_close(scaled, residual)


def test_median_and_spread_are_those_of_the_valid_pixels() -> None:
    _, t = pair(size=1)
    valid = torch.rand(t.shape, generator=torch.Generator().manual_seed(1)) > 0.3
    own = t[valid]
    assert masked_median(t, valid).item() == own.median()
    torch.testing.assert_close(spread(t, valid).item(), float((own - own.median()).abs().mean()))
    assert masked_median(t, torch.zeros_like(valid)) == 0


def test_the_term_is_the_mean_over_scales_and_compares_each_at_its_own_resolution() -> None:
    batch = make_batch()
    outputs = make_outputs(batch)
    finest = torch.linspace(0.1, 1, 24) * outputs.inv_depths[0]
    coarser = [F.adaptive_avg_pool2d(finest, (x.shape[-2], x.shape[-1])) for x in outputs.inv_depths]
    taught = replace(batch, teacher=3 * finest + 2)
    assert Teacher(maps="depth")(Outputs(coarser, outputs.T_context_target), taught) < 1e-4
    expected = torch.stack([teacher_loss(x, 3 * finest + 2, False, 0.5).mean() for x in outputs.inv_depths]).mean()
    torch.testing.assert_close(Teacher(maps="depth")(outputs, taught), expected)


def test_the_weight_fades() -> None:
    teacher = Teacher(maps="depth", weight=2.0, fade=(0.5, 0.75))
    assert [teacher.weight_at(x) for x in (0, 0.49, 0.5, 0.625, 0.75, 1)] == [2, 2, 2, 1, 0, 0]
    assert [Teacher(maps="depth", fade=(0.5, 0.5)).weight_at(x) for x in (0.4, 0.5, 1)] == [0.5, 0, 0]
    assert Teacher(maps="depth").weight_at(1) == 0.5


def test_the_objective_follows_the_weight_and_is_that_of_the_end_unless_told() -> None:
    batch = make_batch()
    outputs = make_outputs(batch)
    taught = replace(batch, teacher=make_outputs(make_batch(2)).inv_depths[0].flip(-1))
    objective = Objective((Smoothness(), Teacher(maps="depth", weight=2.0, fade=(0.5, 1.0))))
    for progress, weight in ((0.0, 2.0), (0.75, 1.0), (1.0, 0.0)):
        loss, values = objective(outputs, taught, progress)
        torch.testing.assert_close(loss, 1e-3 * values["smoothness"] + weight * values["teacher"])
    torch.testing.assert_close(objective(outputs, taught)[0], objective(outputs, taught, 1.0)[0])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "give either network .* or maps"),
        ({"network": "a", "maps": "b"}, "give either network .* or maps"),
        ({"maps": "b", "cache": "c"}, "maps are on disk already; remove it"),
        ({"maps": "b", "image_size": (32, 64)}, "that of a network's input, but the teacher is maps"),
        ({"network": "a", "inverse": True}, "the teacher is a network; remove it"),
        ({"maps": "b", "inverse": True, "metric": True}, "inverse maps have no known unit"),
        ({"maps": "b", "fade": (0.8, 0.2)}, "fade begins at 0.8 and ends before, at 0.2"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Teacher.model_validate(options)


def test_only_a_metric_teacher_gives_a_scale() -> None:
    assert Teacher(maps="depth").metric_from is None
    assert Teacher(maps="depth", metric=True).metric_from == "teacher"
    assert Teacher(maps="depth", metric=True, weight=0).metric_from is None
