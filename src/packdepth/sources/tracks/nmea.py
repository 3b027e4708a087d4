"""Tracks in NMEA 0183 logs: the sentences RMC, VTG and GGA of any talker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path

import numpy as np

from packdepth.errors import InputError
from packdepth.sources.files import read_text
from packdepth.sources.tracks.clocks import DAY
from packdepth.sources.tracks.gpx import from_receiver
from packdepth.sources.tracks.positions import speeds_from_positions
from packdepth.sources.tracks.track import Track
from packdepth.sources.tracks.units import KMH, KNOT

CLEARLY = 0.8  # share of the usual order's difference from the positions, below which VTG is of the next fix; chosen


def looks_like_nmea(text: str) -> bool:
    """Return whether a text begins with sentences of NMEA.

    Args:
        text: the text.

    >>> looks_like_nmea("$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A")
    True
    """
    lines = [line for line in text.splitlines()[:20] if line.strip()]
    return sum(_sentence(line) is not None for line in lines) * 2 > len(lines)


def read_nmea(path: Path) -> Track:
    """Read a log of NMEA sentences. Sentences without a valid fix are gaps.

    Fixes before the first date are dated by it. VTG tells no time: it is of the fix before it or of the one after it,
    by the order in which the receiver writes; the positions tell which.

    Args:
        path: the file.

    Raises InputError for a file without a valid RMC or GGA sentence, and for times that do not rise.
    """
    fixes: dict[
        float, list[float]
    ] = {}  # seconds since 1970, or since the first midnight -> speed, latitude, longitude
    courses: list[tuple[int, float]] = []  # of VTG: number of fixes before it, and speed
    date, clock, dated = 0.0, -1.0, False
    for line in read_text(path, "NMEA sentences, such as $GPRMC,...").splitlines():
        fields = _sentence(line)
        if fields is None:
            continue
        kind = fields[0][-3:]
        try:
            if kind == "RMC" and len(fields) > 9 and fields[2] == "A":
                day = datetime.strptime(fields[9], "%d%m%y").replace(tzinfo=UTC).timestamp()
                now = _clock(fields[1])
                if not dated:
                    before = day - date - (DAY if _is_next_day(clock, now) else 0.0)
                    fixes = {stamp + before: fix for stamp, fix in fixes.items()}
                date, clock, dated = day, now, True
                fix = fixes.setdefault(date + clock, [np.nan] * 3)
                fix[0] = float(fields[7]) * KNOT if fields[7] else fix[0]
                fix[1:] = _degrees(fields[3], fields[4]), _degrees(fields[5], fields[6])
            elif kind == "GGA" and len(fields) > 6 and fields[6] not in ("", "0"):
                now = _clock(fields[1])
                date, clock = date + (DAY if _is_next_day(clock, now) else 0.0), now
                fixes.setdefault(date + clock, [np.nan] * 3)[1:] = (
                    _degrees(fields[2], fields[3]),
                    _degrees(fields[4], fields[5]),
                )
            elif kind == "VTG" and len(fields) > 7 and (fields[7] or fields[5]):
                speed = float(fields[7]) * KMH if fields[7] else float(fields[5]) * KNOT
                courses.append((len(fixes), speed))
        except ValueError:
            raise InputError(f"{path}: the sentence '{line.strip()}' cannot be read; remove it") from None
    if not fixes:
        raise InputError(f"{path}: holds no RMC or GGA sentence with a valid fix; log where the receiver has a fix")
    speeds, latitudes, longitudes = np.array(list(fixes.values())).T
    stamps = np.array(list(fixes))
    speeds = np.where(np.isnan(speeds), _of_courses(courses, stamps, latitudes, longitudes), speeds)
    track = from_receiver(path, stamps, speeds, latitudes, longitudes, "NMEA")
    return track if dated else replace(track, start=None, free_zero=True)  # GGA alone tells the time of the day


def _is_next_day(clock: float, now: float) -> bool:
    """Return whether a time of the day is of the day after the one before it."""
    return now < clock - DAY / 2


def _of_courses(
    courses: Sequence[tuple[int, float]], stamps: np.ndarray, latitudes: np.ndarray, longitudes: np.ndarray
) -> np.ndarray:
    """Return the speeds [N] of VTG at fixes, NaN where there is none.

    Args:
        courses: number of fixes before each VTG, and its speed in metres per second.
        stamps: [N] seconds of the fixes.
        latitudes: [N] degrees, NaN where unknown.
        longitudes: [N] degrees.
    """
    between = np.full(len(stamps) + 1, np.nan)  # at i, that between the fixes i - 1 and i
    for count, speed in reversed(courses):  # the first one counts
        between[count] = speed
    of_last, of_next = between[1:], between[:-1]
    placed = np.isfinite(latitudes) & np.isfinite(longitudes)
    if (np.diff(stamps[placed]) <= 0).any():
        return of_last
    moved = np.full(len(stamps), np.nan)
    moved[placed] = speeds_from_positions(stamps[placed], latitudes[placed], longitudes[placed])
    errors = [np.abs(each - moved) for each in (of_last, of_next)]
    both = np.isfinite(errors).all(axis=0)
    return of_next if both.any() and errors[1][both].mean() < CLEARLY * errors[0][both].mean() else of_last


def _sentence(line: str) -> list[str] | None:
    """Return the fields of a sentence; None for another line, or a wrong checksum."""
    line = line.strip()
    begin = line.find("$")
    if begin < 0 or len(line) < begin + 7:
        return None
    body, star, check = line[begin + 1 :].partition("*")
    if star and f"{reduce(lambda a, b: a ^ b, body.encode(), 0):02X}" != check.strip().upper()[:2]:
        return None
    fields = body.split(",")
    return fields if len(fields[0]) == 5 and fields[0].isalnum() and len(fields) > 3 else None


def _clock(text: str) -> float:
    """Return the seconds since midnight of hhmmss.sss."""
    return 3600.0 * int(text[:2]) + 60.0 * int(text[2:4]) + float(text[4:])


def _degrees(text: str, side: str) -> float:
    """Return the degrees of ddmm.mmmm or dddmm.mmmm; NaN if there are none."""
    if not text:
        return float("nan")
    head = text.index(".") - 2 if "." in text else len(text) - 2
    value = float(text[:head] or 0) + float(text[head:]) / 60
    return -value if side in ("S", "W") else value
