"""Record of a track: speeds over time, on the clock of the device that recorded them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from packdepth.errors import InputError

MIN_HOLE = 2.0  # seconds: over a shorter time the speed of a vehicle changes nearly linearly; chosen by reasoning
EQUAL = 1e-6  # seconds: a time that differs by less is the same; sums of decimal fractions are off by less
MAX_ACCELERATION = 12.0  # metres per second squared: full braking on a dry road has 10
MAX_JUMP = 35.0  # metres per second: change from a value to the next that is allowed in addition, as sensors lag
MIN_RUN = 3  # values between two restarts of a logger: fewer are a disorder
MAX_PERIOD = 30.0  # seconds: a vehicle starts and stops within fewer, as trackers of fleets write them
YEAR = 3.2e7  # seconds: over a longer step the clock was set, as that of a logger that begins in 1970
MIN_HELD = 5.0  # rows for which a value is held at least; its lag within fewer does no harm
MIN_CHANGES, REGULAR_SHARE = 10, 0.9  # changes that tell, and the share of them that come at multiples of one period
NEAR = 2.5  # periods between two changes that are compared with their multiples
HOLE_PERIODS = 3.0  # periods of the track: two missing values in a row are no hole


@dataclass(frozen=True, eq=False)
class Track:
    """Speeds of a vehicle over time.

    >>> Track(Path("log.csv"), np.array([0.0, 1.0]), np.array([3.0, 5.0]), None, "a test").speeds_at(np.array([0.5, 9]))
    array([ 4., nan])
    """

    path: Path  # file of the track, for messages
    times: np.ndarray  # [N] float64 seconds, rising, on the clock of the logger
    speeds: np.ndarray  # [N] float64 metres per second
    start: float | None  # seconds since 1970 (UTC) at which `times` is 0; None if the clock's zero is not known
    description: str  # how the file was read, such as "column 'speed' in km/h"
    free_zero: bool = False  # whether `times` counts from the file's first row, because its clock tells no UTC

    @property
    def period(self) -> float:
        """Median time from a speed to the next, in seconds."""
        return float(np.median(np.diff(self.times)))

    @property
    def longest_step(self) -> float:
        """Longest time between two speeds, in seconds, over which they are interpolated; a longer one is a hole."""
        return max(MIN_HOLE, HOLE_PERIODS * self.period)

    def speeds_at(self, times: np.ndarray) -> np.ndarray:
        """Interpolate the speeds linearly, neither beyond their ends nor across holes.

        Args:
            times: [M] seconds, on the clock of the logger.

        Returns:
            [M] metres per second; NaN where the speed is not known.
        """
        speeds = np.interp(times, self.times, self.speeds)
        after = np.searchsorted(self.times, times, side="left").clip(1, len(self.times) - 1)
        steps = self.times[after] - self.times[after - 1]
        measured = np.minimum(np.abs(times - self.times[after]), np.abs(times - self.times[after - 1])) <= EQUAL
        known = (
            (times >= self.times[0] - EQUAL)
            & (times <= self.times[-1] + EQUAL)
            & ((steps <= self.longest_step) | measured)
        )
        return np.where(known, speeds, np.nan)


def checked(track: Track) -> Track:
    """Check a track, and return it without values that repeat the one before or only hold it.

    Args:
        track: the track.

    Raises InputError if it has fewer than two speeds, if its times do not rise, or if its speed changes faster than
    that of any vehicle.
    """
    track = _without_repeated(track)
    check_times(track.path, track.times)
    track = without_held(track)
    if track.period > MAX_PERIOD:
        milliseconds = ", unless its times are milliseconds" if track.period / 1e3 < MIN_HOLE else ""
        raise InputError(
            f"{track.path}: its values are {track.period:.4g} s apart, and between them nobody knows the speed"
            f"{milliseconds}; give a log with a value every second or two, and times in seconds"
        )
    steps, changes = np.diff(track.times), np.abs(np.diff(track.speeds))
    jumps = np.flatnonzero(changes > MAX_JUMP + MAX_ACCELERATION * steps)
    if len(jumps):
        first = int(jumps[0])
        raise InputError(
            f"{track.path}: values {first + 1} and {first + 2} are {track.speeds[first]:.1f} and "
            f"{track.speeds[first + 1]:.1f} m/s within {steps[first]:.2g} s, as no vehicle drives ({len(jumps)} such "
            f"places); leave cells empty that mark an unknown speed, and keep the values of one sensor"
        )
    return track


def check_times(path: Path, times: np.ndarray) -> None:
    """Raise InputError if the times of a log do not rise, or if there are fewer than two.

    Args:
        path: file of the log, for the message.
        times: [N] seconds.

    >>> check_times(Path("log.csv"), np.array([0.0, 0.5, 1.0]))
    """
    if len(times) < 2:
        raise InputError(f"{path}: holds {len(times)} speeds; give a log with two at least")
    wrong = np.flatnonzero(np.diff(times) <= 0)
    if len(wrong):
        first, count = int(wrong[0]), len(wrong)
        what = "have the same time" if times[first] == times[first + 1] else "are not in the order of time"
        raise InputError(
            f"{path}: values {first + 1} and {first + 2} {what} ({times[first]:.6g} s, then "
            f"{times[first + 1]:.6g} s; {count} such places); {remedy_of_times(times)}"
        )
    longest = int(np.argmax(np.diff(times)))
    if times[longest + 1] - times[longest] > YEAR:
        raise InputError(
            f"{path}: values {longest + 1} and {longest + 2} are {(times[longest + 1] - times[longest]) / YEAR:.0f} "
            f"years apart, so that its clock was set between them; cut the log there, and give the part behind it"
        )


def repeats(*columns: np.ndarray) -> np.ndarray:
    """Return which rows are equal to the row before: [N] bool.

    Args:
        columns: columns of a table, [N] each.

    >>> repeats(np.array([0.0, 1.0, 1.0, 1.0]), np.array([5.0, 5.0, 5.0, 6.0])).tolist()
    [False, False, True, False]
    """
    rows = np.stack(columns, axis=-1)
    return np.concatenate([[False], (rows[1:] == rows[:-1]).all(axis=-1)])[: len(rows)]


def _without_repeated(track: Track) -> Track:
    """Return a track without values that repeat the one before, time and all, and say how many there were."""
    repeated = repeats(track.times, track.speeds)
    if not repeated.any():
        return track
    what = f"{track.description}; {int(repeated.sum())} repeated values left out"
    return replace(track, times=track.times[~repeated], speeds=track.speeds[~repeated], description=what)


def without_held(track: Track) -> Track:
    """Return a track without rows that only hold the value of a row before, and say so.

    Args:
        track: the track.

    >>> times = np.arange(0, 30, 0.1)
    >>> without_held(Track(Path("log.csv"), times, times // 1, None, "a test")).description
    'a test; it writes each value 10 times, of which the first counts'
    """
    later = held(track.times, track.speeds)
    if not later.any():
        return track
    what = f"{track.description}; it writes each value {1 / (1 - later.mean()):.0f} times, of which the first counts"
    return replace(track, times=track.times[~later], speeds=track.speeds[~later], description=what)


def held(times: np.ndarray, *columns: np.ndarray) -> np.ndarray:
    """Return which rows only hold the value of a row before, of a log that has more rows than the sensor has values.

    The value then changes at multiples of one period alone, and interpolation would lag by half of it. Where it stays
    for longer, a row in each period counts.

    Args:
        times: [N] seconds, rising.
        columns: columns of the value, [N] each.

    Returns:
        [N] bool; False everywhere if changes come at any time.

    >>> int(held(np.arange(0, 30, 0.1), np.repeat(np.arange(30.0), 10)).sum())
    270
    """
    none = np.zeros(len(times), dtype=bool)
    rows = np.stack(columns, axis=-1)
    changed = np.flatnonzero((rows[1:] != rows[:-1]).any(axis=-1)) + 1
    if len(changed) <= MIN_CHANGES:
        return none
    step, between = float(np.median(np.diff(times))), np.diff(times[changed])
    period = float(np.percentile(between, 100 * (1 - REGULAR_SHARE)))
    near = between[between < NEAR * period]
    regular = np.abs(near - period * np.round(near / period)) <= step + EQUAL
    if period < MIN_HELD * step - EQUAL or len(near) < len(between) / 2 or regular.mean() < REGULAR_SHARE:
        return none
    later, ends = ~none, [*times[changed], times[-1] + step]
    for row, end in zip([0, *changed], ends, strict=True):
        moments = times[row] + period * np.arange(round((end - times[row]) / period))
        later[row], later[np.searchsorted(times, moments - step / 2)] = False, False
    return later


def remedy_of_times(times: np.ndarray) -> str:
    """Return what to do about times that do not rise, the end of a sentence.

    Args:
        times: [N] seconds.

    >>> remedy_of_times(np.array([0.0, 0.5, 0.4]))
    'sort the log by time and give each value its own'
    """
    steps = np.diff(times)
    back = np.flatnonzero(steps < 0)
    if not len(back) and (times == np.round(times)).all():
        if (times % 60 == 0).all():
            return "its times are whole minutes, with several values each: export it with seconds"
        return "its times are whole seconds, with several values each: export it with fractions of a second"
    begun = times[back + 1] <= times[0] + np.median(np.abs(steps))  # times at which the clock begins anew
    if len(back) and begun.all() and (steps > 0).sum() >= MIN_RUN * (len(back) + 1):
        return "its clock begins anew, as after a restart of the logger: cut the log there, and do not sort it"
    return "sort the log by time and give each value its own"
