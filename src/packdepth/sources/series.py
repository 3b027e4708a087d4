"""Names of images: which of them count as one series, and when each image was taken.

A folder may hold the images of two cameras (left_0001, right_0001), or a stray one (cover). Neighbors in time are
images of one series only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

from packdepth.errors import InputError
from packdepth.sources.files import NUMBER_IN_NAME, listed, name_parts, number_start
from packdepth.sources.tracks.clocks import EARLIEST, LATEST

MIN_SERIES = 3  # images: a target and its two neighbors; fewer may be a coincidence of names
STAMP_UNITS = (1, 10**3, 10**6, 10**9)  # parts of a second that time stamps count
CALENDAR = re.compile(
    r"(?<!\d)(20\d\d)[-_.]?(\d\d)[-_.]?(\d\d)[-_.T ]{0,3}(\d\d)[-_.:h]?(\d\d)[-_.:m]?(\d\d)"
    r"(?:[.,]?(\d{1,9})|[-_](\d{3}|\d{6}|\d{9}))?(?!\d)"
)  # date and time of the day, with a fraction of a second or without
SINCE_1970 = re.compile(r"(?<!\d)(1\d{9})[-_](\d{9})(?!\d)")  # seconds and nanoseconds, as ROS counts them
MOMENTS = (CALENDAR, SINCE_1970)


class Series(NamedTuple):
    """Images that count as one series."""

    label: str  # what sets their names apart, such as "left"
    names: list[str]  # names in order


def series_of(names: Sequence[str]) -> tuple[list[Series], list[str]]:
    """Divide names in order into series, and the others, which belong to none.

    Names of a series have the same texts, in upper or lower case, and one number that counts. Dates with times count as
    a whole. If there is no series at all, all names are one, in order.

    Args:
        names: names of the images, without suffix, in order. Raises InputError for two that differ in case or in
            leading zeros alone.

    >>> series_of(["left_1", "left_2", "left_3", "right_1", "right_2", "right_3"])[0][1]
    Series(label='right', names=['right_1', 'right_2', 'right_3'])
    >>> series_of(["1", "2", "3", "cover"])
    ([Series(label='', names=['1', '2', '3'])], ['cover'])
    """
    if len(names) >= MIN_SERIES and number_start(names) is not None:
        return [Series(_label([names[0], names[-1]]), list(names))], []
    groups: dict[tuple[str | Decimal, ...], list[str]] = {}
    for name in names:
        groups.setdefault(_signature(name), []).append(name)
    parts = [part for group in groups.values() for part in _by_other_numbers(group)]
    series = [Series(_label(part), part) for part in parts if len(part) >= MIN_SERIES]
    for each in series:
        _check_distinct(each.names)
    if not series:
        return [Series("", list(names))], []
    kept = {name for each in series for name in each.names}
    others = [name for name in names if name not in kept]
    _check_strays(series, others)
    return series, others


def times_of(names: Sequence[str], rate: float) -> list[float]:
    """Return the times of images in seconds, by their names in order: time stamps, numbers that count, or the order.

    Args:
        names: names of the images, without suffix, in order.
        rate: images per second.

    >>> times_of(["frame_8", "frame_9", "frame_12"], rate=10)  # two are missing
    [0.0, 0.1, 0.4]
    >>> times_of(["1700000000000000000", "1700000000050000000"], rate=10)  # nanoseconds since 1970
    [1700000000.0, 1700000000.05]
    >>> times_of(["IMG_20261126_081559", "IMG_20261126_081601"], rate=10)  # from the first on: the zone is not known
    [0.0, 2.0]
    >>> times_of(["start", "middle"], rate=10)
    [0.0, 0.1]
    """
    stamps = stamps_of(names)
    if stamps is not None:
        return stamps
    in_order = [index / rate for index in range(len(names))]
    numbers = _numbers(names)
    if numbers is None or not _rise(numbers):
        return in_order
    usual = _usual_step(numbers)
    return [float((number - numbers[0]) / usual) / rate for number in numbers]


def stamps_of(names: Sequence[str]) -> list[float] | None:
    """Return the times in seconds that names in order state; None if they state none, or if these do not rise.

    Args:
        names: names of the images, without suffix, in order.

    >>> stamps_of(["0000_1700000000000", "0001_1700000000100"])  # milliseconds since 1970, beside an index
    [1700000000.0, 1700000000.1]
    >>> stamps_of(["0000", "0001"]) is None
    True
    """
    moments = _moments(names)
    if moments is not None:
        return moments
    numbers = _numbers(names)
    unit = None if numbers is None else _unit(numbers)
    return None if numbers is None or unit is None else [float(number / unit) for number in numbers]


def _unit(numbers: Sequence[Any]) -> int | None:
    """Return how many parts of a second numbers in order count since 1970; None if they are no such stamps."""
    return next((unit for unit in STAMP_UNITS if numbers[0] / unit >= EARLIEST and numbers[-1] / unit <= LATEST), None)


def _rise(numbers: Sequence[Any]) -> bool:
    """Return whether each number is larger than the one before."""
    return all(later > earlier for earlier, later in pairwise(numbers))


def _usual_step(numbers: Sequence[Any]) -> Any:
    """Return the median step of at least two numbers that rise."""
    steps = sorted(later - earlier for earlier, later in pairwise(numbers))
    return steps[(len(steps) - 1) // 2]


def _numbers(names: Sequence[str]) -> Sequence[Any] | None:
    """Return the number in which alone names in order differ, as int or Decimal, or of several the one that is a stamp.

    None if they differ in a text, or in several numbers of which none is a stamp that rises.
    """
    start = number_start(names)
    if start is not None:
        return [int(name[start:]) for name in names]
    parts = [name_parts(name.lower()) for name in names]
    varying = [place for place, values in enumerate(zip(*parts, strict=False)) if len(set(values)) > 1]
    if len({len(part) for part in parts}) > 1 or any(place % 2 == 0 for place in varying):
        return None
    columns = [[Decimal(part[place]) for part in parts] for place in varying]
    if len(columns) == 1:
        return columns[0]
    return next((column for column in columns if _rise(column) and _unit(column) is not None), None)


def unique_labels(series: Sequence[Series]) -> list[str]:
    """Return the labels of series, with a number added where two series would have the same.

    Args:
        series: the series of a folder.

    >>> unique_labels([Series("left", []), Series("", []), Series("left", [])])
    ['left', 'series', 'left-2']
    """
    labels: list[str] = []
    for label, _ in series:
        label = label or "series"
        same = sum(each == label or each.rpartition("-")[0] == label for each in labels)
        labels.append(f"{label}-{same + 1}" if same else label)
    return labels


def counted_clips(labels: Sequence[str], others: Sequence[str]) -> str:
    """Return into how many clips a folder is divided, in words.

    Args:
        labels: labels of its series.
        others: names that belong to none.

    >>> counted_clips(["left", "right"], ["cover"])
    '2 clips (left, right) and 1 unrelated image (cover)'
    """
    words = f"{len(labels)} clip{'s' * (len(labels) > 1)} ({listed(labels)})"
    return words + (f" and {len(others)} unrelated image{'s' * (len(others) > 1)} ({listed(others)})" if others else "")


def _signature(name: str) -> tuple[str | Decimal, ...]:
    """Return the texts of a name in lower case, without its date and time."""
    return tuple(name_parts(_without_moment(name).lower())[::2])


def _by_other_numbers(names: list[str]) -> list[list[str]]:
    """Divide names of equal texts by all numbers but the one that counts the frames, such as the number of a camera.

    The names stay one group if a part would have fewer than `MIN_SERIES` names.
    """
    if any(all(moment.search(name) for name in names) for moment in MOMENTS):
        return [names]
    numbers = [name_parts(name)[1::2] for name in names]
    distinct = [len(set(column)) for column in zip(*numbers, strict=True)]
    if sum(count > 1 for count in distinct) < 2:
        return [names]
    counter = distinct.index(max(distinct))
    parts: dict[tuple[str | Decimal, ...], list[str]] = {}
    for name, values in zip(names, numbers, strict=True):
        parts.setdefault(tuple(value for place, value in enumerate(values) if place != counter), []).append(name)
    return list(parts.values()) if all(len(part) >= MIN_SERIES for part in parts.values()) else [names]


def _label(names: list[str]) -> str:
    """Return what the names of a series share: the first of them without the number that counts."""
    parts = [name_parts(_without_moment(name)) for name in names]
    texts = NUMBER_IN_NAME.split(_without_moment(names[0]))
    same = [len({part[place] for part in parts}) == 1 for place in range(len(parts[0]))]
    words = [text for place, text in enumerate(texts) if place % 2 == 0 or same[place]]
    return re.sub(r"[^\w.-]+|_+", "_", "".join(words).replace("\0", "")).strip("_-.")


def _check_distinct(names: list[str]) -> None:
    """Raise InputError for two names of a series that are one but for case and leading zeros."""
    seen: dict[tuple[str | Decimal, ...], str] = {}
    for name in names:
        key = tuple(name_parts(name.lower()))
        if key in seen:
            raise InputError(f"'{name}' is a second image for the frame of '{seen[key]}'; remove one")
        seen[key] = name


def _check_strays(series: list[Series], others: list[str]) -> None:
    """Raise InputError for a copy of an image, as Windows and browsers name it."""
    known = {name.lower(): name for each in series for name in each.names}
    for name in others:
        original = re.sub(r"( \(\d+\)| - Copy( \(\d+\))?| copy( \d+)?| - Kopie| - copie)$", "", name, flags=re.I)
        if original != name and original.lower() in known:
            raise InputError(f"'{name}' is a copy of '{known[original.lower()]}'; remove one")


def _without_moment(name: str) -> str:
    """Return a name with a character in the place of a date with a time, or of another moment."""
    for moment in MOMENTS:
        name = moment.sub("\0", name)
    return name


def _moments(names: Sequence[str]) -> list[float] | None:
    """Return the times of names that each state a moment in two or more numbers: a date, or seconds and nanoseconds.

    Times are seconds since 1970, or since the first of dates, whose zone is not known. None if a name states none, if
    they do not rise, or if a counter follows the date, and no fraction of a second.
    """
    if len(names) < 2:
        return None
    dates = [CALENDAR.search(name) for name in names]
    if all(dates):
        moments = [_date(*found.groups()) for found in dates if found is not None]
    else:
        stamps = [SINCE_1970.search(name) for name in names]
        moments = [None if found is None else Decimal(f"{found[1]}.{found[2]}") for found in stamps]
    known = [moment for moment in moments if moment is not None]
    if len(known) < len(names) or not _rise(known):
        return None
    if all(dates):
        digits = next((len(found[8]) for found in dates if found is not None and found[8]), 0)
        counts = digits > 0 and _usual_step(known) == Decimal(10) ** -digits
        return None if counts else [float(each - known[0]) for each in known]
    return [float(each) for each in known]


def _date(*parts: str | None) -> Decimal | None:
    """Return the seconds since 1970 of the parts of a date with a time, as if in UTC; None if there is no such date."""
    try:
        moment = datetime.strptime("".join(part or "" for part in parts[:6]), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return Decimal(int(moment.timestamp())) + Decimal(f"0.{parts[6] or parts[7] or 0}")
