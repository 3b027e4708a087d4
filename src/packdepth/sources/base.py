"""What all sources share: a block of the run file that knows how to find its clips on disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

from packdepth.closed import Closed
from packdepth.errors import InputError
from packdepth.records import Clip


class Source(Closed, ABC):
    """A data set in one format on disk. `kind`, in each format, is its name in a run file."""

    frames: tuple[int, int] | None = None
    """Use these frames of each clip alone: the first, and one past the last."""

    @abstractmethod
    def find(self) -> list[Clip]:
        """All clips of the source. Raises InputError if something is missing or does not fit together."""

    def clips(self) -> list[Clip]:
        """The clips of the source, cut to `frames`."""
        clips = self.find()
        if self.frames is None:
            return clips
        first, last = self.frames
        for clip in clips:
            if not 0 <= first < last <= len(clip.frames):
                raise InputError(
                    f"{clip.path}: frames: [{first}, {last}] is not a range within its {len(clip.frames)} frames; "
                    f"give the first frame and one past the last"
                )
        return [replace(clip, frames=clip.frames[first:last]) for clip in clips]
