"""Speeds from latitude and longitude."""

from __future__ import annotations

import numpy as np

from packdepth.geometry.robust import DEVIATION_OVER_MEDIAN

EARTH = 6_371_009.0  # metres, mean radius
WINDOW = 1.5  # seconds before and after a position from whose neighbors its speed is found; averages a receiver's noise
MIN_NEIGHBORS = 1  # positions on each side that are used, even if they are farther in time
LONGEST = 5.0  # seconds between neighbors: over a longer time a vehicle may have gone round a corner
ROUNDS = 3  # reweightings of the line through the positions; more change it little
OUTLIER = 2.0  # standard deviations at which a position weighs a quarter (Geman and McClure)
MIN_SPREAD = 0.1  # metres: a consumer receiver's noise from one position to the next


def speeds_from_positions(times: np.ndarray, latitudes: np.ndarray, longitudes: np.ndarray) -> np.ndarray:
    """Return the speed at each position: the slope of a robust line through the positions around it.

    Args:
        times: [N] seconds, rising.
        latitudes: [N] degrees.
        longitudes: [N] degrees.

    Returns:
        [N] metres per second; NaN for a position without neighbors near in time.

    >>> north = 48 + np.arange(5) * 1e-4  # degrees, 11.1 metres each
    >>> speeds_from_positions(np.arange(5.0), north, np.full(5, 11.0)).round(2)
    array([11.12, 11.12, 11.12, 11.12, 11.12])
    """
    y = np.deg2rad(latitudes) * EARTH
    east = np.deg2rad(np.unwrap(longitudes, period=360.0))
    x = (east - east[:1]) * EARTH * np.cos(np.deg2rad(latitudes))
    places = np.stack([x, y - y[:1]], axis=-1)
    return np.array([_slope(times, places, index) for index in range(len(times))])


def _slope(times: np.ndarray, places: np.ndarray, index: int) -> float:
    """Return the speed at one of the positions [N, 2], metres."""
    low, high = np.searchsorted(times, [times[index] - WINDOW, times[index] + WINDOW + 1e-9])
    low, high = min(int(low), max(index - MIN_NEIGHBORS, 0)), max(int(high), min(index + MIN_NEIGHBORS + 1, len(times)))
    near = np.abs(times[low:high] - times[index]) <= LONGEST
    t, p = times[low:high][near] - times[index], places[low:high][near]
    if len(t) < 2:
        return float("nan")
    design, weight = np.stack([t, np.ones_like(t)], axis=-1), np.ones_like(t)
    for _ in range(ROUNDS):
        scaled = design * weight[:, None]
        line = np.linalg.lstsq(scaled.T @ design, scaled.T @ p, rcond=None)[0]
        error = np.linalg.norm(p - design @ line, axis=-1)
        spread = max(DEVIATION_OVER_MEDIAN * float(np.median(error)), MIN_SPREAD)
        weight = 1 / (1 + (error / (OUTLIER * spread)) ** 2) ** 2
    return float(np.linalg.norm(line[0]))
