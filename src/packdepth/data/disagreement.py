"""Common parts of the checks of a clip's measurements: their result, their refusal, and the frames they look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeVar

from packdepth.data.filters import STATIC_MOTION
from packdepth.data.optical_flow import Flow, mean_motion, optical_flow, small_gray
from packdepth.data.targets import distance_source
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.records import Clip

CHECKED_CLIPS = 4  # clips that a training checks, evenly spread
SURELY_MOVING = 2 * STATIC_MOTION  # share of the image width: less tells no direction

T = TypeVar("T")


@dataclass(frozen=True)
class Disagreement:
    """Two measurements of a clip that cannot both be right."""

    name: str  # short title, such as "stereo"
    found: str  # what was measured, with the number that gives it away
    advice: str  # one sentence that says what to do


Check = Callable[[Clip], Disagreement | None]
"""Signature: `clip -> disagreement`, None if nothing speaks against the measurement that is checked."""


def evenly_spread(items: Sequence[T], most: int) -> Sequence[T]:
    """Return at most a number of items, evenly spread.

    Args:
        items: the items.
        most: their greatest number.

    >>> evenly_spread(range(7), 3), evenly_spread("ab", 3)
    (range(0, 6, 2), 'ab')
    """
    return items[:: max(len(items) // most, 1)][:most]


def checked_clips(clips: Sequence[Clip]) -> Sequence[Clip]:
    """Return the clips that a training checks: at most `CHECKED_CLIPS`, evenly spread.

    Args:
        clips: the clips to train on.
    """
    return clips[:: -(-len(clips) // CHECKED_CLIPS) or 1]


def used_measurements(clip: Clip, fields: frozenset[str]) -> frozenset[str]:
    """Return which measurements of a clip a training uses, of "right", "truth", "speed" and "poses".

    Args:
        clip: the clip.
        fields: the optional fields of the batch that the objective uses, such as "distance", "right" and "truth".

    >>> from pathlib import Path
    >>> sorted(used_measurements(Clip("a", Path("a"), Camera.from_fov(60.0, 640, 192), ()), frozenset({"motion"})))
    ['poses']
    """
    source = distance_source(clip) if "distance" in fields else None
    motion = {"poses"} if "motion" in fields else set()
    return (fields & {"right", "truth"}) | motion | ({source} if source is not None else set())


def refuse_wrong(clip: Clip, checks: Sequence[tuple[str, Check]], used: AbstractSet[str]) -> None:
    """Raise InputError if a check finds something wrong with a measurement that is used.

    Args:
        clip: the clip to check.
        checks: checks, and the measurement that each of them checks.
        used: the measurements that are used; only these are checked.
    """
    for measurement, find in checks:
        if measurement in used and (each := find(clip)) is not None:
            raise refusal(clip, each.found, each.advice)


def refusal(clip: Clip, found: str, advice: str) -> InputError:
    """Return the error that refuses to train on a clip, in one sentence.

    Args:
        clip: the clip.
        found: what is wrong with it.
        advice: what to do, a sentence that begins with a verb.

    >>> from pathlib import Path
    >>> clip = Clip("a", Path("a"), Camera.from_fov(60.0, 640, 192), ())
    >>> print(refusal(clip, "its baseline is 540 m", "Write metres."))
    a: its baseline is 540 m; write metres
    """
    return InputError(f"{clip.path}: {found}; {advice[0].lower()}{advice[1:].rstrip('.')}")


def moving_flow(clip: Clip, index: int) -> tuple[Flow, Camera] | None:
    """Return the optical flow from a frame to the next, and the camera of its images; None if they hardly move.

    Args:
        clip: consecutive frames.
        index: index of the first frame.
    """
    first, second = (small_gray(frame.image.read()) for frame in clip.frames[index : index + 2])
    flow = optical_flow(first, second)
    return (flow, clip.camera.resized(*first.shape)) if mean_motion(flow, first.shape[1]) > SURELY_MOVING else None
