"""Reading ahead keeps items, their order and their errors, and ends its thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from packdepth.inference.ahead import ahead, read_ahead


def readers() -> int:
    return sum(thread.name == "reading ahead" for thread in threading.enumerate())


@pytest.mark.parametrize("count", [1, 3, 100])
def test_items_come_in_order(count: int) -> None:
    with ahead(range(50), count) as stream:
        assert list(stream) == list(range(50))
    assert readers() == 0


def test_an_error_comes_where_its_item_would() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise ValueError("frame 3")

    with ahead(items(), 10) as stream:
        assert [next(stream), next(stream), next(stream)] == [0, 1, 2]
        with pytest.raises(ValueError, match="frame 3"):
            next(stream)
    assert readers() == 0


def test_no_more_is_taken_than_may_wait_and_leaving_early_ends_the_thread() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for index in range(1000):
            taken.append(index)
            yield index

    with ahead(items(), 4) as stream:
        assert next(stream) == 0
        time.sleep(0.2)
    assert len(taken) <= 1 + 4 + 1  # taken, waiting, and in hand
    assert readers() == 0


def test_batches_of_one_need_no_thread() -> None:
    with read_ahead(range(3), batch=1) as stream:
        assert readers() == 0
        assert list(stream) == [0, 1, 2]
