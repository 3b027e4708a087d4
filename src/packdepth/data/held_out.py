"""The held-out tail of clips: their last frames, which a run validates on instead of training on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from packdepth.data.targets import distance_source
from packdepth.errors import InputError
from packdepth.records import Clip

MIN_TARGETS = 6  # validation targets of a tail, by which the scale is measured: a median needs five (MIN_CHECKED)
MAX_SHARE = 1 / 3  # of a clip's frames: a clip that would give up more is trained on as a whole; chosen


def tail_length(clip: Clip, share: float, offsets: Sequence[int]) -> int:
    """Return the number of frames of a clip's held-out tail; 0 if the clip is too short to give up frames.

    Where a log of speeds ends before the clip does, the frames behind its end come on top of the share, so that the
    tail has measured lengths.

    Args:
        clip: the clip.
        share: the share of its frames that is held out, at least.
        offsets: offsets of the context frames from the target, in frames.
    """
    count = max(_needed(offsets), math.ceil(share * len(clip.frames))) + _unmeasured_at_end(clip)
    return 0 if count > math.ceil(max(MAX_SHARE, share) * len(clip.frames)) else count


def _unmeasured_at_end(clip: Clip) -> int:
    """Return how many of a clip's last frames have no speed or pose, where others have; 0 if none has."""
    source = distance_source(clip)
    if source is None:
        return 0
    known = [(frame.speed if source == "speed" else frame.pose) is not None for frame in clip.frames]
    return known[::-1].index(True)


def _needed(offsets: Sequence[int]) -> int:
    """Return the smallest number of frames of a tail."""
    return max((0, *offsets)) - min((0, *offsets)) + MIN_TARGETS


def without_tail(clips: Sequence[Clip], share: float, offsets: Sequence[int]) -> tuple[list[Clip], list[Clip]]:
    """Divide clips into the frames to train on and the held-out tail of each clip.

    The tail has the given share of the clip's frames, but at least as many as `MIN_TARGETS` targets with their context
    frames need. No frame is in both parts. A clip that would give up more than a third of its frames is not divided.

    Args:
        clips: the clips, all frames of them.
        share: the share of each clip's frames that is held out, in (0, 0.5].
        offsets: offsets of the context frames from the target, in frames.

    Returns:
        The clips to train on, as many as were given, and the tails of those that were divided.

    Raises InputError if no clip is long enough to be divided.

    >>> from pathlib import Path
    >>> from packdepth.geometry.camera import Camera
    >>> from packdepth.records import Frame
    >>> from packdepth.sources.files import ImageFile
    >>> frames = tuple(Frame(str(time), time, ImageFile(Path("image.png"))) for time in range(40))
    >>> clip = Clip("clip", Path("clip"), Camera.from_fov(60.0, 640, 192), frames)
    >>> (kept,), (tail,) = without_tail([clip], 0.2, offsets=(-1, 1))
    >>> len(kept.frames), tail.frames[0].name, tail.frames[-1].name
    (32, '32', '39')
    """
    kept, tails = [], []
    for clip in clips:
        count = tail_length(clip, share, offsets)
        if count == 0:
            kept.append(clip)
        else:
            kept.append(replace(clip, frames=clip.frames[:-count]))
            tails.append(replace(clip, frames=clip.frames[-count:]))
    if not tails:
        raise InputError(
            f"data.val_tail: no clip is long enough to hold out {_needed(offsets)} frames of it (the longest has "
            f"{max((len(clip.frames) for clip in clips), default=0)}); remove val_tail, or give clips to data.val"
        )
    return kept, tails


def trained_on(validation: Sequence[Clip], clips: Sequence[Clip]) -> list[Clip]:
    """Return the clips of a validation that have a target of the training: one of the same name, of the same file.

    Args:
        validation: clips to validate on.
        clips: clips to train on.
    """
    targets = {clip: _targets(clip) for clip in validation}
    sought = set().union(*targets.values())
    common = sought & {key for clip in clips for key in _targets(clip) & sought}
    return [clip for clip, keys in targets.items() if keys & common]


def _targets(clip: Clip) -> set[tuple[Path, str]]:
    """Return the file and the name of each frame of a clip that may be a target."""
    return {(frame.image.path, frame.name) for frame in clip.frames if clip.is_target(frame)}
