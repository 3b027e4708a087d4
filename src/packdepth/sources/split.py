"""Split files: which clips and frames may be targets, one a line.

    # packdepth split: 12 clips of 9 drives; seed 1
    # sha256 f3a1...
    kitti_raw/2011_09_26_drive_0001_sync/left
    kitti_raw/2011_09_26_drive_0002_sync/left 0000000010

A line names a clip, or a clip and one of its frames. Lines that begin with # are remarks. A split that packdepth wrote
carries the hash of its other lines; a file that was changed since is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from packdepth.errors import InputError
from packdepth.files import replacing
from packdepth.records import Clip
from packdepth.sources.files import read_text

HASH = re.compile(r"#\s*sha256\s+([0-9a-f]{64})\s*")


class Entry(NamedTuple):
    """A line of a split file."""

    clip: str
    frame: str | None  # None for all frames of the clip
    where: str  # file and line, for messages


def read_lines(path: Path) -> list[tuple[str, str]]:
    """Where it stands and what it says, of each line of a split file that is no remark.

    Raises InputError for a file that is missing, empty, or not what its hash is of.
    """
    text = read_text(path, "a split file: a clip, or a clip and a frame, a line").splitlines()
    lines = [(f"{path}: line {number}", line.strip()) for number, line in enumerate(text, 1)]
    entries = [(where, line) for where, line in lines if line and not line.startswith("#")]
    if not entries:
        raise InputError(f"{path}: lists nothing; a split file names a clip, or a clip and a frame, a line")
    for match in filter(None, (HASH.fullmatch(line) for _, line in lines)):
        if match[1] != _hash(line for _, line in entries):
            raise InputError(
                f"{path}: was changed since it was made (its lines have another sha256 than it says); "
                f"make it again, or remove its line '# sha256' to use it as it is"
            )
    return entries


def own_entry(where: str, line: str) -> Entry:
    """A line in packdepth's own notation."""
    words = line.split()
    if len(words) > 2:
        raise InputError(f"{where}: has {len(words)} words; write a clip, or a clip and a frame")
    return Entry(words[0], words[1] if len(words) == 2 else None, where)


def own_line(clip: str, frame: str | None = None) -> str:
    """A clip, or one of its frames, in packdepth's own notation."""
    for name in filter(None, (clip, frame)):
        if len(name.split()) != 1:
            raise InputError(f"'{name}': a name with a space cannot stand in a split file; rename it")
    return clip if frame is None else f"{clip} {frame}"


def select(clips: Iterable[Clip], entries: Sequence[Entry]) -> tuple[list[Clip], list[Entry]]:
    """The clips that are listed, with their targets, and the entries that none of the clips answers."""
    wanted: dict[str, set[str | None]] = {}
    for entry in entries:
        wanted.setdefault(entry.clip, set()).add(entry.frame)
    selected, answered = [], set()
    for clip in clips:
        there = wanted.get(clip.name, set()) & {None, *(frame.name for frame in clip.frames)}
        answered |= {(clip.name, frame) for frame in there}
        if None in there:
            selected.append(clip)
        elif there:
            selected.append(replace(clip, targets=frozenset(frame for frame in there if frame is not None)))
    return selected, [entry for entry in entries if (entry.clip, entry.frame) not in answered]


def write_split(path: Path, lines: Sequence[str], remark: str) -> str:
    """Write a split file; returns its hash."""
    value = _hash(lines)
    with replacing(path) as temporary:
        temporary.write_text("\n".join([f"# packdepth split: {remark}", f"# sha256 {value}", *lines]) + "\n")
    return value


def _hash(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
