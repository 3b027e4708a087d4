"""Lists of clips for training, validation and test that share no drive: `packdepth data splits`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from packdepth.errors import InputError
from packdepth.records import Clip
from packdepth.sources.recognize import source_at
from packdepth.sources.split import own_line, write_split

PARTS = ("train", "val", "test")


def make_splits(
    path: Path,
    output: Path,
    kind: str | None = None,
    options: Sequence[str] = (),
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
) -> dict[Path, str]:
    """Write train.txt, val.txt and test.txt, split files by drive; returns their hashes.

    Args:
        path: of the data set.
        output: folder to write to.
        kind: of the data set; recognized by its content if left out.
        options: of its source, as `key=value`.
        shares: of the drives, for train, val and test; a part with a share of 0 is not written.
        seed: of the shuffling.

    Raises InputError for data that cannot be used and for fewer drives than parts.
    """
    if min(shares) < 0 or not np.isclose(sum(shares), 1):
        raise InputError(f"--shares: are {' '.join(map(str, shares))}; give three that add up to 1, none below 0")
    drives = by_drive(source_at(path, kind, options).clips())
    names = [sorted(drives)[i] for i in np.random.default_rng(seed).permutation(len(drives))]
    hashes, start = {}, 0
    for part, count in zip(PARTS, _counts(len(names), shares, path), strict=True):
        chosen = sorted(names[start : start + count])
        start += count
        if chosen:
            clips = [clip for name in chosen for clip in drives[name]]
            remark = f"{len(clips)} clips of {count} drives, {part} of {len(names)}; seed {seed}"
            hashes[output / f"{part}.txt"] = write_split(output / f"{part}.txt", _lines(clips), remark)
    return hashes


def by_drive(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    """Clips by the drive that they are of, or else by the place where they were found."""
    drives: dict[str, list[Clip]] = {}
    for clip in clips:
        drives.setdefault(clip.drive or str(clip.path), []).append(clip)
    return drives


def _counts(drives: int, shares: Sequence[float], path: Path) -> list[int]:
    """Drives of each part: at least one where the share is not 0, and what rounding leaves to the largest."""
    counts = [max(round(share * drives), 1) if share > 0 else 0 for share in shares]
    largest = int(np.argmax(shares))
    counts[largest] += drives - sum(counts)
    if counts[largest] < 1:
        parts = sum(share > 0 for share in shares)
        raise InputError(
            f"{path}: has {drives} drives, too few for {parts} parts; give a share of 0 to some (--shares)"
        )
    return counts


def _lines(clips: Sequence[Clip]) -> list[str]:
    lines = []
    for clip in clips:
        frames = [frame.name for frame in clip.frames if clip.targets is not None and clip.is_target(frame)]
        lines += [own_line(clip.name, frame) for frame in frames] or [own_line(clip.name)]
    return lines
