"""Factors of frames: median, robust spread, thirds that are left out, and reasons not to calibrate."""

from __future__ import annotations

import numpy as np
import pytest

from packdepth.checkpoint import is_metric
from packdepth.scale.measurement import ScaleMeasurement, ScaleSource, disagreement


def measurement(factors: list[float], source: ScaleSource = "speed") -> ScaleMeasurement:
    names = tuple(f"clip/{i:06d}" for i in range(len(factors)))
    return ScaleMeasurement(source, names, np.array(factors), tried=len(factors))


def test_median_spread_and_left_out_thirds_in_closed_form() -> None:
    found = measurement([1.0, 1.0, 2.0, 2.0, 4.0, 4.0])
    assert found.factor == 2.0
    assert found.spread == pytest.approx(1.4826 * 1.0 / 2.0)  # deviations 1, 1, 0, 0, 2, 2
    # Others' median over the block's: (2, 2, 4, 4) / 1, (1, 1, 4, 4) / 2, (1, 1, 2, 2) / 4.
    assert found.left_out == pytest.approx([3.0, 1.25, 0.375])
    assert found.shift == pytest.approx(2.0)


def test_half_of_the_frames_may_be_wrong_nearly() -> None:
    right, wrong = [1.7, 1.69, 1.71, 1.7, 1.68, 1.72], [9.0, 0.1, 30.0, 0.2, 5.0]
    assert measurement(right + wrong).factor == pytest.approx(1.7, rel=0.02)


def test_checks_say_predicted_over_measured() -> None:
    found = measurement([2.0] * 6)
    assert found.check(held_out=True).ratio == 0.5
    assert found.check_left_out().ratio == 1.0
    assert measurement([2.0, 2.0, 2.0, 2.0, 2.2, 2.2]).check_left_out().ratio == pytest.approx(2.0 / 2.2)


@pytest.mark.parametrize(
    ("factors", "problem"),
    [
        ([1.0] * 4, "only 4 of 4 are pairs of frames with a speed, but 5 are needed"),
        ([1.0, 2.0, 3.0] * 4, "the factor varies from frame to frame by 74%, more than 30%: depth is not good enough"),
        (
            [1.0] * 8 + [1.25] * 4,
            "the factor varies from frame to frame by 20%, more than 15% (a third of the frames gives another one than "
            "the rest): depth is not good enough",
        ),
        ([1.0, 1.1, 0.9] * 4, None),
    ],
)
def test_reasons_not_to_calibrate(factors: list[float], problem: str | None) -> None:
    assert measurement(factors).problem == problem


@pytest.mark.parametrize("deviation", [0.0, 0.05, 0.1, 0.19, 0.21, 0.4])
def test_training_calls_no_depth_metric_that_calibration_calls_not_good_enough(deviation: float) -> None:
    found = measurement([1 - deviation, 1, 1 + deviation] * 4)  # their spread is 1.48 times the deviation
    assert is_metric("velocity (speed)", [found.check(held_out=True)]) is (found.problem is None) is (deviation < 0.2)


def test_nothing_is_no_number() -> None:
    nothing = measurement([])
    assert np.isnan(nothing.factor)
    assert np.isnan(nothing.spread)
    assert str(nothing) == "speed: none of 0 are pairs of frames with a speed"


def test_sources_disagree_beyond_their_spreads() -> None:
    tight, wide = measurement([1.0] * 6), measurement([1.0, 1.4, 1.2, 1.2, 1.0, 1.4], "camera height")
    assert not disagreement(tight, wide)
    assert disagreement(tight, measurement([1.2] * 6, "depth"))
