"""Positions in the columns of a table: latitude and longitude, easting and northing, or x, y and z in metres."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from packdepth.sources.tracks.cells import Table, numbers, quoted
from packdepth.sources.tracks.positions import (
    ODOMETRY,
    RECEIVER,
    Sensor,
    are_known,
    check_degrees,
    places_of,
    warn_if_coarse,
)
from packdepth.sources.tracks.speed_names import NOT_OWN
from packdepth.sources.tracks.table_times import words
from packdepth.sources.tracks.units import length_unit

LATITUDE = re.compile(r"(^|[^a-z])(lat|latitude|breite|breitengrad)([^a-z]|$)")
LONGITUDE = re.compile(r"(^|[^a-z])(lon|lng|long|longitude|länge|laenge|längengrad)([^a-z]|$)")
RADIANS = re.compile(r"(^|[^a-z])rad(ians?)?([^a-z]|$)")
SIDE = re.compile(r"[^NSEW]*[NSEW]", re.IGNORECASE)  # a latitude or longitude with the letter of its hemisphere
GRID = tuple(re.compile(rf"(^|[^a-z]){side}ing([^a-z]|$)") for side in ("east", "north"))  # metres, as of UTM
_OF_POSITION = r"(?:p|t|pos|position|location|translation|odom)"
AXES = tuple(re.compile(rf"^(?:.*[^a-z])?(?:{_OF_POSITION}[ ./]*)?{axis}(?![a-z\d])") for axis in "xyz")
ROS = re.compile(r"pose[./]position[./][xyz]$")  # the field of a message, which is in metres (REP 103)
OTHER_THAN_POSITIONS = re.compile(
    r"(^|[^a-z])(v|w|a|q|vel|velocity|speed|twist|linear|angular|acc|accel|acceleration|gyro|mag|rate|orientation|"
    r"rotation|quaternion|quat|omega|covariance|std|imu)([^a-z]|$)|acceler|gyro|magnet"
)  # parts of the names of other vectors


class Positions(NamedTuple):
    """Positions in the rows of a table."""

    places: np.ndarray  # [N, D] float64 metres, NaN where unknown
    sensor: Sensor  # what tells them
    columns: tuple[str, ...]  # names of their columns
    degrees: tuple[np.ndarray, np.ndarray] | None = None  # [N] latitudes and longitudes; None for other positions

    @property
    def known(self) -> np.ndarray:
        """Rows whose position is known, [N] bool."""
        known: np.ndarray = np.isfinite(self.places).all(axis=-1)
        return known

    @property
    def description(self) -> str:
        """The columns that were read, such as "positions in columns 'lat', 'lon'"."""
        return f"positions in columns {quoted(self.columns)}"

    def warn_if_coarse(self, table: Table) -> None:
        """Warn if speeds do not follow from the positions, because these are rounded.

        Args:
            table: the table, for the message.
        """
        if self.degrees is not None:
            warn_if_coarse(table.path, *(each[self.known] for each in self.degrees))


def positions_in(table: Table) -> Positions | None:
    """Return the positions in a table; None if no columns hold any, or x and y without a unit.

    Args:
        table: the table.

    Raises InputError for latitudes and longitudes that are not in degrees, unless the header says radians.
    """
    names = [first_column(table, pattern) for pattern in (LATITUDE, LONGITUDE)]
    if None not in names:
        latitude, longitude = map(str, names)
        return _of_degrees(table, latitude, longitude)
    grid = [name for pattern in GRID if (name := first_column(table, pattern)) is not None]
    if len(grid) == len(GRID):
        return _of_lengths(table, grid, RECEIVER)
    axes = position_axes(table)
    if len(axes) < 2 or any(_metres(name) is None for name in axes):
        return None
    return _of_lengths(table, axes, ODOMETRY)


def position_axes(table: Table) -> list[str]:
    """Return the columns of x and y, and of z where there is one, of a position, by their names; none without them.

    Args:
        table: the table.
    """
    others = (OTHER_THAN_POSITIONS, NOT_OWN)
    own = [name for name in table.header if not any(pattern.search(words(name)) for pattern in others)]
    found = [[name for name in own if axis.search(words(name))] for axis in AXES]
    if any(len(names) != 1 for names in found[:2]):
        return []
    return [names[0] for names in found if len(names) == 1]


def first_column(table: Table, pattern: re.Pattern[str]) -> str | None:
    """Return the first column whose name matches; None without one.

    Args:
        table: the table.
        pattern: what is searched for in the words of a name.
    """
    return next((name for name in table.header if pattern.search(words(name))), None)


def _of_degrees(table: Table, latitude: str, longitude: str) -> Positions:
    """Return the positions in columns of latitude and longitude."""
    latitudes, longitudes = (
        np.rad2deg(numbers(table, name)) if RADIANS.search(words(name)) else _degrees(table, name)
        for name in (latitude, longitude)
    )
    check_degrees(table.path, latitudes, longitudes)
    known = are_known(latitudes, longitudes)
    places = np.full((len(known), 2), np.nan)
    places[known] = places_of(latitudes[known], longitudes[known])
    return Positions(places, RECEIVER, (latitude, longitude), (latitudes, longitudes))


def _of_lengths(table: Table, names: list[str], sensor: Sensor) -> Positions:
    """Return the positions in columns of lengths."""
    places = np.stack([(_metres(name) or 1.0) * numbers(table, name) for name in names], axis=-1)
    return Positions(places, sensor, tuple(names))


def _metres(name: str) -> float | None:
    """Return the metres of the unit of a column of lengths; None if its name does not tell."""
    return 1.0 if ROS.search(name) else length_unit(name)


def _degrees(table: Table, column: str) -> np.ndarray:
    """Return the degrees of a column, [N], NaN where a cell is empty. South and west may be letters."""
    cells = [cell.strip() for cell in table.column(column)]
    lettered = [SIDE.fullmatch(cell) is not None for cell in cells]
    plain = [cell[:-1] if letter else cell for cell, letter in zip(cells, lettered, strict=True)]
    south_or_west = [letter and cell[-1] in "SsWw" for cell, letter in zip(cells, lettered, strict=True)]
    degrees: np.ndarray = np.where(south_or_west, -1.0, 1.0) * numbers(table, column, plain)
    return degrees
