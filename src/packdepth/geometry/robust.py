"""Robust statistics: a constant that makes the median absolute deviation comparable to a standard deviation."""

DEVIATION_OVER_MEDIAN = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
