"""The sky is far: which pixels are sky, and what pulls them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from batches import make_batch, make_outputs

from packdepth.blocks import parse
from packdepth.classes import Label
from packdepth.errors import InputError
from packdepth.objectives import Sky
from packdepth.objectives.sky import sky_loss, sky_of_teacher


def test_only_the_sky_has_a_gradient_and_it_points_away() -> None:
    inv_depth = (torch.rand(2, 1, 6, 8, dtype=torch.float64) + 0.1).requires_grad_()
    sky = torch.zeros(2, 1, 6, 8, dtype=torch.bool)
    sky[:, :, :2] = True
    (gradient,) = torch.autograd.grad(sky_loss(inv_depth, sky).sum(), inv_depth)
    assert gradient[sky].min() > 0
    assert gradient[~sky].abs().max() == 0


def test_the_loss_does_not_depend_on_the_scale_and_is_zero_without_sky() -> None:
    inv_depth, sky = torch.rand(2, 1, 6, 8) + 0.1, torch.rand(2, 1, 6, 8) > 0.5
    torch.testing.assert_close(sky_loss(7 * inv_depth, sky), sky_loss(inv_depth, sky))
    assert sky_loss(inv_depth, torch.zeros_like(sky)).abs().max() == 0
    assert sky_loss(inv_depth, torch.ones_like(sky)).abs().max() == 0  # nothing to compare with


def test_at_a_coarse_scale_only_pixels_that_are_all_sky_count() -> None:
    sky = torch.zeros(1, 1, 4, 8, dtype=torch.bool)
    sky[:, :, :3] = True
    coarse = torch.full((1, 1, 2, 4), 0.5, requires_grad=True)
    (gradient,) = torch.autograd.grad(sky_loss(coarse, sky).sum(), coarse)
    assert (gradient[:, :, 0] > 0).all()
    assert (gradient[:, :, 1] == 0).all()


def test_a_teacher_knows_the_sky_by_its_zero_and_unknown_pixels_are_none() -> None:
    teacher = torch.tensor([[0.0, 0.004, 0.02, 1.0, 1.0, 1.0, 2.0, torch.nan]])[None, None]
    expected = torch.tensor([[True, True, *[False] * 6]])[None, None]
    assert torch.equal(sky_of_teacher(teacher), expected)
    assert torch.equal(sky_of_teacher(1000 * teacher), expected)
    assert not sky_of_teacher(torch.rand(1, 1, 4, 4) + 0.2).any()  # a room has none


def test_every_source_gives_the_same_term_for_the_same_sky() -> None:
    batch = make_batch()
    outputs, shape = make_outputs(batch), (len(batch), 1, *batch.image.shape[-2:])
    labels = torch.full(shape, int(Label.ROAD), dtype=torch.uint8)
    labels[:, :, :5] = int(Label.SKY)
    teacher = torch.where(labels == int(Label.SKY), 0.0, 1.0)
    by_labels = Sky()(outputs, replace(batch, semantic=labels))
    assert by_labels > 0.05
    assert by_labels == Sky(by="teacher")(outputs, replace(batch, teacher=teacher))
    seen = replace(outputs, sky=labels == int(Label.SKY))
    assert by_labels == Sky(by="guidance")(seen, batch)
    assert Sky(label=5)(outputs, replace(batch, semantic=labels)) == 0
    assert [Sky(by=by).needs for by in ("teacher", "guidance")] == [("teacher",), ("sky",)]
    with pytest.raises(InputError, match="label is a class of label maps, but the sky is known by guidance; remove it"):
        parse(Sky, {"by": "guidance", "label": 5}, "run")
