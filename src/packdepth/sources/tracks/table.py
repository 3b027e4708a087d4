"""Tracks in tables of text: CSV in the dialects of loggers, phones and spreadsheets."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from packdepth.blocks import nearest
from packdepth.errors import InputError
from packdepth.sources.files import require
from packdepth.sources.tracks.clocks import CLOCK, DAY, is_date, parse_clock, parse_iso
from packdepth.sources.tracks.positions import speeds_from_positions
from packdepth.sources.tracks.track import Track, checked
from packdepth.sources.tracks.units import SPEED_UNITS, speed_unit, time_unit

DELIMITERS = ("\t", ";", "|", ",", " ")  # in the order of trial: a comma may be a decimal comma, a space part of a date
SAMPLED_LINES = 200  # lines from whose number of cells the delimiter is found
SAME_SHARE = 0.8  # of these lines that must have one number of cells; the others are a preamble
COMMENTS = ("#", "//", "%")  # beginnings of comments
EMPTY = {"", "-", "--", "na", "n/a", "nan", "null", "none", "?"}  # cells without a value
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?(?:\s*[^\d,.;\s][^,.;]*)?$")
SPEED_WORDS = re.compile(
    r"speed|velocity|geschwindigkeit|vitesse|velocidad|velocit|snelheid|hastighet|(^|[^a-z])(v|vel|spd|sog|tempo)([^a-z]|$)"
)
NO_SPEED_WORDS = re.compile(
    r"limit|engine|turbine|accura|sigma|heading|vertical|climb|angular|(^|[^a-z])(wind|fan|rpm|error|std|yaw)([^a-z]|$)"
)
TIME_WORDS = re.compile(
    r"time|stamp|zeit|temps|tiempo|tempo|tijd|elapsed|epoch|utc|date|datum|fecha|clock|(^|[^a-z])(t|ts|sec|secs|seconds?|ms)([^a-z]|$)"
)
DATE_WORDS = re.compile(r"date|datum|fecha|data$|day")
LATITUDE = re.compile(r"(^|[^a-z])(lat|latitude|breite|breitengrad)([^a-z]|$)")
LONGITUDE = re.compile(r"(^|[^a-z])(lon|lng|long|longitude|länge|laenge|längengrad)([^a-z]|$)")
EPOCH = 1e8  # seconds: larger times count from 1970, and are after 1973
# Units of time by their size, where the header names none. A logger writes between 0.2 and 200 values a second, so that
# a median step below 20 is in seconds, below 5000 in milliseconds, and so on.
UNITS_BY_STEP = (
    (20.0, 1.0, "seconds"),
    (5e3, 1e-3, "milliseconds"),
    (5e6, 1e-6, "microseconds"),
    (np.inf, 1e-9, "nanoseconds"),
)
UNITS_BY_EPOCH = (
    (1e11, 1.0, "seconds"),
    (1e14, 1e-3, "milliseconds"),
    (1e17, 1e-6, "microseconds"),
    (np.inf, 1e-9, "nanoseconds"),
)
UNIT_NAMES = {1.0: "seconds", 1e-3: "milliseconds", 1e-6: "microseconds", 1e-9: "nanoseconds"}


@dataclass(frozen=True)
class Table:
    """Cells of a text file."""

    path: Path  # the file
    header: list[str]  # names of the columns
    rows: list[list[str]]  # cells
    lines: list[int]  # number of the line of each row, from 1

    def column(self, name: str) -> list[str]:
        """Return the cells of a column.

        Args:
            name: name of the column.
        """
        index = self.header.index(name)
        return [row[index] for row in self.rows]

    def where(self, row: int) -> str:
        """Return file and line of a row, for messages.

        Args:
            row: index of the row.
        """
        return f"{self.path}: line {self.lines[row]}"


def read_speed_table(path: Path, column: str | None = None, unit: str | None = None) -> Track:
    """Read the speeds in a table of text.

    Args:
        path: the file.
        column: name of the column of the speed; if None, it is recognized by its header.
        unit: unit of the speed, one of `SPEED_UNITS`; if None, it is recognized by the header or in the cells.

    Raises InputError for a table whose columns, units or times are ambiguous, unknown or wrong.
    """
    table = read_table(path)
    speed = _speed_column(table, column)
    times = _Times.of(table, exclude=speed)
    if speed is not None:
        cells = table.column(speed)
        name = _unit(table, speed, cells, unit)
        values = np.array([_number(cell, table, row, speed) for row, cell in enumerate(cells)]) * SPEED_UNITS[name]
        what = f"column '{speed}' in {name}"
        if (values < 0).any():
            what += f", {int((values < 0).sum())} negative values taken as speeds in reverse"
        values = np.abs(values)
    else:
        latitude, longitude = (_only(table, pattern) for pattern in (LATITUDE, LONGITUDE))
        if latitude is None or longitude is None:
            raise InputError(
                f"{path}: has no column of speed; its columns are {_listed(table.header)}; give column=NAME"
            )
        if unit is not None:
            raise InputError(
                f"{path}: has no column of speed that unit={unit} could be of; remove unit, or give column=NAME"
            )
        places = [
            np.array([_number(cell, table, row, name) for row, cell in enumerate(table.column(name))])
            for name in (latitude, longitude)
        ]
        known = np.isfinite(places[0]) & np.isfinite(places[1])
        checked(Track(path, times.seconds[known], np.zeros(known.sum()), times.start, ""))
        values = np.full(len(known), np.nan)
        values[known] = speeds_from_positions(times.seconds[known], places[0][known], places[1][known])
        what = f"positions in columns '{latitude}' and '{longitude}'"
    known = np.isfinite(values)
    gaps = int((~known).sum())
    what += f", {times.description}" + (f"; {gaps} of {len(known)} rows have no value" if gaps else "")
    return checked(Track(path, times.seconds[known], values[known], times.start, what, times.free_zero))


# --- cells ------------------------------------------------------------------------------------------------------


def read_table(path: Path) -> Table:
    """Read the cells of a text file, whatever its encoding, delimiter, decimal sign, preamble and comments.

    Args:
        path: the file.

    Raises InputError for a file without a header or without rows.
    """
    lines = [(number, line) for number, line in enumerate(_text(path).splitlines(), start=1) if line.strip()]
    plain = [(number, line) for number, line in lines if not line.lstrip().startswith(COMMENTS)]
    delimiter, width = _delimiter(path, [line for _, line in plain])
    rows = [(number, _split(line, delimiter)) for number, line in plain]
    first = next((i for i, (_, row) in enumerate(rows) if len(row) == width and any(map(_is_value, row))), None)
    if first is None:
        raise InputError(f"{path}: holds no row of numbers; give a table with a header, a time and a speed in each row")
    above = [row for _, row in rows[:first] if len(row) == width]
    if not above:  # a header may be the last comment
        comments = [line.lstrip().lstrip("#/% ") for number, line in lines if number < rows[first][0]]
        above = [row for row in (_split(line, delimiter) for line in comments[-1:]) if len(row) == width]
    if not above:
        raise InputError(
            f"{path}: has no header; add a first line with the names of its columns, such as time_s,speed_kmh"
        )
    header = above[-1]
    if len(above) > 1 and all(not cell or speed_unit(cell) or time_unit(cell) or len(cell) <= 4 for cell in above[-1]):
        header = [f"{name} [{of}]" if of else name for name, of in zip(above[-2], above[-1], strict=True)]
    header = [name.strip("[] ") if name.startswith("[") else name for name in header]
    double = next((name for name, count in Counter(filter(None, header)).items() if count > 1), None)
    if double is not None:
        raise InputError(f"{path}: has two columns named '{double}'; rename one")
    cells, numbers = [], []
    for place, (number, row) in enumerate(rows[first:], start=first):
        if len(row) < width and place == len(rows) - 1:
            break  # a log that was cut off while its last line was written
        if len(row) < width or any(row[width:]):
            raise InputError(f"{path}: line {number} has {len(row)} cells for {width} columns; mend or remove it")
        cells.append(row[:width])
        numbers.append(number)
    divided = delimiter != "," or any('"' in line for _, line in plain)  # a comma in a cell may then be a decimal sign
    if divided and any(DECIMAL_COMMA.match(cell) for row in cells for cell in row):
        cells = [[cell.replace(",", ".") if DECIMAL_COMMA.match(cell) else cell for cell in row] for row in cells]
    return Table(path, header, cells, numbers)


def _text(path: Path) -> str:
    """Decode a file: UTF-16 by its mark or its zero bytes, otherwise UTF-8, otherwise Windows' Western encoding."""
    data = require(path, "a log of speeds").read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    if data[1:2] == b"\0" or data[:1] == b"\0":
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", errors="replace")
    if b"\0" in data:
        raise InputError(f"{path}: is no text; give a log as CSV, GPX or NMEA, or a video with telemetry")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _delimiter(path: Path, lines: Sequence[str]) -> tuple[str, int]:
    """Return the delimiter of a table, and its number of columns."""
    sampled = lines[-SAMPLED_LINES:]
    for delimiter in DELIMITERS:
        widths = Counter(len(_split(line, delimiter)) for line in sampled)
        for width, count in widths.most_common(1):
            # Few rows may stand below a long preamble: the last third of the lines decides then.
            tail = Counter(len(_split(line, delimiter)) for line in sampled[-(len(sampled) // 3 or 1) :]).most_common(
                1
            )[0]
            if width > 1 and count >= min(SAME_SHARE * len(sampled), max(len(sampled) - 1, 2)):
                return delimiter, width
            if tail[0] > 1 and tail[1] >= 2 and tail[1] >= SAME_SHARE * (len(sampled) // 3 or 1):
                return delimiter, tail[0]
    raise InputError(f"{path}: is no table: its lines do not divide into columns; give a log as CSV, GPX or NMEA")


def _split(line: str, delimiter: str) -> list[str]:
    """Split a line into cells."""
    if delimiter == " ":
        return line.split()
    return [
        cell.strip() for cell in next(csv.reader([line.strip("\r\n")], delimiter=delimiter, skipinitialspace=True), [])
    ]


def _is_value(cell: str) -> bool:
    """Return whether a cell begins with a number, a date or a time of the day."""
    return NUMBER.match(cell) is not None or DECIMAL_COMMA.match(cell) is not None


def _number(cell: str, table: Table, row: int, column: str) -> float:
    """Return the number in a cell, which a unit may follow; NaN for an empty cell."""
    text = cell.strip()
    if text.lower() in EMPTY:
        return float("nan")
    match = NUMBER.match(text)
    rest = text[match.end() :].strip() if match else text
    if match is None or (rest and speed_unit(rest) is None and rest[0] not in "°"):
        raise InputError(
            f"{table.where(row)}: '{cell}' in column '{column}' is no number; write one, or leave it empty"
        )
    return float(match.group())


# --- columns ----------------------------------------------------------------------------------------------------


def _speed_column(table: Table, column: str | None) -> str | None:
    """Return the column of the speed; None if there is none. Raises InputError if several could be meant."""
    if column is not None:
        same = [name for name in table.header if name.lower() == column.strip().lower()]
        if len(same) != 1:
            raise InputError(f"{table.path}: has no column '{column}': {nearest(column, table.header)}")
        return same[0]
    names = [
        name for name in table.header if SPEED_WORDS.search(_words(name)) and not NO_SPEED_WORDS.search(_words(name))
    ]
    names = [name for name in names if any(cell.strip().lower() not in EMPTY for cell in table.column(name))]
    names = [name for name in names if not _is_time_name(name) or speed_unit(name)]
    if len(names) > 1:
        raise InputError(f"{table.path}: has several columns of speed ({_listed(names)}); name one with column=NAME")
    if names:
        return names[0]
    by_unit = [name for name in table.header if speed_unit(name) and not NO_SPEED_WORDS.search(_words(name))]
    return by_unit[0] if len(by_unit) == 1 else None


def _unit(table: Table, column: str, cells: Sequence[str], unit: str | None) -> str:
    """Return the unit of a column of speeds. Raises InputError if it is unknown, or if two units contradict."""
    given = None if unit is None else speed_unit(unit)
    if unit is not None and given is None:
        raise InputError(f"unit: '{unit}' is no unit of speed; give one of {', '.join(SPEED_UNITS)}")
    written = {speed_unit(column)} | {speed_unit(NUMBER.sub("", cell, count=1)) for cell in cells}
    written.discard(None)
    if len(written) > 1:
        raise InputError(
            f"{table.path}: column '{column}' is in {_listed(sorted(map(str, written)))}; give one unit in all rows"
        )
    found = written.pop() if written else None
    if given and found and given != found:
        raise InputError(
            f"{table.path}: column '{column}' says {found}, but unit={unit} is given; remove unit, or mend the log"
        )
    chosen = given or found
    if chosen is None:
        raise InputError(
            f"{table.path}: does not say in which unit its column '{column}' is; give unit=m/s, unit=km/h, unit=mph or "
            f"unit=knots, or write the unit into the header, such as speed_kmh"
        )
    return chosen


def _only(table: Table, pattern: re.Pattern[str]) -> str | None:
    """Return the first column whose name matches."""
    return next((name for name in table.header if pattern.search(_words(name))), None)


def _words(name: str) -> str:
    """Return a name in lower case, with spaces between its words."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.sub(r"[_\s]+", " ", spaced).strip().lower()


def _is_time_name(name: str) -> bool:
    return TIME_WORDS.search(_words(name)) is not None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


# --- times ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Times:
    """Times of the rows of a table."""

    seconds: np.ndarray  # [N] float64
    start: float | None  # seconds since 1970 (UTC) at 0; None if it is not known
    free_zero: bool  # whether they count from the first row, because the clock tells no UTC
    description: str

    @classmethod
    def of(cls, table: Table, exclude: str | None) -> _Times:
        """Find and read the times. Raises InputError if no column holds them or a cell cannot be read."""
        names = [name for name in table.header if name != exclude and _is_time_name(name)]
        names = [name for name in names if _is_value(table.column(name)[0])]
        if not names:
            raise InputError(
                f"{table.path}: has no column of times; its columns are {_listed(table.header)}; add time_s"
            )
        dates = [name for name in names if is_date(table.column(name)[0])]
        clocks = [name for name in names if CLOCK.match(table.column(name)[0])]
        whole = [name for name in dates if ":" in table.column(name)[0]]
        if whole:
            return cls._absolute(table, table.column(whole[0]), f"times in column '{whole[0]}'")
        if dates and clocks:
            both = [f"{a} {b}" for a, b in zip(table.column(dates[0]), table.column(clocks[0]), strict=True)]
            return cls._absolute(table, both, f"times in columns '{dates[0]}' and '{clocks[0]}'")
        numbers = [name for name in names if name not in dates and name not in clocks]
        if numbers:
            return cls._numbers(table, numbers[0])
        return cls._clock(table, clocks[0]) if clocks else cls._absolute(table, table.column(dates[0]), "dates")

    @classmethod
    def _absolute(cls, table: Table, cells: Sequence[str], what: str) -> _Times:
        parsed = [parse_iso(cell, table.where(row)) for row, cell in enumerate(cells)]
        stamps = np.array([seconds for seconds, _ in parsed])
        if all(zone for _, zone in parsed):
            return cls(stamps - stamps[0], float(stamps[0]), False, f"{what} (with their time zone)")
        return cls(stamps - stamps[0], None, True, f"{what} (no time zone)")

    @classmethod
    def _clock(cls, table: Table, name: str) -> _Times:
        stamps = np.array([parse_clock(cell, table.where(row)) for row, cell in enumerate(table.column(name))])
        days = np.cumsum([0, *(np.diff(stamps) < -DAY / 2)])  # midnights passed
        return cls(stamps + days * DAY - stamps[0], None, True, f"times of the day in column '{name}'")

    @classmethod
    def _numbers(cls, table: Table, name: str) -> _Times:
        values = []
        for row, cell in enumerate(table.column(name)):
            try:
                values.append(float(cell))
            except ValueError:
                raise InputError(
                    f"{table.where(row)}: '{cell}' in column '{name}' is no time; mend or remove it"
                ) from None
        times = np.array(values)
        if not np.isfinite(times).all():
            raise InputError(
                f"{table.where(int(np.argmin(np.isfinite(times))))}: has no time in column '{name}'; add it"
            )
        unit, why = time_unit(name), ""
        if unit is None:
            size, steps = float(np.abs(times).max()), np.diff(times)
            step = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
            likely = UNITS_BY_EPOCH if size > EPOCH and size > 1e5 * max(step, 1e-9) else UNITS_BY_STEP
            unit, word = next((u, w) for limit, u, w in likely if (size if likely is UNITS_BY_EPOCH else step) < limit)
            why = f", taken for {word} by their size"
        else:
            why = f" in {UNIT_NAMES[unit]}"
        seconds, what = times * unit, f"times in column '{name}'{why}"
        if float(np.median(seconds)) > EPOCH:  # since 1970
            whole = np.floor(seconds[0])
            return cls(seconds - whole, float(whole), False, f"{what}, since 1970")
        return cls(seconds, None, False, what)
