"""Reading ahead: a thread takes the next items while earlier ones are worked on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")
WAIT = 0.1  # seconds after which a waiting thread looks whether it is still needed; chosen


@contextmanager
def ahead(items: Iterable[T], count: int) -> Iterator[Iterator[T]]:
    """Yield an iterator over the same items, which a thread takes up to `count` items ahead.

    An error of the items is raised where its item would have come. The thread has ended when the block has.

    Args:
        items: the items; only the thread takes them.
        count: maximum number of items that wait.

    >>> with ahead(iter("abc"), count=2) as letters:
    ...     "".join(letters)
    'abc'
    """
    waiting: Queue[T | _End] = Queue(count)
    stopped = Event()

    def put(item: T | _End) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=WAIT)
            except Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as error:  # it is raised again where the item is missed
            put(_End(error))
        else:
            put(_End(None))

    def taken() -> Iterator[T]:
        while True:
            item = waiting.get()
            if not isinstance(item, _End):
                yield item
            elif item.error is not None:
                raise item.error
            else:
                return

    thread = Thread(target=work, name="reading ahead", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        stopped.set()
        thread.join()


@contextmanager
def read_ahead(items: Iterable[T], batch: int) -> Iterator[Iterator[T]]:
    """Yield an iterator over the same items, which are read ahead if a batch holds more than one of them.

    Args:
        items: the items.
        batch: number of items of a batch; two batches wait at most.

    >>> with read_ahead("abc", batch=1) as letters:
    ...     next(letters)
    'a'
    """
    if batch == 1:
        yield iter(items)
        return
    with ahead(items, 2 * batch) as stream:
        yield stream


class _End:
    """The end of the items, with the error that ended them."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
