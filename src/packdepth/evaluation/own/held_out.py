"""The frames by which a network is judged without ground truth: those that it was not trained on, if there are any."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from packdepth.checkpoint import Meta
from packdepth.config import Imported, Run
from packdepth.records import Clip


@dataclass(frozen=True)
class HeldOut:
    """The clips to judge by, and whether training has seen them."""

    clips: tuple[Clip, ...]
    """The clips. Of a training clip, only the frames that were held out of training, if there are any."""
    seen: bool
    """Whether these are training frames, because nothing else was given."""
    words: str
    """The choice in one sentence."""


def held_out(clips: Sequence[Clip], run: Run | Imported, meta: Meta) -> HeldOut:
    """Return the parts of clips that a checkpoint was not trained on; all of them if it was trained on every clip.

    A clip counts as a training clip if it has the name of one, apart from the kind of its source. Of a training clip,
    the last frames are held out if the run file says so (`data.val_tail`).

    Args:
        clips: the clips.
        run: the run of the checkpoint.
        meta: the description of the checkpoint.
    """
    if isinstance(run, Imported):
        words = "whether the network was trained on these frames is not known: another project trained it"
        return HeldOut(tuple(clips), False, words)
    trained = {short_name(name) for name in meta.clips}
    tail = getattr(run.data, "val_tail", 0.0)
    new = [clip for clip in clips if clip.short_name not in trained]
    tails = [end_of(clip, tail) for clip in clips if clip.short_name in trained]
    kept = [clip for clip in tails if len(clip.frames) > 1]
    used = sum(len(clip.frames) for clip in new + kept)
    frames = sum(len(clip.frames) for clip in clips)
    if not new and not kept:
        return HeldOut(
            tuple(clips),
            True,
            f"these {frames} frames are training frames, so that the numbers are better than on other drives; judge by "
            f"another drive, or hold out the end of each by data.val_tail",
        )
    words = f"{used} frames that were not trained on"
    if kept:
        words += f" ({'with' if new else 'all'} the last {tail:.0%} of {len(kept)} training clips)"
    if frames > used:
        words += f"; {frames - used} training frames are left out"
    return HeldOut((*new, *kept), False, words)


def short_name(name: str) -> str:
    """Return the name of a clip without the kind of its source, as `Clip.short_name` does.

    Args:
        name: the full name, as a checkpoint keeps it.

    >>> short_name("kitti_odometry/06/left")
    '06-left'
    """
    return "-".join(name.split("/")[1:]) or name


def end_of(clip: Clip, share: float) -> Clip:
    """Return the last frames of a clip; no frame if the share is 0.

    Args:
        clip: the clip.
        share: the share of its frames, rounded down.
    """
    count = math.floor(share * len(clip.frames))
    return replace(clip, frames=clip.frames[len(clip.frames) - count :])
