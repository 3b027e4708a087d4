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
    """Whether training frames are among these, because the others are none, or give no pair."""
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
        return HeldOut(tuple(clips), True, _only_trained(frames, run))
    words = f"{used} frames that were not trained on"
    if kept:
        tails = f"the last {percent(run.data.val_tail)} of {counted(len(kept), 'training clip')}"
        words += f" (with {tails})" if new else f" ({tails})"
    if frames > used:
        words += f"; {frames - used} training frames are left out"
    return HeldOut((*new, *kept), False, words)


def _only_trained(frames: int, run: Run) -> str:
    """Return the sentence about training frames beside which no others are known."""
    better = "the numbers are better than on other drives; judge by another drive"
    if run.data.val_tail:
        return f"these {frames} frames count as training frames, as no held-out end of them is known: {better}"
    return f"these {frames} frames are training frames, so that {better}, or hold out the end of each by data.val_tail"


def with_training_frames(clips: Sequence[Clip], untrained: HeldOut, lack: str) -> HeldOut:
    """Return all clips, training frames among them, because the other frames give no pair to judge by.

    Args:
        clips: the clips.
        untrained: their frames that were not trained on.
        lack: what these frames hold in place of pairs, as `pairs.lack_of_pairs` says it.
    """
    count = sum(len(clip.frames) for clip in untrained.clips)
    words = (
        f"the {count} frames that were not trained on hold {lack}, so that training frames are judged: the numbers are "
        "better than on other drives; judge by another drive, or hold out more of each by data.val_tail"
    )
    return HeldOut(tuple(clips), True, words)
