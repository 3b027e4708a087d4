"""Tracks in tables of text: CSV in the dialects of loggers, phones and spreadsheets."""

from __future__ import annotations

import csv
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from packdepth.blocks import nearest
from packdepth.errors import InputError, InputWarning
from packdepth.progress import counted
from packdepth.sources.files import require
from packdepth.sources.tracks.cells import (
    EMPTY,
    NUMBER,
    TYPES,
    UNIT_CELL,
    Table,
    is_value,
    numbers,
    quoted,
    with_points,
)
from packdepth.sources.tracks.fix import fixed_rows, is_status
from packdepth.sources.tracks.number_times import Pace
from packdepth.sources.tracks.positions import (
    agreeing_speeds,
    speeds_from_places,
)
from packdepth.sources.tracks.speed_names import FORWARD, OTHER, OWN, SPEED_WORDS, VELOCITIES, speed_kind
from packdepth.sources.tracks.table_positions import position_axes, positions_in
from packdepth.sources.tracks.table_times import TableTimes, is_time_name, words
from packdepth.sources.tracks.track import Track, check_times, checked, held
from packdepth.sources.tracks.units import SPEED_UNITS, SpeedUnit, scaled_speed_unit, speed_unit, time_unit

DELIMITERS = ("\t", ";", "|", ",", " ")  # in the order of trial: a comma may be a decimal comma, a space part of a date
SAMPLED_LINES = 200  # lines from whose number of cells the delimiter is found
SAME_SHARE = 0.8  # of these lines that must have one number of cells; the others are a preamble
COMMENTS = ("#", "//", "%")  # beginnings of comments
FIX = re.compile(r"(^|gps )(fix|fix ?(type|quality|status|mode|ok)|valid)$|\[fix\]$")  # has the receiver a fix?
STATUS = re.compile(r"(^|[^a-z])status$")
SENSOR = re.compile(r"(^|[^a-z])(sensor|source|device|channel|pid|id|name|unit)([^a-z]|$)")
MOST_SENSORS = 8  # in one table
MARK = 99.0  # the size, in any unit, of negative numbers that mark an unknown speed; -1, which phones write, is another


def read_speed_table(path: Path, column: str | None = None, unit: str | None = None) -> Track:
    """Read the speeds in a table of text.

    Args:
        path: the file.
        column: name of the column of the speed; if None, it is recognized by its header.
        unit: unit of the speed, one of `SPEED_UNITS`; if None, it is recognized by the header or in the cells.

    Raises InputError for a table whose columns, units or times are ambiguous, unknown or wrong.
    """
    table = read_table(path)
    columns = _speed_columns(table, column)
    _check_one_sensor(table)
    positions, fixed = positions_in(table), _fixed(table)
    if columns:
        read = _speeds if len(columns) == 1 else _speeds_of_components
        values, what = read(table, columns, unit)
        times = TableTimes.of(table, columns, Pace.of_speeds(values))
        values = np.where(fixed, values, np.nan)
        if positions is not None:
            known = np.isfinite(values) & positions.known
            values[known] = agreeing_speeds(
                path, times.seconds[known], values[known], positions.places[known], "give unit=", positions.sensor
            )
    elif positions is None:
        raise InputError(f"{path}: has no column of speed{_instead(table)}")
    elif unit is not None:
        raise InputError(
            f"{path}: has no column of speed that unit={unit} could be of; remove unit, or give column=NAME"
        )
    else:
        times = TableTimes.of(table, (), Pace.of_places(positions.places))
        known = fixed & positions.known
        known[known] = ~held(times.seconds[known], *positions.places[known].T)
        check_times(path, times.seconds[known])
        positions.warn_if_coarse(table)
        values = np.full(len(known), np.nan)
        values[known] = speeds_from_places(times.seconds[known], positions.places[known], positions.sensor)
        what = positions.description
    known = np.isfinite(values)
    gaps = int((~known).sum())
    what += f", {times.description}" + (f"; {gaps} of {len(known)} rows have no value" if gaps else "")
    return checked(Track(path, times.seconds[known], values[known], times.start, what, times.free_zero))


def _speeds(table: Table, columns: Sequence[str], unit: str | None) -> tuple[np.ndarray, str]:
    """Return the speeds of one column, [N] metres per second, NaN where unknown, and how they were read."""
    (speed,) = columns
    scale = _unit(table, speed, table.column(speed), unit)
    values = numbers(table, speed)
    what = _in_words(speed, scale)
    if speed_kind(speed) not in (OWN, OTHER):
        what += " (one component of a velocity)"
        warnings.warn(
            f"{table.path}: column '{speed}' is one component of a velocity, and less than the speed wherever the "
            f"camera does not move along it; give a column of the speed",
            InputWarning,
            stacklevel=2,
        )
    below = values[values < 0]
    if len(below) > 1 and len(set(below.tolist())) == 1 and (below[0] == -1 or below[0] <= -MARK):
        what += f", {len(below)} values of {below[0]:g} taken for unknown"
        values = np.where(values < 0, np.nan, values)
    elif len(below):
        what += f", {counted(len(below), 'negative value')} taken as speed in reverse"
    return np.abs(values) * scale.meters_per_second, what


