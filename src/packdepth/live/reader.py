"""A thread that reads a feed and keeps its newest frame only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from packdepth.live.feeds import Arrival

POLL_SECONDS = 0.2  # between looks for a stop, while there is no frame
CLOSE_SECONDS = 1.0  # that closing waits for the thread; one that FFmpeg holds longer ends with the process


class Reader:
    """The newest frame of a feed, which a thread reads.

    A frame that has not been taken when the next one arrives is dropped, so that whoever takes frames never falls
    behind, however slow.

    Args:
        arrivals: returns the frames of the feed until it ends or its argument is set, as `feeds.reconnecting` does.

    >>> frames = [Arrival(number, 0.1 * number, 0.0, lambda: None) for number in range(3)]
    >>> reader = Reader(lambda stop: iter(frames))
    >>> reader.join()
    >>> reader.take().number, reader.take(), reader.dropped
    (2, None, 2)
    """

    def __init__(self, arrivals: Callable[[threading.Event], Iterator[Arrival]]) -> None:
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._newest: Arrival | None = None
        self._ended = False
        self._error: Exception | None = None
        self._taken = -1  # number of the frame that was taken last
        self.dropped = 0  # number of frames before the one that was taken last that were not taken
        self._thread = threading.Thread(target=self._read, args=(arrivals,), name="packdepth live", daemon=True)
        self._thread.start()

    def _read(self, arrivals: Callable[[threading.Event], Iterator[Arrival]]) -> None:
        """Read until the end. An error is kept for whoever takes frames."""
        try:
            for arrival in arrivals(self._stop):
                if self._stop.is_set():
                    break
                with self._changed:
                    self._newest = arrival
                    self._changed.notify()
        except Exception as error:
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify()

    def take(self) -> Arrival | None:
        """Return the newest frame once there is one that was not taken; None after the end, or after `stop`.

        Raises the error that has ended the feed, such as InputError.
        """
        with self._changed:
            while self._newest is None and not self._ended and not self._stop.is_set():
                self._changed.wait(POLL_SECONDS)
            if self._stop.is_set():
                return None
            arrival, self._newest = self._newest, None
        if arrival is None:
            if self._error is not None:
                raise self._error
            return None
        self.dropped += arrival.number - self._taken - 1
        self._taken = arrival.number
        return arrival

    def stop(self) -> None:
        """End the reading soon. This may be called by a handler of signals."""
        self._stop.set()

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called, in contrast to a feed that has ended by itself."""
        return self._stop.is_set()

    def join(self) -> None:
        """Wait for the end of the feed; after `stop`, no longer than a moment."""
        self._thread.join(CLOSE_SECONDS if self._stop.is_set() else None)
