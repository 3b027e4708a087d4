"""Latency and frame rate of live prediction."""

from __future__ import annotations

from collections import deque

import numpy as np

KEPT = 10_000  # frames that the figures are of, the last ones: some minutes
SETTLED_FRAMES, SETTLED_SECONDS = 20, 2.0  # frames, or the time of frames, before which figures say little; chosen
SLOW = 95  # percent: the frames apart from the slowest twentieth


class Timing:
    """Latencies, and the frame rate, of the frames that were predicted last.

    The latency of a frame is the time from its arrival (of a recording: from when it is due) to its result. The frame
    rate is the inverse of the interval between two results.

    >>> timing = Timing()
    >>> for number in range(3):
    ...     timing.add(arrived=0.1 * number, done=0.1 * number + 0.05)
    >>> str(timing)
    '10.0 frames a second (10.0 in the slowest 5 %), latency 50 ms (95 %: 50 ms)'
    """

    def __init__(self) -> None:
        self.count = 0  # number of frames
        self._latencies: deque[float] = deque(maxlen=KEPT)  # seconds
        self._intervals: deque[float] = deque(maxlen=KEPT)  # seconds
        self._first: float | None = None
        self._last: float | None = None

    def add(self, arrived: float, done: float) -> None:
        """Add a frame.

        Args:
            arrived: when it arrived, in seconds of any clock.
            done: when its result was there, by the same clock.
        """
        self.count += 1
        self._first = done if self._first is None else self._first
        self._latencies.append(done - arrived)
        if self._last is not None:
            self._intervals.append(done - self._last)
        self._last = done

    @property
    def is_settled(self) -> bool:
        """Whether there are enough frames for figures: `SETTLED_FRAMES`, or those of `SETTLED_SECONDS`."""
        lasted = 0.0 if self._first is None or self._last is None else self._last - self._first
        return self.count >= SETTLED_FRAMES or lasted >= SETTLED_SECONDS

    def latency(self, percent: float = 50) -> float:
        """Return the latency that a share of the frames does not exceed, in seconds; NaN without frames.

        Args:
            percent: the share; 50 is the median.
        """
        return float(np.percentile(list(self._latencies), percent)) if self._latencies else float("nan")

    def rate(self, percent: float = 50) -> float:
        """Return the frame rate that a share of the frames does not fall below; NaN with less than two frames.

        Args:
            percent: the share; 50 is the median.
        """
        return 1 / float(np.percentile(list(self._intervals), percent)) if self._intervals else float("nan")

    def __str__(self) -> str:
        if not self._intervals:
            return "no frame rate yet"
        return (
            f"{self.rate():.1f} frames a second ({self.rate(SLOW):.1f} in the slowest 5 %), "
            f"latency {1e3 * self.latency():.0f} ms (95 %: {1e3 * self.latency(SLOW):.0f} ms)"
        )
