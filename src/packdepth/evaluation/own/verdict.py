"""The verdict on a network without ground truth: how large its error probably is, in words.

The error is the one that a report with ground truth calls abs_rel in its row `scaled`: the mean relative error of depth
after one factor for each image. It is predicted from measures that need no ground truth, by a product that was fitted
to networks on rendered drives, where the true error is known (docs/results/2026-11-26-own-verdict.md). The unit is
judged apart from it, by lengths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from packdepth.checkpoint import TOLERANCE
from packdepth.evaluation.grades import GRADES, NOT_BETTER, UNSURE, grade_of, percent
from packdepth.evaluation.own.pairs import PairMeasures

# Constants of `predicted_error`, from docs/results/2026-11-26-own-verdict.md.
FACTOR = 1.85  # true error over parallax times gain, fitted on rendered drives
SPREAD = 1.4  # the true error lay within this factor of the prediction for 90 % of the networks left out of the fit
OVERSTATED = 1.7  # the prediction was too high by up to this factor for networks trained on one longer drive
SPREAD_ELSEWHERE = 2.0  # the same for clips unlike the rendered roads, which the calibration has not seen; chosen
RESOLVED = 0.16  # smaller predictions are not told apart: true errors of 0.05 and 0.10 were both predicted as 0.13
# The smallest prediction of the calibration is 0.10: below it, a true error of 0.15 was predicted as 0.05
# (docs/results/2026-11-26-own-verdict-below.md).
LEAST = 0.10
SMALLEST = 0.05  # smallest true error of the calibration: the lower end of the interval of an unresolved prediction

# On drives at 0.2 to 0.4 m from frame to frame (docs/results/2026-11-28-slow-drives.md).
UNCLEAR = 0.06  # median share of pixels with parallax below which predictions were wrong by factors of up to 10
BARELY_CLEAR = 0.12  # the same below which a network was called worse than a guess that it beat by a third

CLEARLY = 1.15  # ratio of two predicted errors from which their order is trusted: it was right in 11 of 13 such cases
MIN_PAIRS = 5  # pairs with parallax and texture; fewer do not carry a verdict; chosen
ROAD_SHARE = 0.5  # share of frames with a ground plane below which a clip is unlike a road; chosen
MIN_GAIN = 0.05  # share of the error of the unmoved image or constant depth that must be explained; chosen


SURFACES = (
    "This is about what stands still and is large, such as road and walls: thin and small things, such as poles and "
    "people, are worse, and vehicles that move may be wrong by a factor."
)
"""The sentence about what a verdict cannot tell. On a rendered drive at 64x224, a network had abs_rel 0.07 on the road,
0.25 on people and cars, and 0.5 on poles."""
NO_GROUND = "In the depth of most frames there is no flat ground: if they show a road, depth is wrong there. "
ADVICE = "Train longer, on the larger images that packdepth init takes with more --minutes, or on more drives."
"""The sentence about what to do with a network that is not clearly better than guessing, or rough."""
USELESS, UNKNOWN = "Useless", "Not judged"


@dataclass(frozen=True)
class Verdict:
    """The probable error of a network's depth, and its words."""

    grade: str
    """Good, Fair, Rough, Poor, Not better than guessing, Useless, or Not judged."""
    words: str
    """The verdict as one line: grade and error, then a sentence each about guessing, small things and metres."""
    error: float | None = None
    """The predicted mean relative error of depth, after one factor for each image; None if it cannot be judged."""
    low: float | None = None
    """The lower end of the interval of the error."""
    high: float | None = None
    """The upper end of the interval of the error; None for frames that were trained on, which tell none."""
    by_position: float | None = None
    """The predicted error of a depth that depends on the position in the image alone."""
    length_ratio: float | None = None
    """The median of predicted over measured length, by motion or else by the camera's height; None if not measured."""
    length_spread: float | None = None
    """The relative distance between the quartiles of that ratio."""


def predicted_error(parallax: float, gain: float) -> float:
    """Return the mean relative error of depth that measures without ground truth predict: their product.

    Both grow with the error of depth, and each covers for the other: a flat depth has a small parallax deviation but no
    gain, and noise of the images lifts the gain but hardly the parallax deviation.

    Args:
        parallax: the mean over frames of `PairMeasures.parallax`.
        gain: the photometric error over that of a constant depth, of the medians over frames.

    >>> predicted_error(0.2, 0.7) > predicted_error(0.1, 0.7) > predicted_error(0.1, 0.6)
    True
    """
    return FACTOR * parallax * gain


