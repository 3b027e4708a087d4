"""The offset of a log's clock is found where the speeds tell it, and refused elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from packdepth.sources.offset import (
    HARMLESS,
    MAX_DEVIATION,
    Harmless,
    Offset,
    harmless_offset,
    offset_between,
    shift_between,
)
from packdepth.sources.tracks.track import Track

RATE = 10.0  # frames per second


def profile(rng: np.random.Generator, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Times and speeds of a drive: a wish that changes every 4 to 10 s, followed with 1.5 and 2.2 m/s^2, and stops."""
    times = np.arange(0, seconds, 0.05)
    speeds, wish, until = [rng.uniform(3, 15)], 8.0, 0.0
    for time in times[1:]:
        if time > until:
            wish, until = (0.0 if rng.random() < 0.15 else rng.uniform(3, 15)), time + rng.uniform(4, 10)
        speeds.append(speeds[-1] + float(np.clip(wish - speeds[-1], -2.2 * 0.05, 1.5 * 0.05)))
    return times, np.array(speeds)


def measured(
    rng: np.random.Generator, times: np.ndarray, speeds: np.ndarray, begin: float, seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """Spans and motions in camera heights a second, with the errors that the images have."""
    stamps = np.arange(0, seconds, 1 / RATE)
    spans = np.stack([stamps[:-1], stamps[1:]], axis=-1)
    true = np.interp(spans.mean(1) + begin, times, speeds) / 1.5
    slow = np.zeros(len(true))
    for i in range(1, len(slow)):
        slow[i] = 0.95 * slow[i - 1] + rng.normal(0, 0.03 * np.sqrt(1 - 0.95**2))
    motions = true * (1 + slow + rng.normal(0, 0.015, len(true))) + rng.normal(0, 0.01, len(true))
    wrong = rng.random(len(true)) < 0.03
    return spans, np.where(wrong, motions * rng.uniform(0.3, 2, len(true)), np.maximum(motions, 0))


def logged(rng: np.random.Generator, times: np.ndarray, speeds: np.ndarray, rate: float, rounding: float) -> Track:
    stamps = np.arange(0, times[-1], 1 / rate)
    values = np.interp(stamps, times, speeds)
    values = np.round(values / rounding) * rounding if rounding else values + rng.normal(0, 0.05, len(stamps))
    return Track(Path("log.csv"), stamps, np.maximum(values, 0), None, "")


@pytest.mark.parametrize(("rate", "rounding"), [(5.0, 0.0), (1.0, 0.0), (5.0, 1 / 3.6)])
def test_the_stated_deviation_is_that_of_the_errors(rate: float, rounding: float) -> None:
    rng = np.random.default_rng(1)
    ratios = []
    for _ in range(20):
        times, speeds = profile(rng, 40)  # a log that is little longer: few offsets are tried
        begin = rng.uniform(5, 15)
        spans, motions = measured(rng, times, speeds, begin, 20)
        found = offset_between(spans, motions, logged(rng, times, speeds, rate, rounding), 20 - 1 / RATE)
        if isinstance(found, Offset):
            assert found.deviation <= MAX_DEVIATION
            ratios.append((found.seconds - begin) / found.deviation)
    assert len(ratios) >= 15
    assert np.mean(np.abs(ratios) < 2) >= 0.85  # 95 % of many; of 15 to 20, two may lie outside


def test_constant_speed_is_refused() -> None:
    rng = np.random.default_rng(0)
    times = np.arange(0, 60, 0.05)
    spans, motions = measured(rng, times, np.full(len(times), 10.0), 20, 20)
    found = offset_between(spans, motions, logged(rng, times, np.full(len(times), 10.0), 5, 0), 20)
    assert isinstance(found, str)
    assert "varies too little" in found


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("known", [5, 8, 11])
def test_speeds_of_a_few_frames_are_not_denied(known: int) -> None:
    """Too few motions fall beside them to compare them as they are."""
    rng = np.random.default_rng(3)
    times, speeds = profile(rng, 60)
    spans, motions = measured(rng, times, speeds, 20, 20)
    stamps = np.arange(20 - known / RATE, 20, 1 / RATE)
    assert shift_between(spans, motions, stamps, np.interp(stamps + 20, times, speeds)) is None


def steady(seconds: float, brake_at: float = np.inf) -> Track:
    """A log at 10 Hz of a drive at 8 m/s, with noise of 1 %, that brakes with 3 m/s^2 from a time on."""
    rng = np.random.default_rng(7)
    times = np.arange(0, seconds, 0.1)
    speeds = np.maximum(8 - 3 * (times - brake_at).clip(0), 0.5) * (1 + rng.normal(0, 0.01, len(times)))
    return Track(Path("log.csv"), times, speeds, None, "")


def test_any_offset_is_good_enough_for_a_steady_drive_that_the_log_just_covers() -> None:
    stamps = np.arange(0, 7, 0.1)
    found = harmless_offset(stamps + 100, steady(9))  # the zero of the frames' clock does not matter
    assert isinstance(found, Harmless)
    assert (found.seconds, found.low, found.high) == pytest.approx((1.0, 0.0, 2.0), abs=0.06)
    assert 0.002 < found.change < HARMLESS


@pytest.mark.parametrize("track", [steady(9, brake_at=6), steady(40, brake_at=30), steady(6)])
def test_no_offset_is_good_enough_where_another_changes_the_speeds_or_the_log_is_too_short(track: Track) -> None:
    assert harmless_offset(np.arange(0, 7, 0.1), track) is None


def test_a_log_that_just_covers_the_clip_has_one_offset() -> None:
    rng = np.random.default_rng(0)
    times = np.arange(0, 20.01, 0.05)
    speeds = np.full(len(times), 10.0)
    spans, motions = measured(rng, times, speeds, 0, 20)
    found = offset_between(spans, motions, logged(rng, times, speeds, 5, 0), 20 - 1 / RATE)
    assert isinstance(found, Offset)
    assert abs(found.seconds) < 2 * found.deviation < 0.4


def test_too_few_motions_are_refused() -> None:
    spans = np.stack([np.arange(5.0), np.arange(1.0, 6.0)], axis=-1)
    track = Track(Path("log.csv"), np.arange(9.0), np.arange(9.0), None, "")
    assert "only 5 of 5 motions" in str(offset_between(spans, np.ones(5), track, 5.0))
