"""Depth hints: a rendered pair whose depth is known, and predictions that are far off."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from batches import make_batch, make_outputs, paired
from present import present
from torch import Tensor

from packdepth.data.transforms import flipped
from packdepth.objectives.hints import CANDIDATES, MAX_DISPARITY, Hints, search
from packdepth.objectives.objective import Objective
from packdepth.records import Batch, Outputs, Sample


def found(sample: Sample, predicted: Tensor) -> tuple[Tensor, Tensor]:
    """Hints and where they are trusted, at full resolution."""
    batch = Batch.stack([sample])
    assert batch.right is not None
    assert batch.baseline is not None
    return search(batch.image, batch.right, batch.baseline, batch.camera, predicted[None])


def term(sample: Sample, inv_depth: Tensor) -> float:
    return Hints()(Outputs([inv_depth[None]], torch.zeros(1, 0, 4, 4)), Batch.stack([sample])).item()


def test_a_prediction_that_is_right_gets_no_hints(truth: tuple[Sample, Tensor, Tensor]) -> None:
    sample, left, _ = truth
    assert found(sample, left)[1].float().mean() < 0.02


def test_a_prediction_that_is_far_off_is_hinted_towards_the_truth(truth: tuple[Sample, Tensor, Tensor]) -> None:
    """As near as the candidates lie to each other, and on most of what the search can tell."""
    sample, left, _ = truth
    hints, trusted = found(sample, 0.3 * left)
    camera, baseline = sample.camera, present(sample.baseline)
    disparity = left * camera.fx * baseline
    step = MAX_DISPARITY * camera.width / CANDIDATES
    searched = (disparity > step) & (disparity < CANDIDATES * step)
    off = (hints[0] - left).abs() * camera.fx * baseline
    judged = trusted[0] & searched
    assert judged.sum() > 0.5 * searched.sum()
    assert off[judged].median() <= step
    assert (hints[0] / left)[judged].log().abs().median() < 0.1


def test_the_loss_is_less_the_nearer_the_truth(truth: tuple[Sample, Tensor, Tensor]) -> None:
    sample, left, _ = truth
    losses = [term(sample, factor * left) for factor in (0.3, 0.5, 0.7, 1.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.02 * losses[0]


def test_a_mirrored_pair_has_the_same_loss(truth: tuple[Sample, Tensor, Tensor]) -> None:
    sample, left, _ = truth
    assert term(flipped(sample), 0.5 * left.flip(-1)) == pytest.approx(term(sample, 0.5 * left), rel=1e-3)


def test_gradients_in_float64() -> None:
    batch = paired(make_batch(height=8, dtype=torch.float64))
    outputs = make_outputs(batch, scales=2)
    inputs = [(0.2 * x).requires_grad_() for x in outputs.inv_depths]

    def loss(*inv_depths: Tensor) -> Tensor:
        return Hints()(replace(outputs, inv_depths=list(inv_depths)), batch)

    assert loss(*inputs) > 0
    assert torch.autograd.gradcheck(loss, inputs, eps=1e-7, atol=1e-5, fast_mode=True)  # along a random direction


def test_a_run_file_names_it_and_it_needs_the_right_image() -> None:
    objective = Objective([Hints(kind="hints")])
    assert objective.batch_fields == {"right"}
    assert not objective.output_fields
