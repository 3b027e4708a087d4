"""Offset between the clock of a logger and that of a video, from the motion of the images over the ground.

The images give the motion between neighboring frames in camera heights (`geometry.ground_motion`), the log gives it in
metres. At the true offset the two are proportional. Their likelihood over all offsets gives the offset and how sure it
is; the factor between them and slow changes of it (hills, load, pitch) are nuisance parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from packdepth.geometry.robust import DEVIATION_OVER_MEDIAN
from packdepth.records import Clip
from packdepth.sources.tracks.track import Track

STEP = 0.1  # seconds between the images of a pair, at least: the motion is then large enough to be measured
MAX_PAIRS = 300  # pairs of images, spread over the clip: some seconds of work
SHIFT_PAIRS = 100  # where it is only seen whether speeds and images agree
MIN_PAIRS = 12  # pairs with a measured motion that an offset needs
GRID = 0.02  # seconds between the offsets that are tried
COARSE_GRID = 0.1  # seconds between those that are tried for speeds which belong to frames already
# Errors of a measured motion over the ground, as shares of it. The suspension moves a camera by 2 % of its height, and
# a slope that changes by a third of a degree within view changes the measure by 4 %.
WHITE = 0.02  # standard deviation of errors that are independent in each pair
SLOW = 0.04  # standard deviation of slow errors: slope, camber, load, pitch of the car
SLOW_TIME = 2.0  # seconds over which slow errors are forgotten
KINK = 2.0  # metres per second squared: a change of acceleration between two values of a log, which are joined by a
# straight line, is off by up to an eighth of it times the period of the log
FLOOR = 0.3  # metres per second: errors do not shrink further below this speed
NEIGHBORS = 4  # motions before and after, of which a motion is compared with the median
OUTLIER, MIN_OUTLIER = 4.0, 0.2  # standard deviations, and share of that median, at which a motion is left out: a car
# that brakes hard (8 m/s^2) changes its speed by less in 0.4 s, above 16 m/s
# Factor of all variances, at least: with 1, only 80 % of the errors on simulated drives were within 2 deviations.
MIN_EXCESS = 2.0
TOLERANCE = 0.12  # of the logarithm: three standard deviations of WHITE and SLOW together, nearly
PENALTY = 4.0  # cost of a motion beyond it, in variances: outliers come in bursts, and are not independent evidence
MAX_DEVIATION = 0.25  # seconds: a less certain offset is refused; at 2 m/s^2 it makes an error of 0.5 m/s
MAX_TRIED = 1500  # offsets of a long log that are tried first
NEAR = 2.0  # seconds around the best one that are then tried closely
# Changes of the speeds of the frames, as shares of their mean, below which an offset hardly matters; chosen
HARMLESS = 0.03  # mean over the frames: lengths are compared with speeds to a few per cent, too
HARMLESS_FRAME = 0.1  # in a single frame, with the noise of the log
TRIED_HARMLESS = 101  # offsets that are compared with the middle one
# Speeds of another time than the images. Of 890 simulated drives of 8 to 25 s with right speeds, none was denied.
MIN_VARIATION = 0.1  # standard deviation of the speeds as a share of their mean: with less, a shift hardly matters
MIN_SHIFT = 0.3  # seconds
MAX_MISFIT = 1.5  # mean squared error of the motions at the best shift, in variances: with more, they are no road's
MIN_EVIDENCE = 20.0  # logarithm of the likelihood at the best shift over that at none


@dataclass(frozen=True)
class Offset:
    """Logger's time at the first frame, and how sure it is."""

    seconds: float  # the offset
    deviation: float  # its standard deviation, seconds
    low: float  # first offset that was tried, seconds
    high: float  # last offset that was tried

    def in_words(self) -> str:
        """Return the offset in one clause.

        >>> Offset(1.72, 0.05, 0.0, 4.0).in_words()
        'offset 1.72 s (found from the images, standard deviation 0.05 s, among 0.00 to 4.00 s)'
        >>> Offset(-0.001, 0.04, -0.11, 0.1).in_words().partition(" (")[0]
        'offset 0.00 s'
        """
        return (
            f"offset {self.seconds:z.2f} s (found from the images, standard deviation {self.deviation:.2f} s, among "
            f"{self.low:z.2f} to {self.high:z.2f} s)"
        )


