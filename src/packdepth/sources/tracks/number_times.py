"""Units and zeros of times that are numbers, where the header names none: by their size, and by what a vehicle does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packdepth.sources.tracks.clocks import EARLIEST, LATEST
from packdepth.sources.tracks.track import MAX_PERIOD

UNITS = {1.0: "seconds", 1e-3: "milliseconds", 1e-6: "microseconds", 1e-9: "nanoseconds"}
MIN_PERIOD = 5e-4  # seconds from a value of a log to the next
USUAL_PERIODS = (4e-3, 2.5)  # the same of most logs: 250 values a second, and two values in five seconds
TICK = 1e-7  # seconds: a tick of Windows
EPOCHS = (  # unit in seconds, zero in seconds since 1970, and the words for both
    *((unit, 0.0, f"{name}, since 1970") for unit, name in UNITS.items()),
    (TICK, -11_644_473_600.0, "ticks of 100 ns, since 1601"),
    (TICK, -62_135_596_800.0, "ticks of 100 ns, since the year 1"),
)
DAYS = ((36526.0, 73051.0, "a spreadsheet's days"), (730486.0, 767011.0, "MATLAB's days"))  # of 2000 and of 2100
DAY_STEP = 0.01  # days: no log has a longer step
BLOCKS, BLOCK = 30, 60  # parts of a log whose mean speeds are compared, and their longest: noise hardly counts in means
UPTIME = 1e8  # seconds since a device was switched on, at most: three years
ACCELERATIONS = (0.003, 3.0)  # metres per second squared, mean of a drive: a long highway, and more than any
SPEEDS = (0.05, 70.0)  # metres per second, mean of a drive


class Pace(NamedTuple):
    """Change of a vehicle's speed or place from a row of a log to the next, and its range in a second.

    It tells units of time apart: in a wrong one, a vehicle would do what none does.

    >>> Pace.of_speeds(np.array([8.0, 9.0, 8.0])).change
    0.6666666666666666
    """

    change: float  # mean change from a row to the next, in m/s or metres
    low: float  # smallest ordinary change in a second
    high: float  # largest ordinary change in a second

    @classmethod
    def of_speeds(cls, speeds: np.ndarray) -> Pace:
        """Return the pace of speeds.

        Args:
            speeds: [N] metres per second, NaN where unknown.
        """
        known = speeds[np.isfinite(speeds)]
        if len(known) < 2:
            return cls(0.0, *ACCELERATIONS)
        parts = min(max(BLOCKS, len(known) // BLOCK), len(known))
        means = np.array([part.mean() for part in np.array_split(known, parts)])
        return cls(float(np.abs(np.diff(means)).sum()) / len(known), *ACCELERATIONS)

    @classmethod
    def of_places(cls, places: np.ndarray) -> Pace:
        """Return the pace of positions.

        Args:
            places: [N, D] metres, NaN where unknown.
        """
        steps = np.linalg.norm(np.diff(places[np.isfinite(places).all(axis=-1)], axis=0), axis=-1)
        return cls(float(np.median(steps)) if len(steps) else 0.0, *SPEEDS)

    def is_ordinary(self, period: float) -> bool:
        """Return whether a vehicle does this.

        Args:
            period: time from a row to the next, in seconds.
        """
        return self.low <= self.change / period <= self.high


def unit_by_size(step: float, pace: Pace) -> float | None:
    """Return the unit of times, in seconds; None if it cannot be told.

    The unit with a usual number of values a second is taken, unless the vehicle's motion is not ordinary in it.

    Args:
        step: from a time to the next, usually.
        pace: what the vehicle does from a row to the next.

    >>> unit_by_size(0.1, Pace(0.05, *ACCELERATIONS)), unit_by_size(10.0, Pace(0.005, *ACCELERATIONS))
    (1.0, 0.001)
    >>> unit_by_size(10.0, Pace(2.0, *ACCELERATIONS))  # a tracker with a value every ten seconds
    1.0
    """
    possible = possible_units(step)
    if len(possible) < 2:
        return possible[0] if possible else None
    usual = next((unit for unit in possible if USUAL_PERIODS[0] <= step * unit <= USUAL_PERIODS[1]), None)
    ordinary = [unit for unit in possible if pace.is_ordinary(step * unit)]
    if usual is not None and (usual in ordinary or not ordinary):
        return usual
    if usual is None or pace.change / (step * usual) > pace.high:
        return ordinary[0] if len(ordinary) == 1 else None
    return None


def possible_units(step: float) -> list[float]:
    """Return the units of times, in seconds, in which a log has a usual number of values a second.

    Args:
        step: from a time to the next, usually.

    >>> possible_units(2.0)
    [1.0, 0.001]
    """
    return [unit for unit in UNITS if MIN_PERIOD <= step * unit <= MAX_PERIOD]


def epoch_of(times: np.ndarray, by_step: float | None) -> tuple[float, float, str] | None:
    """Return unit and zero, in seconds and seconds since 1970, of times that tell a date, with the words for both.

    A date is one from 2000 to 2100. None if the times tell none, or if another unit makes them those of a device that
    was switched on days ago.

    Args:
        times: [N].
        by_step: the unit by `unit_by_size`, in seconds.

    >>> epoch_of(np.array([1.76e12, 1.76e12 + 100]), 1e-3)
    (0.001, 0.0, 'milliseconds, since 1970')
    """
    ends = np.array([times.min(), times.max()])
    for unit, zero, words in EPOCHS:
        first, last = (ends * unit + zero).tolist()
        if EARLIEST <= first <= last <= LATEST:
            since_start = by_step is not None and by_step < unit and ends[1] * by_step < UPTIME
            return None if since_start else (unit, zero, words)
    return None


def days_in_words(times: np.ndarray, step: float) -> str | None:
    """Return the words for times that count days; None if they do not.

    Args:
        times: [N].
        step: from a time to the next, usually.

    >>> days_in_words(np.array([46000.5, 46000.5001]), 0.0001)
    "a spreadsheet's days"
    """
    if not 0 < step < DAY_STEP:
        return None
    return next((words for low, high, words in DAYS if low <= times.min() and times.max() < high), None)
