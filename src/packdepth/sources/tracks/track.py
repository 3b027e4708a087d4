"""Record of a track: speeds over time, on the clock of the device that recorded them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from packdepth.errors import InputError

MIN_HOLE = 2.0  # seconds: over a shorter time the speed of a vehicle changes nearly linearly; chosen by reasoning
EQUAL = 1e-6  # seconds: a time that differs by less is the same; sums of decimal fractions are off by less
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
    """Return a track. Raises InputError if it has fewer than two speeds, or if its times do not rise.

    Args:
        track: the track.
    """
    if len(track.times) < 2:
        raise InputError(f"{track.path}: holds {len(track.times)} speeds; give a log with two at least")
    wrong = np.flatnonzero(np.diff(track.times) <= 0)
    if len(wrong):
        first, count = int(wrong[0]), len(wrong)
        same = track.times[first] == track.times[first + 1]
        what = "have the same time" if same else "are not in the order of time"
        raise InputError(
            f"{track.path}: values {first + 1} and {first + 2} {what} ({track.times[first]:.6g} s, then "
            f"{track.times[first + 1]:.6g} s; {count} such places); sort the log by time and give each value its own"
        )
    return track