def find_offset(clip: Clip, track: Track) -> Offset | str:
    """Return the logger's time at the first frame of a clip, or why the images do not determine it, a clause.

    It is assumed that the log covers the whole clip, but for one period of the log at each end. A log that is shorter
    than the clip is assumed to lie within it.

    Args:
        clip: the clip, with all its frames.
        track: the log of its speeds.

    There is none with too few motions, too little variation, or several candidates.
    """
    times, motions = _motions(clip, MAX_PAIRS)
    return offset_between(times, motions, track, clip.frames[-1].time - clip.frames[0].time)


@lru_cache(maxsize=16)
def _motions(clip: Clip, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the times [N, 2] of pairs of frames, seconds since the first frame, and their motions [N], heights/s."""
    stamps = np.array([frame.time for frame in clip.frames])
    stamps = stamps - stamps[0]
    pairs = pairs_apart(stamps)
    stride = max(1, round(float(np.median(pairs[:, 1] - pairs[:, 0])))) if len(pairs) else 1
    pairs = pairs[::stride]
    pairs = pairs[np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), most)).round().astype(int))]
    spans, lengths = stamps[pairs], road_motions(clip, pairs)
    return spans, lengths / (spans[:, 1] - spans[:, 0]) if len(spans) else lengths


def pairs_apart(stamps: np.ndarray) -> np.ndarray:
    """Return the pairs of a frame and the first frame that is at least `STEP` seconds later: [N, 2] indices.

    Pairs that are `3 * STEP` or more apart are left out.

    Args:
        stamps: rising times of the frames, [frames] seconds.

    >>> pairs_apart(np.array([0.0, 0.05, 0.1, 0.9])).tolist()
    [[0, 2]]
    """
    seconds = np.searchsorted(stamps, stamps + STEP - 1e-3)
    firsts = np.flatnonzero(seconds < len(stamps))
    firsts = firsts[stamps[seconds[firsts]] - stamps[firsts] < 3 * STEP]
    return np.stack([firsts, seconds[firsts]], axis=-1)


def road_motions(clip: Clip, pairs: np.ndarray) -> np.ndarray:
    """Return the lengths of the motions over the road, in camera heights: [N], NaN where it cannot be measured.

    Args:
        clip: the clip.
        pairs: pairs of its frames, [N, 2] indices.
    """
    from packdepth.geometry.ground_motion import ground_motions, small_ground_image

    images = {index: small_ground_image(clip.frames[index].image.read()) for index in np.unique(pairs).tolist()}
    found = ground_motions([(images[i], images[j]) for i, j in pairs.tolist()], clip.camera)
    return np.array([np.nan if motion is None else motion.length for motion in found])


def offset_between(times: np.ndarray, motions: np.ndarray, track: Track, length: float) -> Offset | str:
    """Return the offset at which motions and speeds agree best, or the reason why there is none.

    Args:
        times: [N, 2] begin and end of each motion, in seconds since the first frame.
        motions: [N] speeds up to a common factor, such as camera heights a second; NaN where unknown.
        track: the log.
        length: duration of the clip, in seconds.
    """
    count = len(motions)
    times, motions = _judged(times, motions)
    if len(motions) < MIN_PAIRS:
        return f"only {len(motions)} of {count} motions over the ground could be measured in its images"
    low, high = _range(track, length)
    likelihood = _Likelihood(times, motions, track)
    coarse = max(GRID, (high - low) / MAX_TRIED)
    offsets = np.arange(low, high + coarse / 2, coarse)
    prior = ((offsets - low) / track.period).clip(0, 1) * ((high - offsets) / track.period).clip(0, 1)
    shares = likelihood.of(offsets, prior)
    if shares is None:
        return "the log does not overlap with it"
    mean, deviation = _moments(offsets, shares)
    if coarse > GRID and deviation <= MAX_DEVIATION + coarse:
        offsets = np.arange(max(low, mean - NEAR), min(high, mean + NEAR), GRID)
        shares = likelihood.of(offsets, np.ones_like(offsets))
        assert shares is not None
        mean, deviation = _moments(offsets, shares)
    if deviation > MAX_DEVIATION:
        best = float(offsets[int(shares.argmax())])
        return (
            f"the speed varies too little there for what the images tell: the most likely one, {best:.2f} s, has a "
            f"standard deviation of {deviation:.2f} s"
        )
    return Offset(mean, deviation, low, high)


def _range(track: Track, length: float) -> tuple[float, float]:
    """Return the first and the last offset that a log allows to a clip of a duration, in seconds."""
    ends = sorted((float(track.times[0]), float(track.times[-1]) - length))
    return ends[0] - track.period, ends[1] + track.period


@dataclass(frozen=True)
class Harmless:
    """Offset that any other possible one could replace, because the speed of the drive is nearly constant."""

    seconds: float  # the offset in the middle of the possible ones
    low: float  # first possible offset, seconds
    high: float  # last possible offset, seconds
    change: float  # largest change of the speeds of the frames by another one: mean over the frames, share of the speed


def harmless_offset(stamps: np.ndarray, track: Track) -> Harmless | None:
    """Return the middle of the offsets that are possible if the log covers the clip; None if the choice matters.

    It matters where another possible offset changes the speeds of the frames by `HARMLESS` or more on average, or one
    of them by `HARMLESS_FRAME` or more. A log that is shorter than the clip, or has holes in it, has no such offset.

    Args:
        stamps: times of the frames, [frames] seconds.
        track: the log.

    >>> from pathlib import Path
    >>> track = Track(Path("log.csv"), np.arange(0, 10, 0.1), np.full(100, 8.0), None, "")
    >>> harmless = harmless_offset(np.arange(0, 7, 0.5), track)
    >>> (harmless.seconds, harmless.change)
    (1.7, 0.0)
    """
    times = stamps - stamps[0]
    low, high = float(track.times[0]), float(track.times[-1] - times[-1])
    if high < low:
        return None
    middle = round((low + high) / 2, 2)
    speeds = track.speeds_at(times + middle)
    others = np.array([track.speeds_at(times + offset) for offset in np.linspace(low, high, TRIED_HARMLESS)])
    if np.isnan(speeds).any() or np.isnan(others).any() or speeds.mean() < FLOOR:
        return None
    changes = np.abs(others - speeds) / speeds.mean()
    change = float(changes.mean(1).max())
    return Harmless(middle, low, high, change) if change < HARMLESS and changes.max() < HARMLESS_FRAME else None


@lru_cache(maxsize=16)
def speeds_shift(clip: Clip) -> float | None:
    """Return how much later than the images the speeds of a clip are, in seconds, if the images deny that they agree.

    Args:
        clip: the clip, with speeds.

    Returns:
        None if speeds and images agree, or if the images cannot tell: with a steady speed, or where no road is seen.
    """
    known = [(frame.time, frame.speed) for frame in clip.frames if frame.speed is not None]
    if len(known) < MIN_PAIRS:
        return None
    stamps, speeds = np.array(known).T
    if speeds.std() < MIN_VARIATION * max(speeds.mean(), FLOOR):
        return None
    return shift_between(*_motions(clip, SHIFT_PAIRS), stamps - clip.frames[0].time, speeds)


def shift_between(times: np.ndarray, motions: np.ndarray, stamps: np.ndarray, speeds: np.ndarray) -> float | None:
    """Return how much later than motions the speeds of the same drive are, if that is beyond doubt; None otherwise.

    Shifts up to a third of the drive are tried.

    Args:
        times: [N, 2] begin and end of each motion, in seconds.
        motions: [N] speeds up to a common factor, such as camera heights a second; NaN where unknown.
        stamps: [M] times of the speeds, in seconds.
        speeds: [M] speeds, in metres per second.
    """
    times, motions = _judged(times, motions)
    if len(motions) < MIN_PAIRS:
        return None
    likelihood = _Likelihood(times, motions, Track(Path(), stamps, speeds, None, ""))
    steps = round((stamps[-1] - stamps[0]) / 3 / COARSE_GRID)
    shifts = COARSE_GRID * np.arange(-steps, steps + 1)
    costs = np.array([likelihood.cost(shift) for shift in shifts])
    if not np.isfinite(costs[steps]):  # speeds of a few frames alone: nothing is said of them as they are
        return None
    best = int(costs.argmin())
    misfit = float(costs[best]) / len(motions)
    evidence = float(costs[steps] - costs[best]) / 2 / max(MIN_EXCESS, misfit)
    denied = misfit < MAX_MISFIT and evidence > MIN_EVIDENCE and abs(shifts[best]) > MIN_SHIFT
    return float(shifts[best]) if denied else None


def _judged(times: np.ndarray, motions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the known motions and their times, without outliers."""
    known = np.isfinite(motions)
    if known.sum() >= MIN_PAIRS:
        known &= _inliers(motions)
    return times[known], motions[known]


def _moments(offsets: np.ndarray, shares: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of offsets with probabilities [N]."""
    mean = float(shares @ offsets)
    step = float(offsets[1] - offsets[0]) if len(offsets) > 1 else GRID
    return mean, float(np.sqrt(shares @ (offsets - mean) ** 2 + step**2 / 12))


def _inliers(motions: np.ndarray) -> np.ndarray:
    """Return whether each of the motions [N] is like the median of itself and its neighbors on each side."""
    padded = np.pad(motions, NEIGHBORS, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBORS + 1)
    with np.errstate(all="ignore"):
        middle = np.array([np.median(w[np.isfinite(w)]) if np.isfinite(w).any() else np.nan for w in windows])
    typical = float(np.nanmedian(motions)) if np.isfinite(motions).any() else 0.0
    errors = (motions - middle) / np.maximum(middle, max(0.2 * typical, 1e-6))  # of a camera that stands: 0
    spread = WHITE
    if np.isfinite(errors).any():
        deviation = DEVIATION_OVER_MEDIAN * float(np.nanmedian(np.abs(errors)))
        spread = max(MIN_OUTLIER / OUTLIER, deviation)
    return np.asarray(np.abs(errors) <= OUTLIER * spread)


def _integral(track: Track) -> tuple[np.ndarray, np.ndarray]:
    """Return times and distances [N] of a track, metres since its first value (trapezoidal rule)."""
    steps = np.diff(track.times) * (track.speeds[1:] + track.speeds[:-1]) / 2
    return track.times, np.concatenate([[0.0], np.cumsum(steps)])


class _Likelihood:
    """Likelihood of offsets: motions are the log's speeds times one factor, with independent and with slow errors."""

    def __init__(self, times: np.ndarray, motions: np.ndarray, track: Track) -> None:
        self.times, self.motions, self.track = times, motions, track
        self._key, self._kept = b"", np.zeros((0, 0))
        self.stamps, self.distances = _integral(track)
        factor = float(np.median(motions[motions > 0])) / max(float(np.median(track.speeds[track.speeds > 0])), FLOOR)
        self.factor, self.floor = factor, FLOOR * factor
        middle = times.mean(1)
        scale = np.maximum(motions, FLOOR * factor)
        near = np.exp(-np.abs(middle[:, None] - middle) / SLOW_TIME)
        errors = WHITE**2 * np.eye(len(motions)) + SLOW**2 * near
        between = _quantum(track) ** 2 / 12 + (KINK * track.period / 8) ** 2
        logged = between * factor**2 * np.exp(-np.abs(middle[:, None] - middle) / max(track.period, STEP))
        self.covariance = errors * np.outer(scale, scale) + logged

    def of(self, offsets: np.ndarray, prior: np.ndarray) -> np.ndarray | None:
        """Return the probability of each of the offsets [M], given the one before; None if none can be judged."""
        costs = np.array([self.cost(offset) for offset in offsets])
        if not np.isfinite(costs).any():
            return None
        least = float(np.min(costs))
        excess = max(MIN_EXCESS, least / max(len(self.motions) - 2, 1))  # errors larger than assumed widen the result
        likelihood = np.exp(-(costs - least) / 2 / excess) * prior
        return np.asarray(likelihood / likelihood.sum())

    def cost(self, offset: float) -> float:
        """Return the sum of squared errors, in variances, with the best factor; infinite for too few motions."""
        spans = self.times + offset
        reach = self.track.period
        known = ((spans >= self.stamps[0] - reach) & (spans <= self.stamps[-1] + reach)).all(1)
        count = int(known.sum())
        if count < MIN_PAIRS:
            return np.inf
        speeds = (self._traveled(spans[known, 1]) - self._traveled(spans[known, 0])) / np.diff(spans[known], axis=1)[
            :, 0
        ]
        # A vehicle ahead hides the road, and motions are then too short in a burst: such pairs cost a constant.
        ratios = np.log((self.motions[known] + self.floor) / (speeds * self.factor + self.floor))
        votes = (np.abs(ratios[:, None] - ratios) < TOLERANCE / 2).sum(1)
        agree = np.abs(ratios - ratios[int(votes.argmax())]) < TOLERANCE
        outliers = count - int(agree.sum())
        if agree.sum() < MIN_PAIRS:
            return PENALTY * len(known)
        used = np.flatnonzero(known)[agree]
        speeds, motions = speeds[agree], self.motions[used]
        inverse = self._inverse(used)
        weighted = inverse @ speeds
        power = float(speeds @ weighted)
        match = float(motions @ weighted) ** 2 / power if power > 0 else 0.0
        return (float(motions @ inverse @ motions) - match + PENALTY * outliers) * len(known) / count

    def _inverse(self, used: np.ndarray) -> np.ndarray:
        """Return the inverse of the covariance of the motions with these indices; that of the last call is kept."""
        key = used.tobytes()
        if self._key != key:
            self._key, self._kept = key, np.linalg.inv(self.covariance[np.ix_(used, used)])
        return self._kept

    def _traveled(self, times: np.ndarray) -> np.ndarray:
        """Return the distance at times [N], metres, with the first and the last speed beyond the ends."""
        after = np.searchsorted(self.stamps, times).clip(1, len(self.stamps) - 1)
        begin, speeds = self.stamps[after - 1], self.track.speeds
        inside = times.clip(self.stamps[0], self.stamps[-1])
        slope = (speeds[after] - speeds[after - 1]) / (self.stamps[after] - begin)
        run = inside - begin
        return np.asarray(
            self.distances[after - 1]
            + speeds[after - 1] * run
            + slope * run**2 / 2
            + speeds[-1] * (times - self.stamps[-1]).clip(min=0)
            + speeds[0] * (times - self.stamps[0]).clip(max=0)
        )


def _quantum(track: Track) -> float:
    """Return the step to which a log rounds its speeds, in metres per second; 0 if it has many decimals."""
    values = np.unique(track.speeds.round(6))
    steps = np.diff(values)
    if not len(steps):
        return 0.0
    least = float(steps.min())
    return least if np.allclose(steps / least, np.round(steps / least), atol=1e-2) else 0.0
