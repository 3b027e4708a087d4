"""Whether a receiver knew where it was: the marks that logs write beside a position or a speed."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

NO_FIX = {"0", "n", "no", "none", "false", "v", "void", "invalid", "nofix", "no fix", "no gps"}  # as `_plain` has them
DIMENSIONS = re.compile(r"(type|mode)")  # of columns that count dimensions: 2, 3, and 1 where there is no fix
STATUS = {"a", "v"}  # what a column of the status of RMC holds


def is_fix(mark: str) -> bool:
    """Return whether a mark says that the receiver had a fix, or says nothing.

    Args:
        mark: the mark, such as a cell of a column "fix".

    >>> is_fix("3"), is_fix("NO_FIX"), is_fix("none"), is_fix("")
    (True, False, False, True)
    """
    return _plain(mark) not in NO_FIX


def fixed_rows(name: str, cells: Sequence[str]) -> np.ndarray:
    """Return in which rows of a column of fixes the receiver had one, [N] bool; in all if that is true of none.

    Args:
        name: the name of the column, in lower case.
        cells: its cells.

    >>> fixed_rows("fix type", ["1", "3"]).tolist(), fixed_rows("fix quality", ["0", "1"]).tolist()
    ([False, True], [False, True])
    """
    least = "1" if DIMENSIONS.search(name) else None  # a type of 1 is none; a quality of 1 is that of plain GPS
    fixed = np.array([is_fix(cell) and cell.strip() != least for cell in cells])
    return fixed if fixed.any() else ~fixed


def is_status(cells: Sequence[str]) -> bool:
    """Return whether cells are the status of NMEA's sentence RMC: A with a fix, V without.

    Args:
        cells: the cells of a column.

    >>> is_status(["A", "V"]), is_status(["ok", "late"])
    (True, False)
    """
    return {_plain(cell) for cell in cells} == STATUS


def _plain(mark: str) -> str:
    """Return a mark in lower case, with single spaces in the place of other separators."""
    return re.sub(r"[\s_-]+", " ", mark).strip().lower()
