"""Robust statistics: standard deviations that outliers hardly change."""

import numpy as np

DEVIATION_OVER_MEDIAN = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


def robust_deviation(errors: np.ndarray) -> float:
    """Return the standard deviation of errors around zero, which fewer than half of them, as outliers, hardly change.

    It is the one of a normal distribution with the same median of absolute values.

    Args:
        errors: the errors [N], at least one, in any unit.

    >>> robust_deviation(np.array([-1.0, 0.0, 1.0, 2.0, 100.0]))
    1.4826
    """
    return DEVIATION_OVER_MEDIAN * float(np.median(np.abs(errors)))
