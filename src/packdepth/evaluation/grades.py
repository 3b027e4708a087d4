"""Words for the error of depth, which all reports share. Importing this module loads no torch."""

from __future__ import annotations

import math
from typing import NamedTuple


class Grade(NamedTuple):
    """A word for errors up to a limit."""

    word: str  # the word, such as "Good"
    limit: float  # mean relative error (abs_rel)


GRADES = (Grade("Good", 0.15), Grade("Fair", 0.25), Grade("Rough", 0.4), Grade("Poor", math.inf))
"""Words for the mean relative error of depth, chosen: published networks reach about 0.06 to 0.12 on KITTI, and a depth
that depends on the position in the image alone about 0.2 to 0.4 on roads."""
CLEARLY_BETTER = 0.05
"""Share of a baseline's measured error by which a network's must be smaller to be clearly better; chosen."""
UNSURE = "Fair"
"""The best word for a network that is not clearly better than its baseline or a guess; chosen."""
NOT_BETTER = "Not better than guessing"
"""The word for a network that does not beat a guess by position in the image, whatever its error."""


def grade_of(error: float, at_best: str = GRADES[0].word) -> str:
    """Return the word for a mean relative error of depth.

    Args:
        error: the error.
        at_best: the best word that may be returned.

    >>> grade_of(0.11), grade_of(0.5), grade_of(0.11, at_best="Fair")
    ('Good', 'Poor', 'Fair')
    """
    allowed = GRADES[[grade.word for grade in GRADES].index(at_best) :]
    return next((grade.word for grade in allowed if error < grade.limit), GRADES[-1].word)


def percent(share: float) -> str:
    """Return a share in percent, without decimals.

    Args:
        share: the share.

    >>> percent(0.114)
    '11 %'
    """
    return f"{100 * share:.0f} %"


def percents(share: float, other: float) -> tuple[str, str]:
    """Return two shares in percent that are compared: with more decimals, three at most, if they would look equal.

    Args:
        share: a share.
        other: the share that it is compared with.

    >>> percents(0.12, 0.24), percents(0.098, 0.104)
    (('12 %', '24 %'), ('9.8 %', '10.4 %'))
    """
    for decimals in range(4):
        first, second = (f"{100 * value:.{decimals}f} %" for value in (share, other))
        if first != second:
            return first, second
    return percent(share), percent(other)
