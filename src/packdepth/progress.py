"""Progress bars of long loops."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def progress(items: Iterable[T], what: str, total: int) -> Iterable[T]:
    """Yield items while a progress bar on standard error counts them.

    Args:
        items: the items, which are taken one at a time.
        what: the label of the bar, such as "depth".
        total: the number of items.

    >>> list(progress("abc", "letters", 3))
    ['a', 'b', 'c']
    """
    return track(items, description=what, total=total, console=Console(stderr=True))
