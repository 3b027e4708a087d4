"""Times of the rows of a table, whatever clock its logger has."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from packdepth.errors import InputError
from packdepth.sources.tracks.cells import Table, is_value, quoted
from packdepth.sources.tracks.clocks import (
    CLOCK,
    DAY,
    DIGITS,
    EARLIEST,
    HOUR,
    LATEST,
    WEEK,
    clock_digits,
    is_date,
    iso_dates,
    parse_clock,
    parse_iso,
    parse_minutes,
    utc_of_gps,
)
from packdepth.sources.tracks.number_times import (
    UNITS,
    Pace,
    days_in_words,
    epoch_of,
    possible_units,
    unit_by_size,
)
from packdepth.sources.tracks.units import split_words, time_unit

TIME_WORDS = re.compile(
    r"time|stamp|zeit|temps|tiempo|tempo|tijd|elapsed|epoch|utc|date|datum|fecha|clock|"
    r"(^|[^a-z])(t|ts|tow|sow|secs?|seconds?|ms)([^a-z]|$)"
)
DAY_WORDS = re.compile(r"(^|[^a-z])(date|datum|fecha)$")
TWO_NUMBERS = re.compile(r"\s*\d{1,2}:\d{2}\s*$")
WEEK_WORDS = re.compile(r"(^|[^a-z])(gps ?)?(week|wn|wno|wnc)([^a-z]|$)")  # number of GPS's week
TOW_WORDS = re.compile(r"(^|[^a-z])(tow|sow|time ?of ?week)([^a-z]|$)")  # time of GPS's week
SECONDS_WORDS = re.compile(r"(^|[^a-z])(secs?|seconds?)$")  # whole seconds, as ROS writes them
NANOSECONDS = ("nsecs", "nsec", "nanosec", "nanosecs", "nanoseconds")  # the same word of the column with the rest
EPOCH = 1e8  # seconds: larger times of ROS count from 1970
MODULO = 1024  # GPS weeks below it are counted modulo it, or before 1999
ROUNDED = re.compile(r"\d[.,]?\d*[eE]\+?\d+$")  # a large number as Excel shows it: its last digits are lost
CHANGE, CHANGE_PERIODS = 2.0, 3.0  # seconds and periods within which a step of an hour is the change of a clock
UNIT_NAMES = {86400.0: "days", 3600.0: "hours", 60.0: "minutes"} | UNITS
ATOMIC = re.compile(r"(^|[^a-z])tai([^a-z]|$)")  # atomic time, which is not UTC


@dataclass(frozen=True, eq=False)
class TableTimes:
    """Times of the rows of a table."""

    seconds: np.ndarray  # [N] float64
    start: float | None  # seconds since 1970 (UTC) at 0; None if it is not known
    free_zero: bool  # whether they count from the first row, because the clock tells no UTC
    description: str  # how they were read

    @classmethod
    def of(cls, table: Table, exclude: Collection[str], pace: Pace) -> TableTimes:
        """Find and read the times of a table.

        Args:
            table: the table.
            exclude: the columns of the speed, which hold no times.
            pace: what the vehicle does from a row to the next.

        Raises InputError if no column holds times, if a cell cannot be read, or if nothing tells the unit.
        """
        first = {name: cell for name, cell in zip(table.header, table.rows[0], strict=True) if is_value(cell)}
        names = [name for name in first if name not in exclude and is_time_name(name)]
        if not names:
            raise InputError(
                f"{table.path}: has no column of times; its columns are {quoted(table.header)}; add time_s"
            )
        dates = [name for name in names if is_date(first[name])]
        clocks = [name for name in names if CLOCK.match(first[name])]
        whole = [name for name in dates if ":" in first[name] or DIGITS.match(first[name])]
        if whole:
            return cls._absolute(table, table.column(whole[0]), f"times in column '{whole[0]}'")
        if dates and clocks:
            both = [f"{a} {b}" for a, b in zip(table.column(dates[0]), table.column(clocks[0]), strict=True)]
            return cls._absolute(table, both, f"times in columns '{dates[0]}' and '{clocks[0]}'")
        others = [name for name in names if name not in dates and name not in clocks]
        numbers = [name for name in others if not DAY_WORDS.search(words(name))] or ([] if clocks else others)
        if numbers:  # a date that cannot be read is of no need beside times of the day
            return cls._of_week(table, numbers) or cls._split(table, numbers) or cls._numbers(table, numbers[0], pace)
        return cls._clock(table, clocks[0]) if clocks else cls._absolute(table, table.column(dates[0]), "dates")

    @classmethod
    def _absolute(cls, table: Table, cells: Sequence[str], what: str) -> TableTimes:
        """Return times of dates with times of the day."""
        cells = iso_dates(cells, table.where)
        parsed = [parse_iso(cell, table.where(row)) for row, cell in enumerate(cells)]
        stamps = np.array([seconds for seconds, _ in parsed])
        if all(zone for _, zone in parsed):
            return cls(stamps - stamps[0], float(stamps[0]), False, f"{what} (with their time zone)")
        return cls(stamps - stamps[0], None, True, f"{what} (no time zone)")._without_changes(table)

    @classmethod
    def _clock(cls, table: Table, name: str) -> TableTimes:
        """Return times of times of the day. Raises InputError if they may be minutes and seconds."""
        cells = table.column(name)
        if all(map(TWO_NUMBERS.match, cells)):
            raise InputError(
                f"{table.path}: its times in column '{name}', such as {cells[0]}, may be hours and minutes or minutes "
                f"and seconds; write them as hours, minutes and seconds, such as 08:15:02"
            )
        stamps = np.array([parse_clock(cell, table.where(row)) for row, cell in enumerate(cells)])
        times = cls(unwrapped(stamps, DAY), None, True, f"times of the day in column '{name}'")
        return times._without_changes(table)

    @classmethod
    def _of_week(cls, table: Table, names: Sequence[str]) -> TableTimes | None:
        """Return times of GPS: a week and the time within it, or the time alone; None if there is no such column."""
        week = next((name for name in table.header if WEEK_WORDS.search(words(name)) and not _is_of_week(name)), None)
        own = next((name for name in names if _is_of_week(name)), None)
        if week is not None:
            own = own or next((name for name in names if name != week), None)
        if own is None:
            return None
        numbers = _numbers_of_times(table, own)
        unit = time_unit(own) or (1.0 if numbers.max() < WEEK else 1e-3)
        seconds = numbers * unit
        if not 0 <= seconds.min() <= seconds.max() <= WEEK:
            return None
        weeks = [] if week is None else [float(cell or "nan") for cell in table.column(week)]
        if not weeks or not np.isfinite(weeks).all() or min(weeks) < MODULO:
            what = f"times in column '{own}' in {unit_in_words(unit)} of GPS's week"
            return cls(unwrapped(seconds, WEEK), None, True, what)
        stamps = np.array([utc_of_gps(number, second) for number, second in zip(weeks, seconds, strict=True)])
        start = float(np.floor(stamps[0]))
        return cls(stamps - start, start, False, f"times of GPS in columns '{week}' and '{own}'")

    @classmethod
    def _split(cls, table: Table, names: Sequence[str]) -> TableTimes | None:
        """Return times of two columns, seconds and nanoseconds, as ROS writes them; None if there are none."""
        for name in names:
            match = SECONDS_WORDS.search(words(name))
            if match is None:
                continue
            stem = name[: len(name) - len(match[0].strip(" _.[]"))].lower()
            other = next((each for each in table.header if each.lower() in [stem + word for word in NANOSECONDS]), None)
            if other is None:
                continue
            seconds, parts = _numbers_of_times(table, name), _numbers_of_times(table, other)
            start = float(seconds[0])
            times = seconds - start + parts * 1e-9
            what = f"times in columns '{name}' and '{other}'"
            if start > EPOCH:
                return cls(times, start, False, f"{what}, since 1970")
            return cls(times + start, None, False, what)
        return None

    @classmethod
    def _numbers(cls, table: Table, name: str, pace: Pace) -> TableTimes:
        """Return times that are numbers."""
        cells = table.column(name)
        what = f"times in column '{name}'"
        minutes = [parse_minutes(cell) for cell in cells]
        if all(minute is not None for minute in minutes):
            seconds = unwrapped(np.array(minutes, dtype=np.float64), HOUR)
            return cls(seconds, None, True, f"minutes and seconds of the hour in column '{name}'")
        times = _numbers_of_times(table, name)
        if (np.diff(times) == 0).any() and all(map(ROUNDED.match, cells)):
            raise InputError(
                f"{table.path}: column '{name}' holds {cells[0]}, whose last digits a spreadsheet has cut off; export "
                f"the log again, and do not save it with the spreadsheet"
            )
        named = time_unit(name)
        if named is not None:
            what += f" in {unit_in_words(named)}"
            if EARLIEST <= times[0] * named <= LATEST:
                return cls._dated(times, named, 0.0, f"{what}, since 1970", name)
            return cls(times * named, None, False, what)
        clock = clock_digits(times)
        if clock is not None:
            return cls(unwrapped(clock, DAY), None, True, f"times of the day in column '{name}' (HHMMSS)")
        steps = np.diff(times)
        step = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1.0
        days = days_in_words(times, step)
        if days is not None:
            return cls((times - times[0]) * DAY, None, True, f"{what}, taken for {days}")
        unit = unit_by_size(step, pace)
        epoch = epoch_of(times, unit)
        if epoch is not None:
            size, zero, of = epoch
            return cls._dated(times, size, zero, f"{what}, taken for {of}, by their size", name)
        if unit is None:
            units = " or ".join(UNITS[each] for each in possible_units(step) or UNITS)
            raise InputError(
                f"{table.path}: column '{name}' does not say its unit, and its values, {step:.4g} apart, may be "
                f"{units}; write the unit into the header, such as time_s or time_ms"
            )
        return cls(times * unit, None, False, f"{what}, taken for {UNITS[unit]} by their size")

    @classmethod
    def _dated(cls, times: np.ndarray, unit: float, zero: float, what: str, name: str) -> TableTimes:
        """Return times in seconds that count from a zero, in seconds since 1970: UTC, unless the column is in TAI."""
        seconds = (times - times[0]) * unit
        if ATOMIC.search(words(name)):
            return cls(seconds, None, True, f"{what} (in TAI, which is no UTC)")
        first = float(times[0]) * unit + zero
        start = float(np.floor(first))
        return cls(seconds + (first - start), start, False, what)

    def _without_changes(self, table: Table) -> TableTimes:
        """Return times of a clock without time zone, corrected where it was changed by an hour, and say so."""
        steps = np.diff(self.seconds)
        if not len(steps):
            return self
        period = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
        reach = max(CHANGE, CHANGE_PERIODS * period)
        changes = np.where(np.abs(steps - HOUR) <= reach, -HOUR, 0.0)
        changes += np.where((steps + HOUR > 0) & (steps + HOUR <= reach), HOUR, 0.0)
        places = np.flatnonzero(changes)
        if not len(places) or period > HOUR / 10:
            return self
        line = table.where(int(places[0]) + 1).rpartition(": ")[2]
        what = f"{self.description}; its clock was changed by an hour at {line}, which is corrected"
        return replace(self, seconds=self.seconds + np.concatenate([[0.0], np.cumsum(changes)]), description=what)


def unwrapped(stamps: np.ndarray, cycle: float) -> np.ndarray:
    """Return times since the first, of a clock that begins anew after a cycle.

    Args:
        stamps: [N] seconds since the cycle began.
        cycle: length of the cycle, in seconds.

    >>> unwrapped(np.array([86399.0, 0.0, 1.0]), DAY)
    array([0., 1., 2.])
    """
    begun = np.cumsum([0, *(np.diff(stamps) < -cycle / 2)])  # cycles that have begun since
    result: np.ndarray = stamps + begun * cycle - stamps[0]
    return result


def words(name: str) -> str:
    """Return a name in lower case, with spaces between its words.

    Args:
        name: name of a column.

    >>> words("GpsSpeed_kmh")
    'gps speed kmh'
    """
    return re.sub(r"[_\s]+", " ", split_words(name)).strip().lower()


def unit_in_words(unit: float) -> str:
    """Return a unit of time in words.

    Args:
        unit: the unit, in seconds.

    >>> unit_in_words(1e-3), unit_in_words(0.1)
    ('milliseconds', 'units of 0.1 s')
    """
    return UNIT_NAMES.get(unit, f"units of {unit:g} s")


def is_time_name(name: str) -> bool:
    """Return whether a column's name is that of times.

    Args:
        name: name of a column.

    >>> is_time_name("time_s"), is_time_name("iTOW"), is_time_name("speed")
    (True, True, False)
    """
    return TIME_WORDS.search(words(name)) is not None


def _is_of_week(name: str) -> bool:
    """Return whether a column's name is that of a time within GPS's week."""
    return TOW_WORDS.search(words(name)) is not None


def _numbers_of_times(table: Table, name: str) -> np.ndarray:
    """Return the numbers in a column of times, [N]. Raises InputError for a cell without one."""
    return np.array([_number_of_time(cell, table.where(row), name) for row, cell in enumerate(table.column(name))])


def _number_of_time(cell: str, where: str, name: str) -> float:
    """Return the number in a cell of a column of times. Raises InputError if it holds none."""
    try:
        value = float(cell)
    except ValueError:
        raise InputError(f"{where}: '{cell}' in column '{name}' is no time; mend or remove it") from None
    if not np.isfinite(value):
        raise InputError(f"{where}: has no time in column '{name}'; add it")
    return value
