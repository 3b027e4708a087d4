"""The frames by which a network is judged without ground truth: those that it was not trained on, if there are any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from packdepth.checkpoint import Meta
from packdepth.config import Imported, Run
from packdepth.evaluation.grades import percent
from packdepth.evaluation.seen import divided
from packdepth.progress import counted
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

    What a training clip is, and which frames of it were held out, is decided by `evaluation.seen.divided`.

    Args:
        clips: the clips.
        run: the run of the checkpoint.
        meta: the description of the checkpoint.
    """
    if isinstance(run, Imported):
        words = "whether the network was trained on these frames is not known: another project trained it"
        return HeldOut(tuple(clips), False, words)
    found = divided(clips, run, meta)
    new, kept = found.new, found.tails
    used = sum(len(clip.frames) for clip in (*new, *kept))
    frames = sum(len(clip.frames) for clip in clips)
    if not new and not kept:
        return training_frames(clips)
    words = f"{used} frames that were not trained on"
    if kept:
        tails = f"the last {percent(run.data.val_tail)} of {counted(len(kept), 'training clip')}"
        words += f" (with {tails})" if new else f" ({tails})"
    if frames > used:
        words += f"; {frames - used} training frames are left out"
    return HeldOut((*new, *kept), False, words)


def training_frames(clips: Sequence[Clip]) -> HeldOut:
    """Return clips as training frames, which judge a network too well.

    Args:
        clips: the clips.
    """
    frames = sum(len(clip.frames) for clip in clips)
    words = (
        f"these {frames} frames are training frames, so that the numbers are better than on other drives; judge by "
        f"another drive, or hold out the end of each by data.val_tail"
    )
    return HeldOut(tuple(clips), True, words)
