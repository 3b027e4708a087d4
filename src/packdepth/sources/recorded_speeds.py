"""Speeds of a topic of a recording, at the times of its images: by the stamps of messages, or by their recording."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from packdepth.errors import InputError, InputWarning
from packdepth.records import Clip
from packdepth.sources.speeds import EPOCH, frames_in_words
from packdepth.sources.tracks.positions import Sensor, agreeing_speeds, speeds_from_places
from packdepth.sources.tracks.track import Track, held, without_held

Clock = Literal["header", "recording"]
"""Times of messages: those of their headers, or those at which they were recorded."""

MAX_APART = 0.1  # seconds before the first and after the last speed at which an image has a speed: one frame at 10 Hz
SAME_CLOCK = 0.2  # seconds by which clocks of computers in one vehicle differ at most: NTP keeps them within a tenth
MAX_LATENCY = 1.0  # seconds from the stamp of a message to its recording: large images wait in queues and on networks
REMEDY = "give 'unit', or name another topic"  # of speeds that do not make the path of their positions
CLOCK_PARTS, PART_IMAGES = 10, 20  # parts of a recording, and fewest images of each, in which clocks are compared


class Times(NamedTuple):
    """Times of the messages of a topic."""

    topic: str  # the topic
    stamps: np.ndarray  # [N] float64 seconds: times of the headers; 0 where a message has none
    filed: np.ndarray  # [N] float64 seconds: times at which they were recorded, by the recorder's clock

    @property
    def missing(self) -> int:
        """Number of messages without a stamp."""
        return int((self.stamps == 0).sum())

    @property
    def missing_in_words(self) -> str:
        """The messages without a stamp, as the subject of a sentence."""
        count = len(self.stamps)
        return f"{'all' if self.missing == count else f'{self.missing} of the'} {count} messages on {self.topic}"

    @property
    def ahead(self) -> np.ndarray:
        """[N] seconds by which the stamps are later than the recording."""
        ahead: np.ndarray = self.stamps - self.filed
        return ahead


class Measured(NamedTuple):
    """Speeds and positions of a topic, in the order in which they were recorded."""

    times: Times  # [N] times of the messages
    speeds: np.ndarray  # [N] float64 metres per second; NaN where unknown
    places: np.ndarray | None  # [N, D] float64 metres: positions, NaN where unknown; None if the messages hold none
    sensor: Sensor  # what tells the positions
    how: str  # description of how the messages were read, as the end of a clause


class Lag(NamedTuple):
    """Seconds by which the stamps of two topics are ahead of their recording.

    >>> Lag(images=4.95, speeds=-0.05).two_clocks, Lag(images=-0.8, speeds=-0.05).two_clocks
    (True, False)
    """

    images: float  # of the images
    speeds: float  # of the speeds

    @property
    def apart(self) -> float:
        """Seconds between the clocks, if messages of both topics took the same time to be recorded."""
        return abs(self.images - self.speeds)

    @property
    def two_clocks(self) -> bool:
        """Whether latency does not explain the difference: no message is recorded before its stamp."""
        one_is_ahead = min(self) <= SAME_CLOCK < max(self)
        return self.apart > (SAME_CLOCK if one_is_ahead else MAX_LATENCY)


def with_recorded_speeds(clip: Clip, images: Times, measured: Measured, clock: Clock | None) -> Clip:
    """Return a clip with the speeds of a topic, and a sentence about how they were matched (`Clip.speed_source`).

    Args:
        clip: the clip of the images.
        images: the times of its images.
        measured: the speeds.
        clock: the times by which they are matched; None: stamps, or times of recording where stamps are missing.

    Raises InputError for stamps that are asked for and missing, for those of two clocks, and for speeds that cover none
    of the images.
    """
    topic = measured.times.topic
    if _by_stamps(images, measured.times, clock, clip.path):
        lag = _lag(images, measured.times)
        how = "its stamps and those of the images"
        how += f" ({_lag_in_words(lag, images.topic, topic)})" if lag.apart > SAME_CLOCK else ""
        track, times = _track(clip.path, measured, measured.times.stamps), images.stamps
    else:
        how = "the times at which its messages and the images were recorded"
        track, times = _track(clip.path, measured, measured.times.filed), images.filed
    speeds = _speeds_at(times, track, images.topic)
    frames = tuple(replace(frame, speed=speed) for frame, speed in zip(clip.frames, speeds, strict=True))
    attached = replace(clip, frames=frames)
    missing = f"; {frames_in_words(attached)}" if None in speeds else ""
    return replace(attached, speed_source=f"{topic}: matched by {how}{track.description.removeprefix(topic)}{missing}")


def _by_stamps(images: Times, speeds: Times, clock: Clock | None, path: Path) -> bool:
    """Return whether images and speeds are matched by stamps; otherwise, by the times at which they were recorded.

    Warns if only a part of the messages has stamps. Raises InputError if stamps are asked for and missing, and if they
    are of two clocks.
    """
    lacking = " and ".join(times.missing_in_words for times in (images, speeds) if times.missing)
    if clock == "header" and lacking:
        raise InputError(f"{path}: clock: is 'header', but {lacking} have no stamp; give 'recording', or leave it out")
    if clock is not None:
        return clock == "header"
    if lacking:
        if images.missing + speeds.missing < len(images.stamps) + len(speeds.stamps):
            warnings.warn(
                f"{path}: speed: {lacking} have no stamp, so that images and speeds are matched by the times at which "
                f"they were recorded; give 'clock': recording if this is right",
                InputWarning,
                stacklevel=2,
            )
        return False
    lag = _lag(images, speeds)
    if lag.two_clocks:
        raise InputError(
            f"{path}: speed: images and speeds have two clocks: {_lag_in_words(lag, images.topic, speeds.topic)}; give "
            f"'clock': recording to match them by the times of recording, or header if the stamps are right"
        )
    return True


def _lag(images: Times, speeds: Times) -> Lag:
    """Return by how much the stamps of both topics are ahead of their recording, in the part where they disagree most.

    The recorder's clock serves both topics. A clock that is set anew on the way shows in a part of the recording.
    """
    shared = (images.filed >= speeds.filed[0]) & (images.filed <= speeds.filed[-1])
    shared = shared if shared.any() else np.ones_like(shared)
    ours, theirs = images.ahead[shared], np.interp(images.filed[shared], speeds.filed, speeds.ahead)
    parts = np.array_split(np.arange(len(ours)), np.clip(len(ours) // PART_IMAGES, 1, CLOCK_PARTS))
    lags = [Lag(float(np.median(ours[part])), float(np.median(theirs[part]))) for part in parts]
    return max(lags, key=lambda lag: (lag.two_clocks, lag.apart))


def _lag_in_words(lag: Lag, images: str, speeds: str) -> str:
    """Return by how much the stamps of two topics are off the recorder's clock."""
    one, other = (f"{abs(seconds):.2f} s {'later' if seconds > 0 else 'earlier'}" for seconds in lag)
    return f"the stamps of {images} are {one} than their recording, and those of {speeds} {other}"


