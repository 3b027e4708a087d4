"""Tracks in NMEA 0183 logs: the sentences RMC, VTG and GGA of any talker."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import reduce
from pathlib import Path

import numpy as np

from packdepth.errors import InputError
from packdepth.sources.files import read_text
from packdepth.sources.tracks.clocks import DAY
from packdepth.sources.tracks.gpx import from_receiver
from packdepth.sources.tracks.track import Track
from packdepth.sources.tracks.units import KMH, KNOT


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

    Args:
        path: the file.

    Raises InputError for a file without a valid RMC or GGA sentence, and for times that do not rise.
    """
    fixes: dict[float, list[float]] = {}  # seconds since 1970 -> speed, latitude, longitude
    date, last = 0.0, None
    clock = -1.0
    for line in read_text(path, "NMEA sentences, such as $GPRMC,...").splitlines():
        fields = _sentence(line)
        if fields is None:
            continue
        kind = fields[0][-3:]
        try:
            if kind == "RMC" and len(fields) > 9 and fields[2] == "A":
                day = datetime.strptime(fields[9], "%d%m%y").replace(tzinfo=UTC)
                date, clock = day.timestamp(), _clock(fields[1])
                last = date + clock
                fix = fixes.setdefault(last, [np.nan] * 3)
                fix[0] = float(fields[7]) * KNOT if fields[7] else fix[0]
                fix[1:] = _degrees(fields[3], fields[4]), _degrees(fields[5], fields[6])
            elif kind == "GGA" and len(fields) > 6 and fields[6] not in ("", "0"):
                now = _clock(fields[1])
                date, clock = date + (DAY if now < clock - DAY / 2 else 0.0), now
                last = date + clock
                fixes.setdefault(last, [np.nan] * 3)[1:] = (
                    _degrees(fields[2], fields[3]),
                    _degrees(fields[4], fields[5]),
                )
            elif kind == "VTG" and len(fields) > 7 and last is not None and np.isnan(fixes[last][0]):
                if fields[7]:
                    fixes[last][0] = float(fields[7]) * KMH
                elif fields[5]:
                    fixes[last][0] = float(fields[5]) * KNOT
        except ValueError:
            raise InputError(f"{path}: the sentence '{line.strip()}' cannot be read; remove it") from None
    # Before the first RMC the date is not known: those fixes are left out if a date follows.
    if any(stamp >= DAY for stamp in fixes):
        fixes = {stamp: fix for stamp, fix in fixes.items() if stamp >= DAY}
    if not fixes:
        raise InputError(f"{path}: holds no RMC or GGA sentence with a valid fix; log where the receiver has a fix")
    speeds, latitudes, longitudes = np.array(list(fixes.values())).T
    track = from_receiver(path, np.array(list(fixes)), speeds, latitudes, longitudes, "NMEA")
    if track.start is not None and track.start < DAY:  # GGA alone: a time of the day without a date
        return Track(path, track.times, track.speeds, None, track.description, free_zero=True)
    return track


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
