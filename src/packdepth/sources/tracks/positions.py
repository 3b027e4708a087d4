"""Speeds from positions: latitude and longitude of a receiver, or metres of an odometry."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from packdepth.errors import InputError, InputWarning
from packdepth.geometry.robust import DEVIATION_OVER_MEDIAN

CHORD = 4.0  # seconds: duration of the pieces in which a path by speeds is compared with that by positions
MIN_CHORDS = 4  # chords, of which one may be an outlier
MAX_RATIO = 1.5  # of a path by speeds over that by positions, or its inverse: wrong units change it more
WRONG, SURE_CHORDS = 0.08, 10  # of this ratio from 1, which is no error of a sensor in the mean of as many chords; the
# speedometer of a car may show a tenth too much
ROUNDED = (1e-3, 1e-4, 1 / 6000)  # degrees: steps of 111, 11 and 19 metres; those of the next decimal do no harm
OF_STEP = 0.2  # speed's error over the step of positions, 1/s: that of lines through 3 seconds, measured
EARTH = 6_371_009.0  # metres, mean radius
MIN_NEIGHBORS = 1  # positions on each side that are used, even if they are farther in time
LONGEST = 5.0  # seconds between neighbors: over a longer time a vehicle may have gone round a corner
BENT = 1.5  # windows from an end of a log, on which a parabola is laid; more of them bend otherwise, fewer are noisy
MIN_BENT = 3  # positions through which a parabola is laid
ROUNDS = 3  # reweightings of the line through the positions; more change it little
OUTLIER = 2.0  # standard deviations at which a position weighs a quarter (Geman and McClure)
JUMP = 25.0  # metres per second from a step to the next: full braking in two seconds, ten times a receiver's noise
MIN_JUMP_STEP = 0.9  # seconds between positions: more frequent ones make false accelerations by their noise
MOVES = 5.0  # metres per second by positions, of a vehicle that moves: several times a receiver's noise
MIN_STEP = 0.05  # seconds between positions whose speeds are computed; those between are interpolated
MIN_SPREAD = 0.1  # metres: a consumer receiver's noise from one position to the next


class Sensor(NamedTuple):
    """Sensor of positions. Its noise decides from how many of them a speed follows, and which paths are compared."""

    window: float  # seconds before and after a position from whose neighbors its speed is found
    min_chord: float  # metres: shorter pieces of a path are not compared


RECEIVER = Sensor(window=1.5, min_chord=12.0)  # of a satellite navigation system: metres off, a fifth of the chord
ODOMETRY = Sensor(window=0.3, min_chord=1.0)  # of wheels, lidar or images: centimetres off from a position to the next


def are_known(latitudes: np.ndarray, longitudes: np.ndarray) -> np.ndarray:
    """Return which positions are known, [N] bool: not those at 0, 0, which receivers without a fix write.

    Args:
        latitudes: [N] degrees, NaN where unknown.
        longitudes: [N] degrees, NaN where unknown.

    >>> are_known(np.array([48.1, np.nan, 0.0, 0.0]), np.array([11.5, 11.5, 0.0, 11.5])).tolist()
    [True, False, False, True]
    """
    known: np.ndarray = np.isfinite(latitudes) & np.isfinite(longitudes) & ((latitudes != 0) | (longitudes != 0))
    return known


def places_of(latitudes: np.ndarray, longitudes: np.ndarray) -> np.ndarray:
    """Return positions east and north of the first, [N, 2] metres.

    Args:
        latitudes: [N] degrees.
        longitudes: [N] degrees.

    >>> places_of(np.array([48.0, 48.0001]), np.array([11.0, 11.0])).round(1).tolist()
    [[0.0, 0.0], [0.0, 11.1]]
    """
    y = np.deg2rad(latitudes) * EARTH
    east = np.deg2rad(np.unwrap(longitudes, period=360.0))
    x = (east - east[:1]) * EARTH * np.cos(np.deg2rad(latitudes))
    return np.stack([x, y - y[:1]], axis=-1)


def speeds_from_places(times: np.ndarray, places: np.ndarray, sensor: Sensor = RECEIVER) -> np.ndarray:
    """Return the speed at each position: the slope of a robust line through the positions around it.

    Args:
        times: [N] seconds, rising.
        places: [N, 2] or [N, 3] metres.
        sensor: what tells the positions.

    Returns:
        [N] metres per second; NaN for a position without neighbors near in time, and for one to which the receiver
        jumped, which the speeds of its neighbors do not count either.

    >>> speeds_from_places(np.arange(5.0), np.arange(10.0).reshape(5, 2)).round(2)
    array([2.83, 2.83, 2.83, 2.83, 2.83])
    """
    sound = ~_jumps(times, places)
    speeds = np.full(len(times), np.nan)
    times, places = times[sound], places[sound]
    chosen = np.flatnonzero(np.diff((times - times[:1]) // MIN_STEP, prepend=-1.0))
    if len(chosen):
        slopes = [_slope(times, places, int(index), sensor.window) for index in chosen]
        speeds[sound] = np.interp(times, times[chosen], slopes)
    return speeds


def check_degrees(where: Path | str, latitudes: np.ndarray, longitudes: np.ndarray) -> None:
    """Raise InputError for positions that are not in degrees: beyond their range, or all within that of radians.

    A vehicle whose latitude and longitude are both that small would be at sea, off the coast of Africa.

    Args:
        where: what holds them, such as the file, for the message.
        latitudes: [N] degrees, NaN where unknown.
        longitudes: [N] degrees, NaN where unknown.

    >>> check_degrees("log.csv", np.array([48.1]), np.array([11.5]))
    """
    places = np.stack([latitudes, longitudes], axis=-1)[are_known(latitudes, longitudes)]  # [N, 2]
    beyond = places[(np.abs(places) > (90, 360)).any(axis=-1)]
    if len(beyond):
        place = beyond[0]
        likely = "degrees x 10^7?" if abs(place[0]) > 1e6 else "degrees and minutes, as in NMEA?"
        wrong = f"is none in degrees ({likely})"
    elif len(places) and (np.abs(places) <= (np.pi / 2, np.pi)).all():
        place, wrong = places[0], "would be at sea, off Africa, in degrees (radians?)"
    else:
        return
    raise InputError(f"{where}: the position {place[0]:.10g}, {place[1]:.10g} {wrong}; write degrees, such as 48.1173")


def warn_if_coarse(where: Path | str, latitudes: np.ndarray, longitudes: np.ndarray) -> None:
    """Warn of positions that are rounded so coarsely that speeds do not follow from them.

    Args:
        where: what holds them, such as the file, for the message.
        latitudes: [N] degrees.
        longitudes: [N] degrees.

    >>> warn_if_coarse("log.csv", np.array([48.1, 48.10001]), np.array([11.5, 11.5]))
    """
    places = np.concatenate([latitudes, longitudes])
    step = next((step for step in ROUNDED if np.allclose(places / step, np.round(places / step), 0, 1e-3)), None)
    if step is not None and len(places):
        metres = np.deg2rad(step) * EARTH
        warnings.warn(
            f"{where}: its positions are rounded to steps of {metres:.0f} m, so that speeds from them are off by about "
            f"{OF_STEP * metres:.0f} m/s; export it with more decimals, or with the speeds of the receiver",
            InputWarning,
            stacklevel=3,
        )


def agreeing_speeds(
    where: Path | str,
    times: np.ndarray,
    speeds: np.ndarray,
    places: np.ndarray,
    remedy: str,
    sensor: Sensor = RECEIVER,
) -> np.ndarray:
    """Return speeds, checked against the positions beside them: NaN where they are 0 although the positions move on.

    Nothing is checked if times do not rise.

    Args:
        where: what holds them, such as the file, for the message.
        times: [N] seconds.
        speeds: [N] metres per second.
        places: [N, 2] or [N, 3] metres.
        remedy: what to do about speeds in another unit, the end of a sentence.
        sensor: what tells the positions.

    Raises InputError if the path that follows from the speeds is much longer or shorter than that of the positions: the
    speeds are then in another unit. A smaller difference that is no sensor's error is a warning.

    >>> places = np.arange(80.0).reshape(40, 2) * 5  # 14.1 metres each second
    >>> agreeing_speeds("log.csv", np.arange(40.0), np.array([14.0] * 39 + [0.0]), places, "give unit=")[-2:]
    array([14., nan])
    """
    if len(times) < 2 or (np.diff(times) <= 0).any():
        return speeds
    still = np.flatnonzero(speeds == 0)
    moving = [index for index in still if _slope(times, places, int(index), sensor.window) > MOVES]
    known = np.ones(len(times), dtype=bool)
    if len(moving) <= len(times) / 2:  # otherwise no row has a speed, and the paths say so
        known[moving] = False
    _check_path(where, times[known], speeds[known], places[known], remedy, sensor)
    return np.where(known, speeds, np.nan)


def _check_path(
    where: Path | str, times: np.ndarray, speeds: np.ndarray, places: np.ndarray, remedy: str, sensor: Sensor
) -> None:
    """Compare the path that follows from speeds with that of the positions, in pieces of `CHORD` seconds.

    There is nothing to compare if fewer than `MIN_CHORDS` pieces are long enough.
    """
    traveled = np.concatenate([[0.0], np.cumsum(np.diff(times) * (speeds[1:] + speeds[:-1]) / 2)])
    ends = np.flatnonzero(np.diff((times - times[0]) // CHORD, prepend=-1.0))
    chords = np.linalg.norm(np.diff(places[ends], axis=0), axis=-1)
    lengths, spans = np.diff(traveled[ends]), np.diff(times[ends])
    used = (chords > sensor.min_chord) & (spans < 2 * CHORD) & (spans > 0)
    if used.sum() < MIN_CHORDS:
        return
    ratio = float(np.median(lengths[used] / chords[used]))
    if not 1 / MAX_RATIO < ratio < MAX_RATIO:
        raise InputError(
            f"{where}: its speeds make {ratio:.2f} times the path that its positions make; see in which unit they are "
            f"(km/h taken for m/s are 3.6 times, mph 2.24 times too fast), and {remedy}"
        )
    if abs(ratio - 1) > WRONG and used.sum() >= SURE_CHORDS:
        warnings.warn(
            f"{where}: its speeds make {ratio:.2f} times the path that its positions make, and metres by them are as "
            f"wrong; see whether they are those of a speedometer, or in another unit (mph are 0.87 knots)",
            InputWarning,
            stacklevel=3,
        )


def _jumps(times: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return at which positions the motion changes as no vehicle's does, [N] bool; of slow receivers alone.

    Where positions are frequent, `_slope` outweighs single ones by their neighbors.
    """
    steps = np.diff(times)
    if len(steps) < 2 or (steps <= 0).any():
        return np.zeros(len(times), dtype=bool)
    velocities = np.diff(places, axis=0) / steps[:, None]
    changes = np.linalg.norm(np.diff(velocities, axis=0), axis=-1)
    slow = np.minimum(steps[1:], steps[:-1]) >= MIN_JUMP_STEP
    return np.concatenate([[False], slow & (changes > JUMP), [False]])