def mean(values: Sequence[float]) -> float:
    """Return the mean of the values that are known; NaN if there are none.

    Args:
        values: the values, NaN where unknown.

    >>> mean([1.0, math.nan, 3.0])
    2.0
    """
    known = _known(values)
    return float(np.mean(known)) if known else math.nan


def median(values: Sequence[float]) -> float:
    """Return the median of the values that are known; NaN if there are none.

    Args:
        values: the values, NaN where unknown.

    >>> median([1.0, math.nan, 3.0])
    2.0
    """
    known = _known(values)
    return float(np.median(known)) if known else math.nan


def spread(values: Sequence[float]) -> float:
    """Return the distance between the quartiles of the values that are known over their median; NaN if none are.

    Args:
        values: the values, NaN where unknown.

    >>> spread([1.0, 2.0, 3.0])
    0.5
    """
    known = _known(values)
    if not known:
        return math.nan
    low, middle, high = np.percentile(known, [25, 50, 75])
    return float((high - low) / middle)


def _known(values: Sequence[float]) -> list[float]:
    """Return the values that are not NaN."""
    return [value for value in values if not math.isnan(value)]


def verdict_of(pairs: Sequence[PairMeasures], metric: bool, seen: bool = False) -> Verdict:
    """Return the verdict that follows from pairs of frames.

    Args:
        pairs: the measures of the pairs.
        metric: whether the checkpoint calls its depth metric.
        seen: whether the network was trained on these frames: the error is then the least that others have.
    """
    ratio, ratio_spread = lengths(pairs)
    known = [pair for pair in pairs if not math.isnan(pair.error)]
    why = _unjudged(known)
    if why is not None:
        grade, words = why
        if grade == UNKNOWN and ratio is not None:
            words += f". {_metres(metric, ratio, ratio_spread)}"
        return Verdict(grade, words, length_ratio=ratio, length_spread=ratio_spread)
    error, by_position = predicted_errors([pair for pair in known if not math.isnan(pair.parallax)])
    share = median([pair.clear for pair in known])
    barely, below = share < BARELY_CLEAR, error < LEAST
    lift = LEAST / error if below else 1.0  # of both, so that their order and ratio stay
    error, by_position = lift * error, math.nan if barely else lift * by_position
    low, high = _interval(error, is_road(known) and not below, barely)
    grade = _grade(error, by_position, below)
    between = f"probably between {percent(low)} and {percent(high)}"
    interval = "or more, for few frames can be learned by heart" if seen else between
    few = f"Only {percent(share)} of the pixels move enough from frame to frame to measure depth by. " if barely else ""
    words = (
        f"{grade}{' at best' if seen and grade != NOT_BETTER else ''}: a thing 10 m away is typically seen "
        f"{10 * error:.1f} m too near or too far (error about {percent(error)}, {interval}). "
        f"{few}{_comparison(error, by_position, below)} {'' if is_road(known) else NO_GROUND}{SURFACES} "
        f"{_metres(metric, ratio, ratio_spread)}{_advice(grade)}"
    )
    return Verdict(grade, words, error, low, None if seen else high, by_position, ratio, ratio_spread)


def _unjudged(known: Sequence[PairMeasures]) -> tuple[str, str] | None:
    """Return grade and words if pairs do not tell the error of depth; None if they do.

    Args:
        known: the measures of the pairs whose camera is known.
    """
    if not known:
        return (
            UNKNOWN,
            f"{UNKNOWN}: the camera is not known, and without it depth cannot be compared with the next frame",
        )
    identity, constant = (median([getattr(pair, name) for pair in known]) for name in ("identity", "constant"))
    error_of_views = median([pair.error for pair in known])
    if error_of_views > (1 - MIN_GAIN) * min(identity, constant):
        than = "a picture that stands still" if identity < constant else "a flat wall at one distance"
        return USELESS, (
            f"{USELESS}: depth and motion explain the video no better than {than} would (error {error_of_views:.3f} "
            f"against {min(identity, constant):.3f}), or the camera hardly moves"
        )
    clear = sum(not math.isnan(pair.parallax) for pair in known)
    if clear < MIN_PAIRS:
        return UNKNOWN, (
            f"{UNKNOWN}: only {clear} pairs of frames have enough motion and texture to measure depth by, but "
            f"{MIN_PAIRS} are needed; give a longer drive in which the camera moves"
        )
    share = median([pair.clear for pair in known])
    if share < UNCLEAR:
        return UNKNOWN, (
            f"{UNKNOWN}: from frame to frame only {percent(share)} of the pixels move enough to measure depth by; "
            f"judge by a faster drive"
        )
    return None


