"""Overlap of recordings in segments: dash cams begin a file with the last second or so of the file before.

The same moment would count twice, and stand in the training frames of one clip and in the held-out tail of another.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from packdepth.data.optical_flow import MIN_POINTS, optical_flow, small_gray
from packdepth.errors import InputWarning
from packdepth.progress import counted
from packdepth.records import Clip, Frame
from packdepth.sources.decoding import VideoFrame, probe
from packdepth.sources.files import by_name, name_parts

MAX_SECONDS = 3.0  # of an overlap that is sought: dash cams have one or two
MAX_FRAMES = 180  # frames that are decoded at the end of a segment: three seconds at 60 frames a second
MIN_WIDTH = 640  # pixels: larger images are compared by some of their pixels
SAME = 0.4  # of the motion to a neighboring frame, between two encodings of one moment (measured: 0.02 to 0.2)
MIN_MOTION = 0.25  # pixels of the small images to a neighboring frame: pictures that stand are all alike
CONFIRMED = 3  # frames of an overlap that must be the same, evenly spread


def repeated_frames(earlier: Path, later: Path) -> int:
    """Return the number of frames at the beginning of a video that repeat the end of another; 0 if there are none.

    Only the end of the earlier video is decoded, and the repeated frames.

    Args:
        earlier: the video that was recorded before.
        later: the video that may repeat its end.
    """
    before, after = probe(earlier), probe(later)
    if (before.height, before.width) != (after.height, after.width):
        return 0
    most = min(before.frames, after.frames, MAX_FRAMES, math.ceil(MAX_SECONDS * float(before.fps)))
    return _repeated(
        [_small(earlier, index) for index in range(before.frames - most, before.frames)],
        lambda index: _small(later, index),
    )


def _small(path: Path, index: int) -> np.ndarray:
    """Return a frame of a video as a small gray image."""
    image = VideoFrame(path, index).read()
    stride = max(image.shape[1] // MIN_WIDTH, 1)  # makes the gray image of a large one in a tenth of the time
    return small_gray(image[::stride, ::stride])


def _repeated(tail: Sequence[np.ndarray], head: Callable[[int], np.ndarray]) -> int:
    """Return how many of the last images `tail` of a video the first images of another repeat; `head` reads these."""
    if len(tail) < 2:
        return 0
    first = head(0)
    start = int(np.argmin([np.abs(first - image).mean() for image in tail]))
    count = len(tail) - start
    for index in sorted({round(step * (count - 1) / (CONFIRMED - 1)) for step in range(CONFIRMED)}):
        place = start + index
        neighbor = tail[place - 1] if place else tail[1]
        motion, change = _motion(tail[place], head(index)), _motion(tail[place], neighbor)
        if not (change > MIN_MOTION and motion < SAME * change):
            return 0
    return count


def _motion(one: np.ndarray, other: np.ndarray) -> float:
    """Return the median optical flow between two gray images [h, w], in pixels; NaN if none is found."""
    flow = optical_flow(one, other)
    lengths = np.linalg.norm(flow.vectors[flow.found], axis=-1)
    return float(np.median(lengths)) if len(lengths) >= MIN_POINTS else float("nan")


def overlaps(clips: Sequence[Clip]) -> dict[Path, tuple[Path, int]]:
    """Return the videos that begin with the end of the one before in their series: this one, and how many frames.

    Args:
        clips: clips of any sources; those of videos are compared.
    """
    pairs = [pair for videos in series_of_videos(clips) for pair in pairwise(videos)]
    return {later: (earlier, count) for earlier, later in pairs if (count := repeated_frames(earlier, later))}


def series_of_videos(clips: Sequence[Clip]) -> list[list[Path]]:
    """Return the videos of clips by their series, in order: those of a folder whose names differ in numbers only.

    Args:
        clips: clips of any sources.
    """
    series: dict[tuple[object, ...], set[Path]] = {}  # by folder and texts of names: ..7F.mp4, ..7R.mp4
    for clip in clips:
        if isinstance(file := clip.frames[0].image, VideoFrame):
            series.setdefault((file.path.parent, *name_parts(file.path.stem.lower())[::2]), set()).add(file.path)
    return [by_name(videos) for videos in series.values()]


def without_repeated_frames(*groups: Sequence[Clip]) -> list[list[Clip]]:
    """Return groups of clips without the frames that repeat the end of another clip. Warns of each video that is cut.

    Args:
        groups: clips of any sources; those of videos are compared across groups, too. A clip that only repeats others
            is left out.
    """
    clips = [clip for group in groups for clip in group]
    last: dict[Path, int] = {}  # frame that clips of a video use
    for clip in clips:
        if isinstance(file := clip.frames[-1].image, VideoFrame):
            last[file.path] = max(file.index, last.get(file.path, 0))
    first = {}  # frame of a video that repeats no used one
    for later, (earlier, count) in overlaps(clips).items():
        unused = probe(earlier).frames - 1 - last[earlier]
        if count > unused:
            first[later] = count - unused
            warnings.warn(
                f"{later}: {overlap_in_words(count - unused, earlier)}; they are left out", InputWarning, stacklevel=2
            )
    if not first:
        return [list(group) for group in groups]
    kept = [
        [replace(clip, frames=tuple(frame for frame in clip.frames if _is_new(frame, first))) for clip in group]
        for group in groups
    ]
    return [[clip for clip in group if clip.frames] for group in kept]


def overlap_in_words(count: int, earlier: Path) -> str:
    """Return what is repeated, as a clause.

    Args:
        count: number of frames.
        earlier: the video that they repeat.

    >>> overlap_in_words(30, Path("a/001.mp4"))
    'its first 30 frames repeat the last of 001.mp4'
    """
    return f"its first {counted(count, 'frame')} repeat the last of {earlier.name}"


def _is_new(frame: Frame, first: Mapping[Path, int]) -> bool:
    """Return whether a frame repeats none; `first` is the first frame of a video that does not, by its file."""
    return not isinstance(frame.image, VideoFrame) or frame.image.index >= first.get(frame.image.path, 0)
