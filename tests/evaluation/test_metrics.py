"""The seven metrics: closed forms, an independent implementation, several processes."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from packdepth.errors import InputError
from packdepth.evaluation.metrics import (
    DepthMetrics,
    DepthScores,
    crop_mask,
    depth_metrics,
    median_scale,
    share_too_far,
    valid_truth,
)


def images(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Depth and sparse truth, [B, 1, 12, 20]; some truth is beyond 80 metres."""
    generator = torch.Generator().manual_seed(seed)
    truth = 1 + 99 * torch.rand(count, 1, 12, 20, generator=generator)
    depth = truth * (0.5 + torch.rand(truth.shape, generator=generator))
    return depth, truth * (torch.rand(truth.shape, generator=generator) < 0.4)


def scores(depth: Tensor, truth: Tensor, **settings: object) -> dict[str, float]:
    metrics = DepthMetrics(**settings)  # type: ignore[arg-type]
    metrics.update(depth, truth)
    return {name: value.item() for name, value in metrics.compute().items()}


def test_a_constant_ratio_in_closed_form() -> None:
    truth = torch.full((5, 7), 10.0)
    found = depth_metrics(1.5 * truth, truth, truth > 0)
    expected = DepthScores(0.5, 2.5, 5.0, math.log(1.5), 0.0, 1.0, 1.0)  # type: ignore[arg-type]
    for value, wanted in zip(found, expected, strict=True):
        assert value.item() == pytest.approx(wanted, rel=1e-6)


def test_a_perfect_prediction() -> None:
    _, truth = images(3)
    perfect = {"abs_rel": 0, "sq_rel": 0, "rmse": 0, "rmse_log": 0, "a1": 1, "a2": 1, "a3": 1}
    assert scores(truth, truth) == perfect
    assert scores(truth, truth, scaled=True) == perfect


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("crop", ["none", "garg"])
def test_against_numpy(crop: str, scaled: bool) -> None:
    """An independent implementation, after the KITTI literature's evaluation scripts, with the lower median."""
    depth, truth = images(4)
    rows = []
    for pred, gt in zip(depth[:, 0].numpy().astype(np.float64), truth[:, 0].numpy().astype(np.float64), strict=True):
        mask = (gt > 1e-3) & (gt < 80)
        if crop == "garg":
            h, w = gt.shape
            window = np.zeros(gt.shape, dtype=bool)
            window[int(0.40810811 * h) : int(0.99189189 * h), int(0.03594771 * w) : int(0.96405229 * w)] = True
            mask &= window
        p, g = pred[mask], gt[mask]
        if scaled:
            p = p * np.quantile(g, 0.5, method="lower") / np.quantile(p, 0.5, method="lower")
        p = np.clip(p, 1e-3, 80)
        ratio = np.maximum(p / g, g / p)
        rows.append(
            [
                np.mean(np.abs(p - g) / g),
                np.mean((p - g) ** 2 / g),
                np.sqrt(np.mean((p - g) ** 2)),
                np.sqrt(np.mean((np.log(p) - np.log(g)) ** 2)),
                *[np.mean(ratio < 1.25**power) for power in (1, 2, 3)],
            ]
        )
    assert list(scores(depth, truth, crop=crop, scaled=scaled).values()) == pytest.approx(np.mean(rows, 0), rel=1e-5)


def test_the_median_is_the_lower_one() -> None:
    truth, depth = torch.tensor([4.0, 1.0, 2.0, 3.0, 99.0]), torch.tensor([8.0, 4.0, 4.0, 5.0, 1.0])
    valid = truth < 80
    assert median_scale(depth, truth, valid) == 2 / 4


@given(factor=st.floats(0.01, 100), seed=st.integers(0, 9))
def test_scaled_metrics_do_not_know_the_scale(factor: float, seed: int) -> None:
    depth, truth = images(2, seed)
    one, other = scores(depth, truth, scaled=True), scores(factor * depth, truth, scaled=True)
    assert list(one.values()) == pytest.approx(list(other.values()), rel=1e-3)


def test_predictions_are_clamped_after_scaling() -> None:
    truth, depth = torch.full((1, 1, 4, 4), 60.0), torch.full((1, 1, 4, 4), 200.0)
    assert scores(depth, truth)["rmse"] == 20
    assert scores(depth, truth, scaled=True)["rmse"] == pytest.approx(0, abs=1e-5)
    assert scores(torch.zeros(1, 1, 4, 4), truth)["rmse_log"] == pytest.approx(math.log(60 / 1e-3))


