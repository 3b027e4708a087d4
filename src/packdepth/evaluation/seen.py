"""Training frames among the frames of an evaluation, as far as a checkpoint knows its training clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from packdepth.checkpoint import Meta
from packdepth.config import Run
from packdepth.data.held_out import without_tail
from packdepth.errors import InputError
from packdepth.records import Clip

SAME_FOV = 0.01  # relative difference of focal length over width from which two cameras differ; chosen


@dataclass(frozen=True)
class Division:
    """Clips, divided by what a checkpoint was trained on. Everything in neither part are training frames."""

    new: tuple[Clip, ...]
    """Clips that are no training clips."""
    tails: tuple[Clip, ...]
    """The frames of training clips that were held out of training."""

    @property
    def names(self) -> frozenset[tuple[str, str]]:
        """The clip and the name of each frame that was not trained on."""
        return frozenset((clip.name, frame.name) for clip in (*self.new, *self.tails) for frame in clip.frames)


def divided(clips: Sequence[Clip], run: Run | None, meta: Meta) -> Division:
    """Divide clips by what a checkpoint was trained on.

    A clip counts as a training clip if it has the name of one, apart from the kind of its source, so that a copy or an
    import of it does, too. It does not if both its number of frames and its camera contradict the checkpoint. Of a
    training clip, the last frames are held out if the run file says so (`data.val_tail`), but only if the number of
    frames is that of the training: of a clip that was shortened, the last frames were trained on.

    Args:
        clips: the clips, all frames of them.
        run: the run of the checkpoint; None if it is not known, so that no tail is.
        meta: the description of the checkpoint.
    """
    names = {short_name(name) for name in meta.clips}
    is_trained = [clip.short_name in names and not _is_another(clip, run, meta) for clip in clips]
    trained, new = (
        [clip for clip, known in zip(clips, is_trained, strict=True) if known is kind] for kind in (True, False)
    )
    tails = [] if run is None else [tail for clip in trained for tail in tail_of(clip, run)]
    if run is not None and not _fits(trained, tails, run, meta):
        tails = []
    return Division(tuple(new), tuple(tails))


def _fits(trained: Sequence[Clip], tails: Sequence[Clip], run: Run, meta: Meta) -> bool:
    """Return whether the number of frames without the tails is that of the training, as far as that is known."""
    count = sum(len(clip.frames) for clip in trained) - sum(len(tail.frames) for tail in tails)
    if run.data.drop_static is not None:
        return count >= meta.frames or len(trained) < len(meta.clips)
    return count == meta.frames if len(trained) == len(meta.clips) else count < meta.frames


def _is_another(clip: Clip, run: Run | None, meta: Meta) -> bool:
    """Return whether a clip has the name of a training clip, but neither its frames nor its camera."""
    if run is None or len(meta.clips) != 1 or clip.missing_camera is not None or not meta.trained_cameras:
        return False
    cameras = [trained.camera for trained in meta.trained_cameras]
    same_camera = any(
        math.isclose(one.fx / one.width, clip.camera.fx / clip.camera.width, rel_tol=SAME_FOV) for one in cameras
    )
    return not same_camera and not _fits([clip], tail_of(clip, run), run, meta)


def short_name(name: str) -> str:
    """Return the name of a clip without the kind of its source, as `Clip.short_name` does.

    Args:
        name: the full name, as a checkpoint keeps it.

    >>> short_name("kitti_odometry/06/left")
    '06-left'
    """
    return "-".join(name.split("/")[1:]) or name


def tail_of(clip: Clip, run: Run) -> list[Clip]:
    """Return the tail of a training clip that a run has held out, if there is one: a list of one or no clip.

    Args:
        clip: the clip.
        run: the run.
    """
    if not run.data.val_tail:
        return []
    try:
        return without_tail([clip], run.data.val_tail, run.data.context)[1]
    except InputError:  # it is too short to be divided, and was trained on as a whole
        return []
