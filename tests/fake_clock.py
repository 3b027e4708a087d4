"""A clock that stands still but for what waits for it."""

from __future__ import annotations

import threading

from packdepth.live.feeds import Clock


class FakeClock(Clock):
    """A clock whose time passes by waiting alone."""

    def __init__(self) -> None:
        self.time = 100.0
        self.waits: list[float] = []  # seconds

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float, stop: threading.Event) -> None:
        if seconds > 0:
            self.waits.append(round(seconds, 6))
            self.time += seconds
