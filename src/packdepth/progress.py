"""Progress of long loops: bars, and durations and counts as text."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from packdepth.terminal import raw

T = TypeVar("T")
LINE_SECONDS = 30.0  # between lines of progress where there is no terminal, so that a hang can be told; chosen


def progress(items: Iterable[T], what: str, total: int) -> Iterable[T]:
    """Yield items while a progress bar on standard error counts them, or lines where that is no terminal.

    Args:
        items: the items, which are taken one at a time.
        what: the label of the bar, such as "depth".
        total: the number of items.

    >>> list(progress("abc", "letters", 3))
    ['a', 'b', 'c']
    """
    console = Console(file=raw(sys.stderr))
    if console.is_terminal:
        return track(items, description=what, total=total, console=console)
    return _with_lines(items, what, total)


def _with_lines(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Yield items, and print their count to standard error from time to time and at the end."""
    told = time.monotonic()
    for count, item in enumerate(items, start=1):
        yield item
        if count >= total or time.monotonic() - told >= LINE_SECONDS:
            told = time.monotonic()
            print(f"{what} {count}/{total}", file=sys.stderr, flush=True)


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
