"""Cells of tables of text: which hold numbers, which are empty, and how numbers are written in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from packdepth.errors import InputError
from packdepth.sources.tracks.units import speed_unit

EMPTY = {"", "-", "--", "na", "n/a", "nan", "null", "none", "?"}  # cells without a value
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
LABEL = re.compile(r"\d+: ")  # the number of a sensor before its name, as RaceChrono writes below its header
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?(?:\s*[^\d,.;\s][^,.;]*)?$")
UNIT_CELL = re.compile(r"[(\[]?\s*(?:1/)?[A-Za-zµμ°%][\w°%µμ/^*.\s-]*[)\]]?$|^$|-$")  # a unit, such as [1/min]; or none
TYPES = {"float", "float32", "float64", "double", "int", "integer", "uint64", "number", "string", "str", "text", "time"}
# what a row of types below a header holds
POINTS = re.compile(r"\d{1,3}(\.\d{3})+(,\d+)?$")  # a number with points between its thousands
COMMAS = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?$")  # a number with commas between its thousands


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


def numbers(table: Table, column: str, cells: Sequence[str] | None = None) -> np.ndarray:
    """Return the numbers of a column, [N] float64, NaN where a cell is empty.

    Args:
        table: the table.
        column: name of the column.
        cells: the cells in place of those of the column.

    Raises InputError for a cell that holds no number, or a number and something else than a unit.
    """
    cells = table.column(column) if cells is None else cells
    return np.array([_number(cell, table, row, column) for row, cell in enumerate(cells)])


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


def is_value(cell: str) -> bool:
    """Return whether a cell begins with a number, a date or a time of the day.

    Args:
        cell: the cell.

    >>> is_value("12:03"), is_value("1,5"), is_value("speed"), is_value("1/min"), is_value("100: gps")
    (True, True, False, False, False)
    """
    number = NUMBER.match(cell) is not None and not cell.startswith("1/") and not LABEL.match(cell)
    return number or DECIMAL_COMMA.match(cell) is not None


def quoted(names: Sequence[str]) -> str:
    """Return names in quotes, with commas between them.

    Args:
        names: names of columns, or cells.

    >>> quoted(["time", "speed"])
    "'time', 'speed'"
    """
    return ", ".join(f"'{name}'" for name in names)


def with_points(
    path: Path, names: Sequence[str], rows: Sequence[Sequence[str]], divided_by_commas: bool
) -> list[list[str]]:
    """Return rows whose numbers have decimal points, and nothing between their thousands.

    Args:
        path: the file, for the message.
        names: names of the columns.
        rows: cells of the table, whose commas are no delimiters.
        divided_by_commas: whether commas divide cells too, so that cells with commas are quoted: spreadsheets in
            English quote thousands so, others decimal commas.

    Raises InputError for a column in which a comma may be either.
    """
    columns = [
        _column(path, name, list(cells), divided_by_commas)
        for name, cells in zip(names, zip(*rows, strict=True), strict=True)
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def _column(path: Path, name: str, cells: list[str], divided_by_commas: bool) -> list[str]:
    """Return the cells of a column with decimal points, and nothing between thousands."""
    if any("," in cell and POINTS.match(cell) for cell in cells):
        return [cell.replace(".", "").replace(",", ".") if POINTS.match(cell) else _decimal(cell) for cell in cells]
    with_comma = [cell for cell in cells if "," in cell]
    if not divided_by_commas or not with_comma or not all(COMMAS.match(cell) for cell in with_comma):
        return [_decimal(cell) for cell in cells]
    if any(cell.startswith("0") for cell in with_comma):
        return [_decimal(cell) for cell in cells]  # no number above a thousand begins with 0
    small = any(cell.isdigit() and len(cell) <= 3 for cell in cells)
    if small or any(cell.count(",") > 1 or "." in cell for cell in with_comma):
        return [cell.replace(",", "") if COMMAS.match(cell) else cell for cell in cells]
    raise InputError(
        f"{path}: '{with_comma[0]}' in column '{name}' may be a thousand or a decimal comma; write numbers without "
        f"thousands separators, and with decimal points"
    )


def _decimal(cell: str) -> str:
    """Return a cell with a decimal point in place of a decimal comma."""
    return cell.replace(",", ".") if DECIMAL_COMMA.match(cell) else cell
