"""Times as loggers write them: numbers, dates and times of the day."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from packdepth.errors import InputError

CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:[.,]\d+)?))?$")  # HH:MM:SS.fff
DAY = 86400.0  # seconds
DATES = ("%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d", "%d-%b-%Y", "%d %b %Y")  # besides ISO 8601; no date of ambiguous order


def parse_iso(text: str, where: str) -> tuple[float, bool]:
    """Parse a date with a time of the day.

    Args:
        text: the time, such as 2026-11-26T08:15:02.5Z.
        where: file and line, for the message.

    Returns:
        Seconds since 1970, and whether the text names its time zone. Without one, UTC is assumed.

    Raises InputError for another text.

    >>> parse_iso("2026-01-01T00:00:01.5+01:00", "log.csv")
    (1767222001.5, True)
    """
    text = text.strip().replace(",", ".")
    for word in (text, re.sub(r"\s+(UTC|GMT)$", "Z", text)):
        try:
            moment = datetime.fromisoformat(word)
            break
        except ValueError:
            continue
    else:
        day, _, clock = text.partition(" ")
        match = CLOCK.match(clock.strip())
        for pattern in DATES:
            try:
                moment = datetime.strptime(day, pattern)
            except ValueError:
                continue
            if match:
                return moment.replace(tzinfo=UTC).timestamp() + _seconds(match), False
        raise InputError(f"{where}: '{text}' is no time that can be read; write it like 2026-11-26T08:15:02.5Z")
    zone = moment.tzinfo is not None
    return (moment if zone else moment.replace(tzinfo=UTC)).timestamp(), zone


def is_date(text: str) -> bool:
    """Return whether a text begins with a date.

    Args:
        text: a cell.

    >>> is_date("2026-01-01 12:00"), is_date("12:00:03"), is_date("3.5")
    (True, False, False)
    """
    return (
        re.match(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}\.\d{1,2}\.\d{4}|\d{1,2}[- ][A-Za-z]{3}[- ]\d{4}", text)
        is not None
    )


def parse_clock(text: str, where: str) -> float:
    """Return the seconds since midnight of a time of the day.

    Args:
        text: HH:MM:SS, with or without a fraction.
        where: file and line, for the message.

    Raises InputError for another text.

    >>> parse_clock("01:00:02.5", "log.csv")
    3602.5
    """
    match = CLOCK.match(text.strip())
    if match is None:
        raise InputError(f"{where}: '{text}' is no time of the day; write it like 08:15:02.5")
    return _seconds(match)


def _seconds(match: re.Match[str]) -> float:
    """Return the seconds since midnight of a match of `CLOCK`."""
    hours, minutes, seconds = match.groups()
    return 3600.0 * int(hours) + 60.0 * int(minutes) + float((seconds or "0").replace(",", "."))
