"""Durations in words."""

from __future__ import annotations


def clock(seconds: float) -> str:
    """Return a duration as h:mm:ss or m:ss.

    Args:
        seconds: the duration, in seconds.

    >>> clock(65.4), clock(3600)
    ('1:05', '1:00:00')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
