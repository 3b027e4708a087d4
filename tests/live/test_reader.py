"""The reader keeps the newest frame, and passes on how the feed ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from packdepth.errors import InputError
from packdepth.live.feeds import Arrival
from packdepth.live.reader import Reader


def arrival(number: int) -> Arrival:
    return Arrival(number, number / 10, 0.0, lambda: np.zeros((1, 1, 3), np.uint8))


def test_who_takes_slowly_gets_the_newest_frame() -> None:
    """Ten frames arrive while the first one is worked on."""
    taken, there = threading.Event(), threading.Event()

    def arrivals(stop: threading.Event) -> Iterator[Arrival]:
        yield arrival(0)
        taken.wait(5)
        for number in range(1, 11):
            yield arrival(number)
        there.set()
        stop.wait(5)

    reader = Reader(arrivals)
    first = reader.take()
    taken.set()
    there.wait(5)
    second = reader.take()
    assert first is not None
    assert second is not None
    assert (first.number, second.number, reader.dropped) == (0, 10, 9)
    reader.stop()
    assert reader.take() is None


def test_frames_that_the_feed_leaves_out_count_as_dropped() -> None:
    reader = Reader(lambda stop: iter([arrival(4)]))
    assert reader.take() is not None
    assert reader.dropped == 4


def test_an_error_comes_after_the_frame_before_it() -> None:
    def arrivals(stop: threading.Event) -> Iterator[Arrival]:
        yield arrival(0)
        raise InputError("camera 0: ended")

    reader = Reader(arrivals)
    reader.join()
    assert reader.take() is not None
    with pytest.raises(InputError, match="camera 0: ended"):
        reader.take()


def test_a_stop_ends_waiting_for_a_frame() -> None:
    def arrivals(stop: threading.Event) -> Iterator[Arrival]:
        stop.wait(5)
        return
        yield

    reader = Reader(arrivals)
    threading.Timer(0.05, reader.stop).start()
    assert reader.take() is None
