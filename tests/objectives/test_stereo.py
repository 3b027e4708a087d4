"""Stereo and occlusion: a pair with known depth, directions, mirroring, gradients."""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter

import pytest
import torch
from batches import make_batch, make_outputs, paired
from torch import Tensor

from packdepth.data.transforms import flipped
from packdepth.objectives import Photometric, Velocity
from packdepth.objectives.objective import Objective
from packdepth.objectives.occlusion import Occlusion
from packdepth.objectives.scales import Scales
from packdepth.objectives.stereo import Stereo, pair_motion
from packdepth.records import Batch, Outputs, Sample


def both_views(batch: Batch) -> Outputs:
    outputs = make_outputs(batch)
    return replace(outputs, right_inv_depths=[inv_depth.flip(-1) for inv_depth in outputs.inv_depths])


def error(sample: Sample, left: Tensor, right: Tensor, both: bool = True) -> float:
    outputs = Outputs([left[None]], torch.zeros(1, 0, 4, 4), [right[None]])
    return Stereo(both=both)(outputs, Batch.stack([sample])).item()


def test_a_point_is_seen_farther_left_by_the_right_camera() -> None:
    T = pair_motion(torch.tensor([0.5, -0.2]))
    assert torch.equal(T[:, :3, 3], torch.tensor([[-0.5, 0, 0], [0.2, 0, 0]]))
    assert torch.equal(T[:, :3, :3], torch.eye(3).expand(2, 3, 3))


@pytest.mark.parametrize("both", [False, True])
def test_true_depth_explains_a_pair_and_no_other_scale_does(both: bool, truth: tuple[Sample, Tensor, Tensor]) -> None:
    sample, left, right = truth
    exact = error(sample, left, right, both)
    assert exact < 0.01
    for factor in (0.7, 0.9, 1.1, 1.4):
        assert error(sample, factor * left, factor * right, both) > 3 * exact, factor


def test_each_direction_judges_its_own_view(truth: tuple[Sample, Tensor, Tensor]) -> None:
    sample, left, right = truth
    assert error(sample, left, 2 * right, both=False) == error(sample, left, right, both=False)
    assert error(sample, left, 2 * right) > 2 * error(sample, left, right)


def test_a_mirrored_pair_is_explained_by_mirrored_depth(truth: tuple[Sample, Tensor, Tensor]) -> None:
    sample, left, right = truth
    mirrored = flipped(sample)
    assert mirrored.baseline is not None
    assert sample.baseline is not None
    assert mirrored.baseline == -sample.baseline
    assert error(mirrored, left.flip(-1), right.flip(-1)) == pytest.approx(error(sample, left, right), rel=1e-3)
    wrong = replace(mirrored, baseline=-mirrored.baseline)
    assert error(wrong, left.flip(-1), right.flip(-1)) > 3 * error(sample, left, right)


def test_gradients_reach_every_scale_of_both_views() -> None:
    batch = paired(make_batch(dtype=torch.float64))
    outputs = both_views(batch)
    assert outputs.right_inv_depths is not None
    inputs = [x.requires_grad_() for x in outputs.inv_depths]
    outputs.right_inv_depths = [x.detach().requires_grad_() for x in outputs.right_inv_depths]
    for scales in ("full", "own"):
        loss = Stereo(scales=scales)(outputs, batch)
        gradients = torch.autograd.grad(loss, [*inputs, *outputs.right_inv_depths])
        assert all(0 < gradient.abs().max() < torch.inf for gradient in gradients)


@pytest.mark.parametrize("scales", ["full", "own"])
def test_gradients_in_float64(scales: Scales) -> None:
    batch = make_batch(size=1, height=8, width=8, dtype=torch.float64)
    right = batch.context[:, 0]
    batch = replace(batch, right=right, network_right=right, baseline=torch.tensor([0.3], dtype=torch.float64))
    outputs = make_outputs(batch, scales=2)

    def loss(*inv_depths: Tensor) -> Tensor:
        return Stereo(scales=scales)(
            Outputs(list(inv_depths[:2]), outputs.T_context_target, list(inv_depths[2:])), batch
        )

    inputs = [x.clone().requires_grad_() for x in (*outputs.inv_depths, *outputs.inv_depths)]
    assert torch.autograd.gradcheck(loss, inputs, eps=1e-7, atol=1e-5)


def test_the_batch_is_the_mean_of_its_samples() -> None:
    batch, term = paired(make_batch()), Stereo()
    outputs = both_views(batch)
    assert outputs.right_inv_depths is not None
    single = [
        term(
            Outputs(
                [x[i : i + 1] for x in outputs.inv_depths],
                outputs.T_context_target[i : i + 1],
                [x[i : i + 1] for x in outputs.right_inv_depths],
            ),
            batch.map(itemgetter(slice(i, i + 1))),
        )
        for i in range(2)
    ]
    torch.testing.assert_close(term(outputs, batch), torch.stack(single).mean())


def test_occlusion_is_the_mean_inverse_depth_of_all_that_is_predicted() -> None:
    batch = make_batch()
    one = Outputs([torch.full((2, 1, 4, 6), 0.2), torch.full((2, 1, 2, 3), 0.4)], torch.zeros(2, 0, 4, 4))
    assert Occlusion()(one, batch).item() == pytest.approx(0.3)
    two = replace(one, right_inv_depths=[torch.full((2, 1, 4, 6), 0.9)])
    assert Occlusion()(two, batch).item() == pytest.approx(0.5)
    x = torch.rand(1, 1, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: Occlusion()(Outputs([x], one.T_context_target), batch), x)


def test_terms_combine_and_say_what_they_need() -> None:
    objective = Objective(
        [
            Photometric(kind="photometric"),
            Stereo(kind="stereo", weight=0.5),
            Velocity(kind="velocity"),
            Occlusion(kind="occlusion"),
        ]
    )
    assert objective.output_fields == {"right_inv_depths"}
    assert objective.batch_fields == {"right", "distance"}
    batch = paired(make_batch())
    total, terms = objective(both_views(batch), batch)
    expected = terms["photometric"] + 0.5 * terms["stereo"] + 0.05 * terms["velocity"] + 0.01 * terms["occlusion"]
    torch.testing.assert_close(total, expected)
    assert not Objective([Stereo(kind="stereo", both=False)]).output_fields
