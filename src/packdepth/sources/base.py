"""What all sources share: a block of the run file that knows how to find its clips on disk."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from packdepth.blocks import Closed
from packdepth.errors import InputError
from packdepth.records import Clip
from packdepth.sources.split import Entry, own_entry, read_lines, select


def median_step(times: Sequence[float]) -> float | None:
    """The usual time between two neighbors of all that a list names, whether they are on disk or not."""
    return float(np.median(np.diff(times))) if len(times) > 1 else None


def check_one_size(clip: Clip) -> None:
    """Raise InputError for the first image of a clip that is not of the size of the others."""
    for frame in clip.frames:
        if frame.size is not None:
            height, width = frame.size
            raise InputError(
                f"{frame.image.path}: is {width}x{height} pixels, but other images of {clip.path} are "
                f"{clip.camera.width}x{clip.camera.height}; give images of one size, as for all but prediction"
            )


class Source(Closed, ABC):
    """A data set in one format on disk. `kind`, in each format, is its name in a run file."""

    place: ClassVar[str] = "root"
    """The field that says where the data is."""

    split_file: Path | None = None
    """A file of the clips and frames that may be targets (see docs/sources.md); other frames remain context."""
    partial: bool = False
    """Use what is on disk of what is listed, with a warning of how much is not; if false, that is an error."""
    frames: tuple[int, int] | None = None
    """Use these frames of each clip alone: the first, and one past the last."""

    @classmethod
    @abstractmethod
    def recognizes(cls, path: Path) -> bool:
        """Whether a file or folder looks like this format."""

    @classmethod
    def tries(cls, path: Path) -> bool:
        """Return whether this format is to be tried for a file or folder that no format recognizes."""
        return False

    @classmethod
    def block(cls, path: Path) -> dict[str, Any]:
        """What a run file says to get the data at a path, besides `kind`: of a part of a data set, which part it is."""
        return {cls.place: str(path)}

    @abstractmethod
    def find(self) -> list[Clip]:
        """All clips of the source. Raises InputError if something is missing or does not fit together."""

    def entry(self, where: str, line: str) -> Entry:
        """A line of the split file; a format may know further notations."""
        return own_entry(where, line)

    def entries(self) -> list[Entry]:
        """What the split file lists; nothing without one."""
        return [self.entry(*line) for line in read_lines(self.split_file)] if self.split_file else []

    def clips(self, one_size: bool = True) -> list[Clip]:
        """Return the clips of the source, those of the split file alone, cut to `frames`.

        Args:
            one_size: refuse clips whose images differ in size, which only prediction can use.

        Raises InputError if something is missing, does not fit together or is refused.
        """
        clips = self.find()
        if one_size:
            for clip in clips:
                check_one_size(clip)
        if self.split_file is not None:
            entries = self.entries()
            clips, absent = select(clips, entries)
            what = [f"{e.where}: {' '.join(filter(None, (e.clip, e.frame)))}" for e in absent]
            self.missing(what, len(entries), "entries", self.split_file)
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

    def missing(self, absent: Sequence[object], listed: int, what: str, where: Path) -> None:
        """Raise InputError for what is listed but not on disk; where `partial`, warn, unless all of it is absent.

        Args:
            absent: what is not on disk, as it is to be named.
            listed: how much is listed.
            what: is listed, in the plural.
            where: it is listed.
        """
        if not absent:
            return
        count = f"{len(absent)} of the {listed} {what} of {where} are not on disk"
        if not self.partial or len(absent) == listed:
            raise InputError(f"{absent[0]}: not found ({count}); get it, or use what is there with 'partial: true'")
        warnings.warn(f"{count}; the others are used", stacklevel=2)
