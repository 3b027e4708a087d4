"""Tracks in NMEA 0183 logs: the sentences RMC, VTG and GGA of any talker."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path

import numpy as np

from packdepth.errors import InputError
from packdepth.progress import counted
from packdepth.sources.files import read_text
from packdepth.sources.tracks.clocks import DAY
from packdepth.sources.tracks.fix import is_fix
from packdepth.sources.tracks.gpx import from_receiver
from packdepth.sources.tracks.positions import are_known, places_of, speeds_from_places
from packdepth.sources.tracks.track import Track, remedy_of_times
from packdepth.sources.tracks.units import KMH, KNOT

FORM = re.compile(r"\$([A-Za-z0-9]{5}(?:,[^,]*){3,})$")  # talker and kind, and fields behind commas
FIXES: dict[str, tuple[int | None, int | None]] = {"RMC": (2, 12), "GGA": (6, None), "VTG": (None, 9)}
"""The fields that say whether there is a fix, of the kinds of sentences that are read: its status, and its mode."""

CLEARLY = 0.8  # share of the usual order's difference from the positions, below which VTG is of the next fix; chosen


def looks_like_nmea(text: str) -> bool:
    """Return whether a text begins with lines of the form of NMEA, damaged or not.

    Args:
        text: the text.

    >>> looks_like_nmea("$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A")
    True
    """
    lines = [line for line in text.splitlines()[:20] if line.strip()]
    return sum(FORM.search(line.strip()) is not None for line in lines) * 2 > len(lines)


def read_nmea(path: Path) -> Track:
    """Read a log of NMEA sentences. Sentences without a valid fix are gaps.

    Fixes before the first date are dated by it. VTG tells no time: it is of the fix before it or of the one after it,
    by the order in which the receiver writes; the positions tell which.

    Args:
        path: the file.

    Raises InputError for a file without a valid RMC or GGA sentence, and for times that do not rise.
    """
    sentences, damaged = _sentences(read_text(path, "NMEA sentences, such as $GPRMC,..."))
    log = _Log()
    for fields in sentences:
        try:
            log.take(fields)
        except (ValueError, IndexError):
            raise InputError(f"{path}: the sentence '${','.join(fields)}' cannot be read; remove it") from None
    left = f"; {counted(damaged, 'damaged sentence')} left out" if damaged else ""
    left += f"; {counted(log.void, 'sentence')} without a fix" if log.void else ""
    if not log.fixes:
        raise InputError(
            f"{path}: holds no RMC or GGA sentence with a valid fix{left}; log where the receiver has a fix"
        )
    for name, times in log.clocks.items():
        again = int((np.diff(times) == 0).sum())
        if again:
            raise InputError(
                f"{path}: {again} of its {len(times)} sentences {name} have the time of the one before, and other "
                f"values; {remedy_of_times(np.array(times))}"
            )
    speeds, latitudes, longitudes = np.array(list(log.fixes.values())).T
    stamps = np.array(list(log.fixes))
    speeds = np.where(np.isnan(speeds), _of_courses(log.courses, stamps, latitudes, longitudes), speeds)
    track = from_receiver(path, stamps, speeds, latitudes, longitudes, "NMEA")
    track = replace(track, description=track.description + left)
    return track if log.dated else replace(track, start=None, free_zero=True)  # GGA alone tells the time of the day


@dataclass
class _Log:
    """Content of a log, sentence by sentence."""

    fixes: dict[float, list[float]] = field(default_factory=dict)  # speed (m/s), latitude and longitude (degrees) by
    # seconds since 1970, or since the first midnight
    courses: list[tuple[int, float]] = field(default_factory=list)  # of VTG: number of fixes before it, and speed
    clocks: dict[str, list[float]] = field(default_factory=dict)  # times of the day of RMC and GGA, by talker and kind
    void: int = 0  # RMC and GGA without a fix
    dated: bool = False  # whether an RMC has told the date
    date: float = 0.0  # the last date, seconds since 1970
    clock: float = -1.0  # the last time of the day, seconds
    last: dict[str, list[str]] = field(default_factory=dict)  # the last RMC and GGA, by talker and kind

    def take(self, fields: list[str]) -> None:
        """Add a sentence. One without a fix is counted, and one that is written twice is left out.

        Args:
            fields: the fields of the sentence.

        Raises ValueError or IndexError for a sentence that cannot be read.
        """
        kind = fields[0][-3:]
        if kind == "VTG":
            if _has_fix(fields) and (fields[7] or fields[5]):
                speed = float(fields[7]) * KMH if fields[7] else float(fields[5]) * KNOT
                self.courses.append((len(self.fixes), speed))
            return
        if kind not in FIXES or fields == self.last.get(fields[0]):
            return
        if not _has_fix(fields):
            self.void += 1
            return
        self.last[fields[0]] = fields
        now = _clock(fields[1])
        if kind == "RMC":
            day = datetime.strptime(fields[9], "%d%m%y").replace(tzinfo=UTC).timestamp()
            if not self.dated:
                before = day - self.date - (DAY if _is_next_day(self.clock, now) else 0.0)
                self.fixes = {stamp + before: fix for stamp, fix in self.fixes.items()}
            self.date, self.dated, place = day, True, fields[3:7]
        else:
            self.date, place = self.date + (DAY if _is_next_day(self.clock, now) else 0.0), fields[2:6]
        self.clock = now
        fix = self.fixes.setdefault(self.date + now, [np.nan] * 3)
        fix[1:] = _degrees(place[0], place[1]), _degrees(place[2], place[3])
        if kind == "RMC" and fields[7]:
            fix[0] = float(fields[7]) * KNOT
        self.clocks.setdefault(fields[0], []).append(now)


def _has_fix(fields: Sequence[str]) -> bool:
    """Return whether a sentence says that the receiver had a fix."""
    status, mode = FIXES[fields[0][-3:]]
    marks = ["" if index is None or index >= len(fields) else fields[index] for index in (status, mode)]
    return (status is None or marks[0] != "") and all(map(is_fix, marks))


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
    placed = are_known(latitudes, longitudes)
    if (np.diff(stamps[placed]) <= 0).any():
        return of_last
    moved = np.full(len(stamps), np.nan)
    moved[placed] = speeds_from_places(stamps[placed], places_of(latitudes[placed], longitudes[placed]))
    errors = [np.abs(each - moved) for each in (of_last, of_next)]
    both = np.isfinite(errors).all(axis=0)
    return of_next if both.any() and errors[1][both].mean() < CLEARLY * errors[0][both].mean() else of_last


def _sentences(text: str) -> tuple[list[list[str]], int]:
    """Return the fields of all sentences, and how many others are damaged.

    A wrong checksum tells, in a file with checksums a missing one, and in others a last line that does not end.
    """
    lines = [match[1] for line in text.splitlines() if (match := FORM.search(line.strip()))]
    signed = sum("*" in line for line in lines) * 2 > len(lines)
    if not signed and not text.endswith(("\n", "\r")):
        lines, cut = lines[:-1], lines[-1:]
    else:
        cut = []
    sound = []
    for line in lines:
        body, star, check = line.partition("*")
        summed = f"{reduce(lambda a, b: a ^ b, body.encode(), 0):02X}"
        if check.strip().upper()[:2] == summed if star else not signed:
            sound.append(body.split(","))
    return sound, len(lines) - len(sound) + len(cut)


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