def test_the_bounds_of_truth_and_the_crop() -> None:
    truth = torch.tensor([[0.0, 1e-3, 0.1, 79.9, 80.0, torch.nan]])
    assert valid_truth(truth, 1e-3, 80.0, "none").tolist() == [[False, False, True, True, False, False]]
    rows, columns = crop_mask("garg", 375, 1242).nonzero().unbind(1)  # the published window
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (153, 371, 44, 1197)
    assert crop_mask("none", 3, 5).all()


def test_images_without_truth_do_not_count() -> None:
    depth, truth = images(3)
    empty = truth.clone()
    empty[1] = 0
    expected = scores(depth[[0, 2]], truth[[0, 2]])
    assert scores(depth, empty) == expected
    metrics = DepthMetrics(scaled=True)
    metrics.update(depth, torch.zeros_like(truth))
    assert metrics.images == 0
    assert all(value.isnan() for value in metrics.compute().values())


def test_batches_sum_up_and_reset_forgets() -> None:
    depth, truth = images(5)
    metrics = DepthMetrics()
    metrics.update(depth, truth)
    metrics.reset()
    for part in (slice(0, 2), slice(2, 5)):
        metrics.update(depth[part].double(), truth[part])
    assert list(metrics.compute().values()) == pytest.approx(list(scores(depth, truth).values()), rel=1e-6)


def test_processes_sum_up(tmp_path: Path) -> None:
    """Two processes, of which one has an image more and one has an image without truth, agree with one."""
    depth, truth = images(5)
    truth[3] = 0
    torch.save({"depth": depth, "truth": truth}, tmp_path / "images.pt")
    script = Path(__file__).with_name("sum_over_processes.py")
    processes = [subprocess.Popen([sys.executable, script, str(rank), "2", tmp_path]) for rank in (0, 1)]
    assert [process.wait(timeout=100) for process in processes] == [0, 0]
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert {name: value.item() for name, value in found.items()} == pytest.approx(scores(depth, truth), rel=1e-6)


def test_the_borders_of_a_crop_are_rounded_down() -> None:
    """Garg's window of a KITTI image is rows 153 to 370 and columns 44 to 1196."""
    rows, columns = crop_mask("garg", 375, 1242).nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (153, 370, 44, 1196)
    rows, columns = crop_mask("cityscapes", 1024, 2048).nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (256, 767, 192, 1855)
    assert crop_mask("none", 3, 4).all()


def test_two_kinds_of_medians() -> None:
    truth, depth = torch.tensor([1.0, 2.0, 4.0, 8.0]), torch.ones(4)
    assert median_scale(depth, truth, depth > 0) == 2
    assert median_scale(depth, truth, depth > 0, "mean") == 3
    assert median_scale(depth[:3], truth[:3], depth[:3] > 0, "mean") == 2


def test_a_range_that_begins_at_zero() -> None:
    """Predictions of zero have an infinite logarithm, so they are clamped to a millimetre."""
    found = scores(torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 10.0), min_depth=0.0)
    assert found["rmse_log"] == pytest.approx(math.log(10 / 1e-3))


@pytest.mark.parametrize("sky", [0.0, math.inf, math.nan, 65535 / 256])
def test_the_sky_does_not_count(sky: float) -> None:
    """Whatever a data set writes where there is no depth."""
    truth = torch.full((1, 1, 4, 4), 10.0)
    truth[..., :2, :] = sky
    found = scores(1.1 * truth.nan_to_num(5, posinf=5).clamp(1, 50), truth)
    assert found["abs_rel"] == pytest.approx(0.1)


def test_the_share_too_far_is_over_known_pixels_of_the_mask() -> None:
    truth = torch.tensor([10.0, 10.0, 10.0, 10.0, 0.0, torch.nan])
    depth = torch.tensor([9.0, 14.9, 15.1, 80.0, 80.0, 80.0])
    everything = torch.ones(6, dtype=torch.bool)
    assert share_too_far(depth, truth, everything) == 0.5
    assert share_too_far(depth, truth, everything & (depth > 15)) == 1
    assert share_too_far(depth, truth, ~everything).isnan()


def test_a_choice_that_does_not_exist_is_refused() -> None:
    values = torch.arange(1.0, 5.0)
    with pytest.raises(InputError, match="median cannot be 'upper': valid names are lower, mean"):
        median_scale(values, values, values > 0, "upper")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="crop cannot be 'Garg': valid names are none, garg, cityscapes"):
        crop_mask("Garg", 4, 8)  # type: ignore[arg-type]