def _speeds_of_components(table: Table, columns: Sequence[str], unit: str | None) -> tuple[np.ndarray, str]:
    """Return the speeds from the components of a velocity, as `_speeds` returns those of a column."""
    scales = [_unit(table, name, table.column(name), unit) for name in columns]
    parts = [numbers(table, name) * scale.meters_per_second for name, scale in zip(columns, scales, strict=True)]
    lengths: np.ndarray = np.linalg.norm(parts, axis=0)
    return lengths, f"length of the velocity in {' and '.join(map(_in_words, columns, scales))}"


def _in_words(column: str, scale: SpeedUnit) -> str:
    """Return how a column was read."""
    return f"column '{column}' in {scale if scale.multiple == 1 else f'units of {scale}'}"


def _fixed(table: Table) -> np.ndarray:
    """Return in which rows the receiver had a fix, [N] bool; in all if the table does not tell, or tells of none."""
    fixed = np.ones(len(table.rows), dtype=bool)
    for name in table.header:
        if FIX.search(words(name)) or (STATUS.search(words(name)) and is_status(table.column(name))):
            fixed &= fixed_rows(words(name), table.column(name))
    return fixed


def _check_one_sensor(table: Table) -> None:
    """Raise InputError if the rows are of several sensors in turn."""
    for name in table.header:
        cells = table.column(name)
        values = sorted(set(cells))
        texts = not any(is_value(cell) for cell in values) and not EMPTY & {value.lower() for value in values}
        turns = sum(cell != following for cell, following in pairwise(cells))
        named = texts or (SENSOR.search(words(name)) and all(value.isdigit() for value in values))
        if 1 < len(values) <= MOST_SENSORS and named and turns > len(cells) / 2 and len(cells) > 2 * len(values):
            raise InputError(
                f"{table.path}: column '{name}' is {quoted(values)} in turn, so that its rows are of several "
                f"sensors or quantities; keep those of one"
            )


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
    first = next((i for i, (_, row) in enumerate(rows) if len(row) == width and any(map(is_value, row))), None)
    if first is None:
        raise InputError(f"{path}: holds no row of numbers; give a table with a header, a time and a speed in each row")
    above = [row for _, row in rows[:first] if len(row) == width]
    if not above:  # a header may be the last comment
        comments = [line.lstrip().lstrip("#/% ") for number, line in lines if number < rows[first][0]]
        above = [row for row in (_split(line, delimiter) for line in comments[-1:]) if len(row) == width]
    while len(above) > 1 and all(cell.lower().strip("[]()") in TYPES for cell in above[-1]):
        above.pop()
    while any(map(all, above)) and not all(above[-1]) and not _are_units(above[-1]):
        above.pop()  # a second header with empty cells, such as the sensors below the names of RaceChrono
    if not above:
        raise InputError(
            f"{path}: has no header; add a first line with the names of its columns, such as time_s,speed_kmh"
        )
    header = above[-1]
    if len(above) > 1 and _are_units(above[-1]):
        header = [
            f"{name} [{of.strip('[]() ')}]" if of else name for name, of in zip(above[-2], above[-1], strict=True)
        ]
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
    if delimiter != "," or any('"' in line for _, line in plain):  # else each comma divides cells
        cells = with_points(path, header, cells, delimiter == ",")
    return Table(path, header, cells, numbers)