def _slope(times: np.ndarray, places: np.ndarray, index: int, window: float) -> float:
    """Return the speed at one of the positions [N, D], metres, from those within a window, in seconds.

    Near an end of the log, where most neighbors are on one side, the line is a parabola: the slope of a straight one is
    that in the middle of the neighbors.
    """
    begin = min(times[index] - window, times[-1] - BENT * window)
    end = max(times[index] + window, times[0] + BENT * window)
    low, high = np.searchsorted(times, [begin - 1e-9, end + 1e-9])
    low, high = min(int(low), max(index - MIN_NEIGHBORS, 0)), max(int(high), min(index + MIN_NEIGHBORS + 1, len(times)))
    near = np.abs(times[low:high] - times[index]) <= LONGEST
    t, p = times[low:high][near] - times[index], places[low:high][near]
    if len(t) < 2:
        return float("nan")
    bent = len(t) >= MIN_BENT and abs(t.mean()) > window / 8
    design, weight = np.stack([t, np.ones_like(t), *([t**2] if bent else [])], axis=-1), np.ones_like(t)
    for _ in range(ROUNDS):
        scaled = design * weight[:, None]
        line = np.linalg.lstsq(scaled.T @ design, scaled.T @ p, rcond=None)[0]
        error = np.linalg.norm(p - design @ line, axis=-1)
        spread = max(DEVIATION_OVER_MEDIAN * float(np.median(error)), MIN_SPREAD)
        weight = 1 / (1 + (error / (OUTLIER * spread)) ** 2) ** 2
    return float(np.linalg.norm(line[0]))
