"""Times as loggers write them: numbers, dates and times of the day."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np

from packdepth.errors import InputError

CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:[.,]\d+)?))?(?:\s*([AaPp])\.?[Mm]\.?)?$")  # HH:MM:SS.fff AM
MINUTES = re.compile(r"(\d{1,2}):(\d{2}[.,]\d+)$")  # MM:SS.f, as Excel writes a time into a CSV
DIGITS = re.compile(
    r"(20\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.?(\d+))?$"
)  # YYYYMMDDHHMMSS, with a fraction or without
EXIF = re.compile(r"^(\d{4}):(\d\d):(\d\d)(?=\s)")  # a date as ExifTool writes it, before the time of the day
SLASHES = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})\b[,\s]*")  # month and day, in the one or the other order
EARLIEST, LATEST = 946_684_800, 4_102_444_800  # seconds since 1970, of the years 2000 and 2100: no clock is beyond
HOUR, DAY, WEEK = 3600.0, 86400.0, 604800.0  # seconds
REGULAR = 10.0  # times the usual step: a minute that ends makes a step of 41 in numbers HHMMSS at one value a second
GPS_EPOCH = 315964800.0  # seconds since 1970, of GPS week 0
LEAP_SECONDS = ((1167264018, 18), (1119744017, 17), (1025136016, 16), (914803215, 15))
# by which GPS time is ahead of UTC, from a GPS time on, in seconds since its epoch (IERS Bulletin C); 14 before 2009
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
    text = EXIF.sub(r"\1-\2-\3", text.strip().replace(",", "."))
    digits = DIGITS.match(text)
    if digits:
        text = "{}-{}-{}T{}:{}:{}".format(*digits.groups()[:6]) + (f".{digits[7][:6]}" if digits[7] else "")
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
        re.match(
            r"\d{4}[-/.:]\d{1,2}[-/.:]\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{4}|\d{1,2}[- ][A-Za-z]{3}[- ]\d{4}|20\d{12,}$",
            text,
        )
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


def iso_dates(cells: Sequence[str], where: Callable[[int], str]) -> list[str]:
    """Return dates with slashes as dates of ISO 8601; other cells stay.

    The order of month and day is the one in which all cells are dates. If both are, it is the one in which the log is
    shorter. A wrong choice shifts all times by the same days, unless the log goes over midnight. The shift does no
    harm, because a date with slashes has no time zone and is not compared with other clocks.

    Args:
        cells: the cells of a column.
        where: returns file and line of a cell, for the message.

    Raises InputError if the cells are dates in neither order.

    >>> iso_dates(["11/26/2026 1:05:00 PM"], str)
    ['2026-11-26 13:05:00']
    """
    matches = [SLASHES.match(cell) for cell in cells]
    if not any(matches):
        return list(cells)
    found: list[tuple[float, list[str]]] = []
    for month, day in ((1, 2), (2, 1)):
        try:
            texts = [
                cell if match is None else _iso(match[3], match[month], match[day], cell[match.end() :])
                for cell, match in zip(cells, matches, strict=True)
            ]
            stamps = [parse_iso(text, "")[0] for text in texts]
        except (ValueError, InputError):
            continue
        found.append((max(stamps) - min(stamps), texts))
    if not found:
        raise InputError(f"{where(0)}: '{cells[0]}' is no time that can be read; write it like 2026-11-26T08:15:02.5Z")
    return min(found, key=lambda pair: pair[0])[1]


def _iso(year: str, month: str, day: str, clock: str) -> str:
    """Return a date and a time of the day in ISO 8601; the clock may be empty, or end in AM or PM."""
    date = datetime(int(year), int(month), int(day), tzinfo=UTC).date().isoformat()
    match = CLOCK.match(clock.strip())
    if not clock.strip():
        return date
    if match is None:
        return f"{date} {clock.strip()}"
    seconds = _seconds(match)
    fraction = f"{seconds % 60:09.6f}".rstrip("0").rstrip(".")
    return f"{date} {int(seconds // 3600):02d}:{int(seconds // 60 % 60):02d}:{fraction}"


def parse_minutes(text: str) -> float | None:
    """Return the seconds since the last full hour of a time MM:SS.f, which has no hour; None for another text.

    Args:
        text: a cell.

    >>> parse_minutes("02:03.5"), parse_minutes("12:00:01")
    (123.5, None)
    """
    match = MINUTES.match(text.strip())
    return None if match is None else 60.0 * int(match[1]) + float(match[2].replace(",", "."))


def utc_of_gps(week: float, seconds: float) -> float:
    """Return the seconds since 1970, UTC, of a time of GPS.

    Args:
        week: number of the week since 1980.
        seconds: seconds of the week.

    >>> datetime.fromtimestamp(utc_of_gps(2393, 345618), UTC).isoformat()
    '2025-11-20T00:00:00+00:00'
    """
    gps = WEEK * week + seconds
    return GPS_EPOCH + gps - next((leap for since, leap in LEAP_SECONDS if gps >= since), 14)


def clock_digits(values: np.ndarray) -> np.ndarray | None:
    """Return the seconds since midnight of numbers HHMMSS; None if the numbers may just as well be seconds.

    They are a clock's if a minute ends among them: 125959 is followed by 130000, so that the steps of the numbers are
    irregular, and those of the clock are not.

    Args:
        values: [N] the numbers of a column.

    >>> clock_digits(np.array([125957.0, 125958.0, 125959.0, 130000.0]))
    array([46797., 46798., 46799., 46800.])
    """
    hours, minutes, seconds = values // 10000, values // 100 % 100, values % 100
    if (values < 0).any() or (hours >= 24).any() or (minutes >= 60).any() or (seconds >= 60).any():
        return None
    clock: np.ndarray = 3600 * hours + 60 * minutes + seconds
    regular, irregular = (_is_regular(np.diff(each)) for each in (clock, values))
    return clock if regular and not irregular else None


def _is_regular(steps: np.ndarray) -> bool:
    """Return whether no step is much longer than the median step. Steps back at midnight are left out."""
    steps = steps[steps > -DAY / 2]
    return bool(len(steps) and steps.max() <= REGULAR * max(float(np.median(steps)), 1.0))


def _seconds(match: re.Match[str]) -> float:
    """Return the seconds since midnight of a match of `CLOCK`."""
    text, minutes, seconds, half = match.groups()
    hours = int(text) if half is None else int(text) % 12 + 12 * (half in "Pp")
    return 3600.0 * hours + 60.0 * int(minutes) + float((seconds or "0").replace(",", "."))
