"""Latency and frame rate, against closed forms."""

from __future__ import annotations

import pytest

from packdepth.live.timing import Timing


def test_medians_and_the_slowest_twentieth() -> None:
    timing, now = Timing(), 0.0
    for number in range(101):
        now += 0.5 if number % 10 == 9 else 0.1  # every tenth interval is long
        timing.add(now - 0.02, now)
    assert timing.count == 101
    assert timing.rate() == pytest.approx(10)
    assert timing.rate(95) == pytest.approx(2)
    assert timing.latency() == pytest.approx(0.02)
    assert str(timing) == "10.0 frames a second (2.0 in the slowest 5 %), latency 20 ms (95 %: 20 ms)"


@pytest.mark.parametrize(("interval", "frames"), [(0.05, 20), (0.5, 5)])
def test_figures_settle_after_20_frames_or_2_seconds(interval: float, frames: int) -> None:
    timing = Timing()
    for number in range(frames):
        assert not timing.is_settled
        timing.add(interval * number, interval * number)
    assert timing.is_settled


def test_one_frame_has_no_rate() -> None:
    timing = Timing()
    assert timing.latency() != timing.latency()
    timing.add(0.0, 0.05)
    assert timing.latency() == pytest.approx(0.05)
    assert str(timing) == "no frame rate yet"
