"""Command `packdepth data splits`: writes lists of clips for training, validation and test that share no drive."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from packdepth.data.overlap import overlaps, series_of_videos
from packdepth.disk import replaced_together
from packdepth.errors import InputError, InputWarning
from packdepth.files import make_folder
from packdepth.progress import counted
from packdepth.records import Clip
from packdepth.sources.files import listed
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
    """Write the split files train.txt, val.txt and test.txt, and return the hash of each.

    Args:
        path: path of the data set.
        output: folder to write to.
        kind: kind of the data set, such as "kitti_raw"; if None, it is recognized by its content.
        options: fields of the source as `key=value`, such as "cameras=[left]".
        shares: shares of the drives for train, val and test; a part with a share of 0 is not written.
        seed: seed of the random choice of drives.

    Raises InputError for data that cannot be used and for fewer drives than parts.
    """
    if min(shares) < 0 or not np.isclose(sum(shares), 1):
        raise InputError(f"--shares: are {' '.join(map(str, shares))}; give three that add up to 1, none below 0")
    drives = by_drive(source_at(path, kind, options).clips())
    names = [sorted(drives)[i] for i in np.random.default_rng(seed).permutation(len(drives))]
    hashes, start = {}, 0
    counts = drives_per_part(len(names), shares, path)
    make_folder(output)
    with replaced_together(output) as folder:  # parts of two divisions could share drives
        for part, count in zip(PARTS, counts, strict=True):
            chosen = sorted(names[start : start + count])
            start += count
            if chosen:
                clips = [clip for name in chosen for clip in drives[name]]
                remark = (
                    f"{counted(len(clips), 'clip')} of {counted(count, 'drive')}, {part} of {len(names)}; seed {seed}"
                )
                hashes[output / f"{part}.txt"] = write_split(folder / f"{part}.txt", _lines(clips), remark)
            else:
                (output / f"{part}.txt").unlink(missing_ok=True)  # of an earlier division
    return hashes


def by_drive(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    """Group clips by their drive. A clip without a drive forms a group of its own, named by its path.

    Videos that begin with the end of another, as dash cams write them, are of its drive. Warns of others whose names
    count.

    Args:
        clips: the clips to group.
    """
    before = {later: earlier for later, (earlier, _) in overlaps(clips).items()}
    drives: dict[str, list[Clip]] = {}
    for clip in clips:
        path = clip.path
        while path in before:
            path = before[path]
        drives.setdefault(clip.drive or str(path), []).append(clip)
    for videos in series_of_videos(clips):
        if len(apart := [video for video in videos if video not in before]) > 1:
            warnings.warn(
                f"{apart[0].parent}: {listed([video.name for video in apart])} are taken for drives of their own; if "
                f"they are pieces of one drive, edit the lists",
                InputWarning,
                stacklevel=3,
            )
    return drives


def drives_per_part(drives: int, shares: Sequence[float], path: Path) -> list[int]:
    """Return the number of drives of each part: at least one where the share is not 0.

    The part with the largest share takes what rounding leaves.

    Args:
        drives: number of drives.
        shares: share of each part; they add up to 1.
        path: path of the data set, for the message of the InputError that is raised for fewer drives than parts.

    >>> drives_per_part(12, (0.8, 0.1, 0.1), Path("clips"))
    [10, 1, 1]
    """
    counts = [max(round(share * drives), 1) if share > 0 else 0 for share in shares]
    largest = int(np.argmax(shares))
    counts[largest] += drives - sum(counts)
    if counts[largest] < 1:
        parts = sum(share > 0 for share in shares)
        raise InputError(
            f"{path}: has {counted(drives, 'drive')}, too few for {parts} parts; give a share of 0 to some (--shares)"
        )
    return counts


def _lines(clips: Sequence[Clip]) -> list[str]:
    """Return the lines of a split file: each clip, or its targets where it restricts them."""
    lines = []
    for clip in clips:
        frames = [frame.name for frame in clip.frames if clip.targets is not None and clip.is_target(frame)]
        lines += [own_line(clip.name, frame) for frame in frames] or [own_line(clip.name)]
    return lines
