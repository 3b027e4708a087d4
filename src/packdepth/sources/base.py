"""Base of all sources: a block of the run file that finds its clips on disk."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from packdepth.blocks import Block, ByKind, Family
from packdepth.classes import STREET_CLASSES
from packdepth.errors import InputError
from packdepth.records import Clip
from packdepth.sources.split import Entry, own_entry, read_lines, select


def median_step(times: Sequence[float]) -> float | None:
    """Return the median step between times, None if there are fewer than two.

    Args:
        times: seconds, rising, of all frames that a data set lists, also of those that are not on disk.

    >>> median_step([0.0, 0.1, 0.2, 0.9])
    0.1
    """
    return float(np.median(np.diff(times))) if len(times) > 1 else None


def check_one_size(clip: Clip) -> None:
    """Raise InputError for the first image of a clip that is not of the size of the others.

    Args:
        clip: the clip.
    """
    for frame in clip.frames:
        if frame.size is not None:
            height, width = frame.size
            raise InputError(
                f"{frame.image.path}: is {width}x{height} pixels, but other images of {clip.path} are "
                f"{clip.camera.width}x{clip.camera.height}; give images of one size, as for all but prediction"
            )


class Source(Block, ABC):
    """Data set in one format on disk. The field `kind` of each format is its name in a run file."""

    place: ClassVar[str] = "root"
    """Name of the field that holds the path of the data."""
    class_names: ClassVar[tuple[str, ...]] = STREET_CLASSES
    """Names of the classes of its label maps, by class id; pixels with other ids are unlabeled."""

    split_file: Path | None = None
    """The clips and frames that may be targets (see docs/reference/files.md); other frames remain context."""
    partial: bool = False
    """Use what is on disk and warn how much of what is listed is missing; if false, missing data is an error."""
    frames: tuple[int, int] | None = None
    """Use only these frames of each clip: the number of the first, and one past that of the last."""

    @classmethod
    @abstractmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a file or folder looks like this format.

        Args:
            path: file or folder, which exists.
        """

    @classmethod
    def tries(cls, path: Path) -> bool:
        """Return whether this format accepts a file or folder that no format recognizes.

        Args:
            path: file or folder, which exists.
        """
        return False

    @classmethod
    def block(cls, path: Path) -> dict[str, Any]:
        """Return the fields, besides `kind`, that select the data at a path.

        Args:
            path: path of the data set, or of a part of it; a format that knows its parts then selects only this part.
        """
        return {cls.place: str(path)}

    @abstractmethod
    def find(self) -> list[Clip]:
        """Find all clips of the source. Raises InputError if something is missing or does not fit together."""

    def entry(self, where: str, line: str) -> Entry:
        """Parse a line of the split file. A format may override this to read further notations.

        Args:
            where: file and line number, for messages.
            line: text of the line.
        """
        return own_entry(where, line)

    def entries(self) -> list[Entry]:
        """Return the entries of the split file; none if there is no split file."""
        return [self.entry(*line) for line in read_lines(self.split_file)] if self.split_file else []

    def clips(self, one_size: bool = True) -> list[Clip]:
        """Return the clips of the source, restricted to the split file and to `frames`.

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
        """Raise InputError for listed items that are not on disk. If `partial`, warn instead, unless all are absent.

        Args:
            absent: items that are not on disk, as the message names them.
            listed: number of items that are listed.
            what: word for these items, in the plural, such as "images".
            where: file that lists them.
        """
        if not absent:
            return
        count = f"{len(absent)} of the {listed} {what} of {where} are not on disk"
        if not self.partial or len(absent) == listed:
            raise InputError(f"{absent[0]}: not found ({count}); get it, or use what is there with 'partial: true'")
        warnings.warn(f"{count}; the others are used", stacklevel=2)


SOURCES = Family(Source, "packdepth.sources", ("packdepth.sources",))  # type: ignore[type-abstract]
AnySource = Annotated[Source, ByKind(SOURCES, keep_unknown=True)]