def _are_units(row: Sequence[str]) -> bool:
    """Return whether the cells of a row below the header are units, or empty."""
    named = any(speed_unit(cell) or time_unit(cell) for cell in row)
    return named and all(speed_unit(cell) or time_unit(cell) or UNIT_CELL.match(cell) for cell in row)


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
    for delimiter in DELIMITERS if sampled else ():
        widths = [len(_split(line, delimiter)) for line in sampled]
        width, count = Counter(widths).most_common(1)[0]
        if width > 1 and count >= min(SAME_SHARE * len(sampled), max(len(sampled) - 1, 2)):
            return delimiter, width
        # Few rows may stand below a long preamble: the last third of the lines decides then.
        tail = widths[-(len(sampled) // 3 or 1) :]
        width, count = Counter(tail).most_common(1)[0]
        if width > 1 and count >= max(SAME_SHARE * len(tail), 2):
            return delimiter, width
    raise InputError(f"{path}: is no table: its lines do not divide into columns; give a log as CSV, GPX or NMEA")


def _split(line: str, delimiter: str) -> list[str]:
    """Split a line into cells."""
    if delimiter == " ":
        return line.split()
    return [
        cell.strip() for cell in next(csv.reader([line.strip("\r\n")], delimiter=delimiter, skipinitialspace=True), [])
    ]


# --- columns ----------------------------------------------------------------------------------------------------


def _speed_columns(table: Table, column: str | None) -> list[str]:
    """Return the column of the speed, or those of the components of a velocity; none if there are none.

    Raises InputError if several could be meant.
    """
    if column is not None:
        same = [name for name in table.header if name.lower() == column.strip().lower()]
        if len(same) != 1:
            raise InputError(f"{table.path}: has no column '{column}': {nearest(column, table.header)}")
        return same
    kinds = {name: speed_kind(name) for name in table.header if _may_be_speed(table, name)}
    own = [name for name, kind in kinds.items() if kind == OWN]
    named = [name for name in own if SPEED_WORDS.search(words(name))]
    if len(named) > 1:
        raise InputError(f"{table.path}: has several columns of speed ({quoted(named)}); name one with column=NAME")
    if named or len(own) == 1:
        return named or own
    for axes in VELOCITIES:
        parts = [[name for name, kind in kinds.items() if kind == axis] for axis in axes]
        if not all(parts[:2]):
            continue
        double = next((names for names in parts if len(names) > 1), None)
        if double is not None:
            raise InputError(
                f"{table.path}: has several columns of one component of a velocity ({quoted(double)}); keep those of "
                f"one sensor"
            )
        return [name for names in parts for name in names]
    alone = [name for name, kind in kinds.items() if kind != OTHER]
    return alone if [kinds[name] for name in alone] == [FORWARD] else []


def _may_be_speed(table: Table, name: str) -> bool:
    """Return whether a column holds a speed of something, by the words or the unit in its name."""
    named = speed_unit(name) is not None or (SPEED_WORDS.search(words(name)) and not is_time_name(name))
    return bool(named) and any(cell.strip().lower() not in EMPTY for cell in table.column(name))


def _instead(table: Table) -> str:
    """Return what a table without a column of speed has, and what to do, for a message."""
    parts = [name for name in table.header if _may_be_speed(table, name) and speed_kind(name) not in (OWN, OTHER)]
    axes = position_axes(table)
    if axes and not parts:
        return (
            f", but a position in columns {quoted(axes)}, and does not say in which unit; write it into the header, "
            f"such as {axes[0]}_m, if its metres are true, and not those of monocular SLAM"
        )
    if not parts:
        return f"; its columns are {quoted(table.header)}; give column=NAME"
    return (
        f", but components of a velocity, and not all of them ({quoted(parts)}); add a column of the speed: the square "
        f"root of the sum of the squares of all components"
    )


def _unit(table: Table, column: str, cells: Sequence[str], unit: str | None) -> SpeedUnit:
    """Return the unit of a column of speeds. Raises InputError if it is unknown, or if two units contradict."""
    given = None if unit is None else scaled_speed_unit(unit)
    if unit is not None and given is None:
        raise InputError(f"unit: '{unit}' is no unit of speed; give one of {', '.join(SPEED_UNITS)}")
    written = {speed_unit(text) for text in {column} | {NUMBER.sub("", cell, count=1) for cell in cells}}
    written.discard(None)
    if len(written) > 1:
        raise InputError(
            f"{table.path}: column '{column}' is in {quoted(sorted(map(str, written)))}; give one unit in all rows"
        )
    found = written.pop() if written else None
    in_header = scaled_speed_unit(column)
    if given and found and (given.name != found or in_header not in (None, given)):
        raise InputError(
            f"{table.path}: column '{column}' says {in_header or found}, but unit={unit} is given; remove unit, or "
            f"mend the log"
        )
    if given is None and found is None:
        raise InputError(
            f"{table.path}: does not say in which unit its column '{column}' is; give unit=m/s, unit=km/h, unit=mph or "
            f"unit=knots, or write the unit into the header, such as speed_kmh"
        )
    chosen = in_header or scaled_speed_unit(f"{column} [{unit or found}]") or given
    if chosen is None:
        raise InputError(
            f"{table.path}: column '{column}' has a number beside its unit that may be a factor; give unit={found} if "
            f"there is none, or a multiple, such as unit='0.1 {found}' for numbers that are 10 times the speed"
        )
    return chosen