def warn_of_clock(images: Times, path: Path) -> None:
    """Warn if the clock of the images is not the recorder's, and so perhaps not that of a log of speeds.

    Args:
        images: the times of the images.
        path: the recording, for the message.
    """
    ahead = float(np.median(images.ahead))
    if not images.missing and images.stamps[0] > EPOCH and not -MAX_LATENCY <= ahead <= SAME_CLOCK:
        warnings.warn(
            f"{path}: the stamps of {images.topic} are {abs(ahead):.2f} s {'later' if ahead > 0 else 'earlier'} than "
            f"their recording, so that they may be no UTC, by which speeds are matched; give offset=auto, or "
            f"offset=SECONDS",
            InputWarning,
            stacklevel=2,
        )


def _track(path: Path, measured: Measured, times: np.ndarray) -> Track:
    """Return speeds over time; of several at one time, their mean. Without any, they follow from the positions.

    Raises InputError for fewer than two times with a speed, and for speeds that do not make the path of the positions.
    """
    topic = measured.times.topic
    where, rising, how = f"{path}: speed: {topic}", np.unique(times), measured.how
    if len(rising) < 2:
        raise InputError(f"{where} holds messages of one time only; name a topic with more")
    speeds = _means(times, measured.speeds)
    if measured.places is not None:
        places = np.stack([_means(times, axis) for axis in measured.places.T], axis=-1)
        placed = np.isfinite(places).all(axis=-1)
        own = np.isfinite(speeds)
        if own.any() and (speeds[own].any() or not _moves(places[placed], measured.sensor)):
            both = placed & own
            speeds[both] = agreeing_speeds(where, rising[both], speeds[both], places[both], REMEDY, measured.sensor)
        elif placed.any():
            how += ", speeds from its positions" + (", as its own are all 0" if own.any() else "")
            placed[placed] = ~held(rising[placed], *places[placed].T)
            speeds = np.full(len(rising), np.nan)
            speeds[placed] = speeds_from_places(rising[placed], places[placed], measured.sensor)
    known = np.isfinite(speeds)
    if known.sum() < 2:
        raise InputError(f"{where} holds {int(known.sum())} speeds, as of a receiver without a fix; name another topic")
    return without_held(Track(path, rising[known], speeds[known], None, f"{topic}{how}"))


def _moves(places: np.ndarray, sensor: Sensor) -> bool:
    """Return whether a path of positions [N, D] is longer than the noise of its sensor."""
    return bool((np.linalg.norm(places - places[:1], axis=-1) > sensor.min_chord).any())


def _means(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the mean value at each of the times, in their order."""
    rising, places = np.unique(times, return_inverse=True)
    sums = np.zeros(len(rising))
    np.add.at(sums, places, values)
    return sums / np.bincount(places)


def _speeds_at(times: np.ndarray, track: Track, images: str) -> list[float | None]:
    """Return the speeds at times: interpolated, but not over holes, and None more than `MAX_APART` before or after.

    Raises InputError if the speed is known at none of the times.
    """
    first, last = float(track.times[0]), float(track.times[-1])
    near = np.clip(times, first, last)
    speeds = np.where(np.abs(near - times) <= MAX_APART, track.speeds_at(near), np.nan)
    if np.isnan(speeds).all():
        raise InputError(
            f"{track.path}: speed: {track.description} covers none of the images: its times are {first:.2f} to "
            f"{last:.2f} s, those of {images} {times.min():.2f} to {times.max():.2f} s; record both on one clock, or "
            f"leave speed out"
        )
    return [None if np.isnan(speed) else float(speed) for speed in speeds]
