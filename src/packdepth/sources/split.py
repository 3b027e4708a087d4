"""Split files: text files that list, one a line, the clips to use or the frames that may be targets.

    # packdepth split: 12 clips of 9 drives; seed 1
    # sha256 f3a1...
    kitti_raw/2011_09_26_drive_0001_sync/left
    kitti_raw/2011_09_26_drive_0002_sync/left 0000000010

A line names a clip, or a clip and one of its frames. Lines that begin with # are comments. A split file that packdepth
has written holds the hash of its entries, so that a file that was changed afterwards is refused.
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

HASH = re.compile(r"#\s*sha256\s+([0-9a-f]{64})\s*")  # comment that holds the hash of the entries


class Entry(NamedTuple):
    """Entry of a split file."""

    clip: str  # name of the clip
    frame: str | None  # None for all frames of the clip
    where: str  # file and line, for messages


def read_lines(path: Path) -> list[tuple[str, str]]:
    """Read a split file. Return, for each line that is no comment, file and line number for messages, and its text.

    Args:
        path: the split file. Raises InputError if it is missing, lists nothing, or does not match its hash.
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
    return [(where, line.replace("\\", "/")) for where, line in entries]  # Windows writes paths with backslashes


def own_entry(where: str, line: str) -> Entry:
    """Parse a line in packdepth's own notation.

    Args:
        where: file and line number, for messages.
        line: text of the line. Raises InputError if it has more than two words.

    >>> own_entry("split.txt: line 1", "folder/drive 000012")
    Entry(clip='folder/drive', frame='000012', where='split.txt: line 1')
    """
    words = line.split()
    if len(words) > 2:
        raise InputError(f"{where}: has {len(words)} words; write a clip, or a clip and a frame")
    return Entry(words[0], words[1] if len(words) == 2 else None, where)


def own_line(clip: str, frame: str | None = None) -> str:
    """Return the line of a split file for a clip or for one of its frames.

    Args:
        clip: name of the clip.
        frame: name of the frame; None for all frames of the clip.

    Raises InputError for a name that holds a space.

    >>> own_line("folder/drive", "000012")
    'folder/drive 000012'
    """
    for name in filter(None, (clip, frame)):
        if len(name.split()) != 1:
            raise InputError(f"'{name}': a name with a space cannot stand in a split file; rename it")
    return clip if frame is None else f"{clip} {frame}"


def select(clips: Iterable[Clip], entries: Sequence[Entry]) -> tuple[list[Clip], list[Entry]]:
    """Select the clips that are listed and restrict their targets to the listed frames.

    Args:
        clips: clips to select from.
        entries: entries of a split file.

    Returns:
        The selected clips, and the entries whose clip or frame does not exist.
    """
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
    """Write a split file and return the hash of its lines.

    Args:
        path: file to write.
        lines: its entries, as `own_line` returns them.
        remark: comment in the first line.
    """
    value = _hash(lines)
    with replacing(path) as temporary:
        temporary.write_text("\n".join([f"# packdepth split: {remark}", f"# sha256 {value}", *lines]) + "\n")
    return value


def _hash(lines: Iterable[str]) -> str:
    """Return the SHA-256 of lines."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
