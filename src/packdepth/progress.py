"""Progress of long loops: bars, and durations and counts as text."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

from packdepth.terminal import raw

T = TypeVar("T")
FIRST_SECONDS = 5.0  # before the first line of progress where there is no terminal: it says how long all will take
LINE_SECONDS = 30.0  # between the lines after it, so that a hang can be told; both chosen
MIN_SECONDS = 1e-9  # lower bound of a divisor


class Pace:
    """The clock of a loop: it says when a line of progress is due, and how long the rest will take.

    Args:
        total: the number of steps of the loop.
        before: the number of steps that were done before this process began.

    >>> Pace(total=10).seconds_left(done=0)
    0.0
    """

    def __init__(self, total: int, before: int = 0) -> None:
        self.total, self.before = total, before
        self.started = time.monotonic()
        self.next_line = self.started + FIRST_SECONDS

    def is_due(self) -> bool:
        """Return whether a line of progress is due, and count it as printed if it is."""
        now = time.monotonic()
        if now < self.next_line:
            return False
        self.next_line = now + LINE_SECONDS
        return True

    def rate(self, done: int) -> float:
        """Return the number of steps in a second.

        Args:
            done: the number of finished steps.
        """
        return (done - self.before) / max(time.monotonic() - self.started, MIN_SECONDS)

    def seconds_left(self, done: int) -> float:
        """Return the seconds that the rest takes if it goes on like this; 0 before the first step.

        Args:
            done: the number of finished steps.
        """
        rate = self.rate(done)
        return (self.total - done) / rate if rate else 0.0

    def words(self, done: int) -> str:
        """Return the rate and the time that is left, such as "4/s  0:15 left"; the time so far before the first step.

        Args:
            done: the number of finished steps.
        """
        if done > self.before:
            return f"{self.rate(done):.3g}/s  {clock(self.seconds_left(done))} left"
        return f"{clock(time.monotonic() - self.started)} so far"


def progress(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Yield items while they are counted on standard error, as `counting` does.

    Args:
        items: the items, which are taken one at a time.
        what: the label, such as "depth".
        total: the number of items.

    >>> list(progress("abc", "letters", 3))
    ['a', 'b', 'c']
    """
    with counting(what, total) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that counts finished steps: a bar on standard error, or lines where that is no terminal.

    The first line comes after five seconds, the others every thirty, also during a step that takes longer. They say how
    much time is left.

    Args:
        what: the label, such as "depth".
        total: the number of steps.

    >>> with counting("frames", 3) as advance:
    ...     advance(3)
    """
    console = Console(file=raw(sys.stderr))
    if console.is_terminal:
        with Progress(console=console) as bar:
            task = bar.add_task(what, total=total)
            yield lambda steps: bar.advance(task, steps)
        return
    pace, done = Pace(total), 0

    def say() -> None:
        if pace.is_due():
            print(f"{what} {done}/{total}  {pace.words(done)}", file=sys.stderr, flush=True)

    def advance(steps: int) -> None:
        nonlocal done
        done += steps
        if done >= total:
            print(f"{what} {done}/{total}", file=sys.stderr, flush=True)
        else:
            say()

    with repeating(say):
        yield advance


@contextmanager
def repeating(say: Callable[[], None]) -> Iterator[None]:
    """Call a function every thirty seconds, in a thread of its own, until the block ends.

    Args:
        say: the function.

    >>> with repeating(lambda: print("still here")):
    ...     pass
    """
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(LINE_SECONDS):
            say()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def announced(text: str) -> Iterator[None]:
    """Say on standard error what the block does: at once on a terminal; elsewhere every thirty seconds.

    Elsewhere, a block that ends sooner says nothing.

    Args:
        text: the line.

    >>> with announced("reading the data"):
    ...     pass
    """
    if sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)
        yield
        return
    started = time.monotonic()
    with repeating(lambda: print(f"{text}, {clock(time.monotonic() - started)} so far", file=sys.stderr, flush=True)):
        yield


def clock(seconds: float) -> str:
    """Return a duration as h:mm:ss or m:ss.

    Args:
        seconds: the duration.

    >>> clock(3725), clock(65.4)
    ('1:02:05', '1:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless the number is one.

    Args:
        number: the number.
        noun: the noun in the singular, whose plural ends in s.

    >>> counted(1, "clip"), counted(1234, "frame")
    ('1 clip', '1,234 frames')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