def _interval(error: float, calibrated: bool, barely: bool) -> tuple[float, float]:
    """Return the interval in which the true error probably is.

    Args:
        error: the predicted error.
        calibrated: whether the clips, and the error, are like those of the calibration.
        barely: whether few pixels tell it.
    """
    factor = SPREAD if calibrated and not barely else SPREAD_ELSEWHERE
    low = error / (factor * OVERSTATED if barely else max(factor, OVERSTATED))
    return (low if error > RESOLVED else min(SMALLEST, low)), error * factor


def predicted_errors(pairs: Sequence[PairMeasures]) -> tuple[float, float]:
    """Return the predicted error of the network and that of the depth by position in the image.

    Args:
        pairs: pairs whose `parallax` is known.
    """
    constant = median([pair.constant for pair in pairs])
    network, position = (
        predicted_error(mean([getattr(pair, parallax) for pair in pairs]), median(errors) / constant)
        for parallax, errors in (
            ("parallax", [pair.error for pair in pairs]),
            ("parallax_by_position", [pair.by_position for pair in pairs]),
        )
    )
    return network, position


def lengths(pairs: Sequence[PairMeasures]) -> tuple[float | None, float | None]:
    """Return the median of predicted over measured length and the relative distance of its quartiles; None if unknown.

    Lengths are those of motions where speed or poses are measured; otherwise the height of the camera, if it is known.

    Args:
        pairs: the measures of the pairs.

    >>> lengths([PairMeasures("clip", "0", mirror=0.1, scale=0.5)])
    (0.5, 0.0)
    """
    for ratios in (
        [pair.scale for pair in pairs],
        [pair.height / pair.known_height for pair in pairs],
        [pair.motion for pair in pairs],
    ):
        if not math.isnan(median(ratios)):
            return median(ratios), spread(ratios)
    return None, None


def is_road(pairs: Sequence[PairMeasures]) -> bool:
    """Return whether clips are like the rendered roads of the calibration: most frames show a ground plane.

    Args:
        pairs: the measures of pairs whose camera is known.
    """
    return sum(not math.isnan(pair.height) for pair in pairs) >= ROAD_SHARE * len(pairs)


def _grade(error: float, by_position: float, below: bool) -> str:
    """Return the grade of a predicted error, beside that of a guess; `below` the calibration, it is not the best."""
    if error > CLEARLY * by_position:
        return NOT_BETTER
    sure = CLEARLY * error < by_position and not below
    return grade_of(error) if sure else grade_of(error, at_best=UNSURE)


def _comparison(error: float, by_position: float, below: bool) -> str:
    """Return the sentence of the verdict that compares the network with a guess, and says why a grade was lowered."""
    grade = _grade(error, by_position, below)
    lowered = "" if grade in (NOT_BETTER, grade_of(error)) else f", which makes it {grade} at best"
    if below:
        lowered = f", and its measures are smaller than any that the verdict was calibrated on{lowered}"
    if math.isnan(by_position):
        return f"It could not be compared with guessing by position in the image{lowered}."
    guess = f"Guessing by position in the image, without looking at it, has an error of about {percent(by_position)}"
    if grade == NOT_BETTER:
        return f"{guess}: the network is no better."
    clearly = "better" if CLEARLY * error < by_position else "not clearly better"
    return f"{guess}: the network is {clearly}{lowered}."


def _advice(grade: str) -> str:
    """Return what to do with a network that is neither good nor fair, after a space; nothing otherwise."""
    return "" if grade in (GRADES[0].word, UNSURE) else f" {ADVICE}"


def _metres(metric: bool, ratio: float | None, ratio_spread: float | None) -> str:
    """Return the sentence of the verdict about the unit of depth."""
    if ratio is None or ratio_spread is None:
        if metric:
            return "Its metres could not be checked: neither speed, poses nor the camera's height is known."
        return "Depth is known up to one factor only, not in metres."
    if metric and abs(ratio - 1) <= TOLERANCE:
        within = f"within {percent(max(abs(ratio - 1), 0.01))} (they vary by {percent(ratio_spread)})"
        return f"Depth is in metres: lengths agree with the measured ones {within}."
    claimed = ", although the checkpoint says metric" if metric else ""
    wrong = f"lengths are {percent(ratio)} of the measured ones{claimed}"
    return f"Depth is not in metres: {wrong}; packdepth calibrate makes it metric."
