"""Sparsification: the oracle, random and constant doubts, Poggi et al.'s loop, and invariance to monotone maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from packdepth.evaluation.sparsification import STEPS, area, curve, mean_sparsification, sparsification


def scene(count: int = 2000, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Depth [N] and ground truth [N] of pixels whose relative errors differ much."""
    generator = torch.Generator().manual_seed(seed)
    truth = 2 + 60 * torch.rand(count, generator=generator, dtype=torch.float64)
    noise = torch.randn(count, generator=generator, dtype=torch.float64)
    return truth * torch.exp(0.3 * noise * torch.rand(count, generator=generator, dtype=torch.float64)), truth


def poggi(depth: np.ndarray, truth: np.ndarray, doubt: np.ndarray) -> list[float]:
    """The curve of abs_rel as the definition reads: of the pixels below each percentile of the doubt."""
    errors = np.abs(depth - truth) / truth
    order = np.argsort(doubt)
    kept = [order[: int(np.ceil(len(order) * (1 - step / STEPS) - 1e-9))] for step in range(STEPS)]
    return [float(errors[each].mean()) for each in kept] + [0.0]


def test_the_curve_is_the_error_of_the_pixels_that_remain() -> None:
    depth, truth = scene(1003)
    doubt = torch.rand(1003, dtype=torch.float64)
    found = sparsification(depth, truth, {"some": doubt}).curves["some"]
    np.testing.assert_allclose(found[0], poggi(depth.numpy(), truth.numpy(), doubt.numpy()))
    last = doubt.argsort()[:21]  # 2 % of 1003 pixels, rounded up
    assert found[1, -2] == pytest.approx(float((depth - truth)[last].square().mean().sqrt()))
    assert found[2, 0] == pytest.approx(float((torch.maximum(depth / truth, truth / depth) >= 1.25).double().mean()))


def test_the_oracle_of_an_error_has_no_area_above_it_and_gains_much() -> None:
    depth, truth = scene()
    found = sparsification(
        depth, truth, {"oracle": (depth - truth).abs() / truth, "worst": -(depth - truth).abs() / truth}
    )
    assert found.ause["oracle"][0] == 0
    assert found.aurg["oracle"][0] > 0.3 * found.all_pixels[0]
    assert found.aurg["worst"][0] < 0
    assert found.kept["oracle"][0] < 0.6 * found.all_pixels[0]


def test_a_random_order_gains_about_nothing() -> None:
    depth, truth = scene(20000)
    generator = torch.Generator().manual_seed(1)
    random = {"random": torch.rand(20000, generator=generator)}
    gains = sparsification(depth, truth, random).aurg["random"]
    np.testing.assert_allclose(gains / sparsification(depth, truth, random).all_pixels, 0, atol=0.02)


def test_a_constant_doubt_gains_nothing_in_whatever_order_the_pixels_are() -> None:
    depth, truth = scene()
    order = (depth - truth).abs().argsort()
    for chosen in (order, order.flip(0)):
        found = sparsification(depth[chosen], truth[chosen], {"none": torch.ones(2000)})
        np.testing.assert_allclose(found.aurg["none"], 0, atol=1e-9)


@given(seed=st.integers(0, 20), power=st.sampled_from([0.3, 1.0, 3.0]))
def test_monotone_maps_of_a_doubt_do_not_change_the_curves(seed: int, power: float) -> None:
    depth, truth = scene(200, seed)
    doubt = torch.rand(200, dtype=torch.float64)
    mapped = {"doubt": doubt, "power": 7 * doubt**power - 3, "log": (doubt + 1e-3).log()}
    curves = sparsification(depth, truth, mapped).curves
    for other in ("power", "log"):
        np.testing.assert_allclose(curves[other], curves["doubt"])


@given(seed=st.integers(0, 20))
def test_the_area_between_oracle_and_random_is_shared_by_ause_and_aurg(seed: int) -> None:
    depth, truth = scene(300, seed)
    found = sparsification(depth, truth, {"one": torch.rand(300), "two": torch.rand(300)})
    np.testing.assert_allclose(found.ause["one"] + found.aurg["one"], found.ause["two"] + found.aurg["two"])
    assert (found.ause["one"] >= 0).all()


def test_few_pixels_are_enough() -> None:
    found = sparsification(torch.tensor([11.0]), torch.tensor([10.0]), {"one": torch.ones(1)})
    np.testing.assert_allclose(found.oracle[0, :-1], 0.1)


def test_equal_doubts_share_their_error() -> None:
    errors = torch.tensor([[0.0, 1.0, 0.0, 1.0]], dtype=torch.float64)
    found = curve(errors, torch.tensor([0.0, 0.0, 1.0, 1.0]))[0]
    np.testing.assert_allclose(found[:-1], 0.5)
    assert area(found) == pytest.approx(0.5 * (1 - 0.5 / STEPS))


def test_means_are_over_images() -> None:
    one, two = (sparsification(*scene(100, seed), {"doubt": torch.rand(100)}) for seed in (1, 2))
    mean = mean_sparsification([one, two])
    assert mean is not None
    np.testing.assert_allclose(mean.curves["doubt"], (one.curves["doubt"] + two.curves["doubt"]) / 2)
    np.testing.assert_allclose(mean.aurg["doubt"], (one.aurg["doubt"] + two.aurg["doubt"]) / 2)
    assert mean_sparsification([]) is None


def test_the_table_and_json_hold_the_same_numbers() -> None:
    found = sparsification(*scene(), {"confidence": torch.rand(2000)})
    rows, content = found.rows(), found.to_json()
    assert list(rows) == ["confidence", "oracle"]
    assert rows["confidence"]["AURG abs_rel"] == content["confidence"]["aurg"]["abs_rel"]
    assert rows["confidence"]["of surest"] == content["confidence"]["kept"]["abs_rel"]
    assert rows["oracle"]["AUSE abs_rel"] == 0
    assert content["confidence"]["curve"]["abs_rel"][0] == pytest.approx(content["all"]["abs_rel"])
    assert content["all"]["abs_rel"] == rows["oracle"]["abs_rel"]
