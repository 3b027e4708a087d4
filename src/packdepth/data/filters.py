"""Filter of static frames: frames in which the camera does not move, so that view synthesis teaches no depth.

It stays in `data`, and not in `inspection`, because training applies it (`drop_static` of a run file).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from packdepth.config import DropStatic
from packdepth.data.optical_flow import mean_motion, optical_flow, small_gray
from packdepth.data.targets import distance, distance_source
from packdepth.errors import InputError
from packdepth.records import Clip

STATIC_MOTION = 1 / 416  # share of the image width: mean optical flow below which a frame is static. Zhou et al., CVPR
# 2017, drop frames with less than one pixel of mean flow in images 416 pixels wide.
INTERVAL = 0.1  # seconds from one of these frames to the next: KITTI's
CLOSE = 1e-3  # seconds by which the interval may be shorter, as times are rounded
COPY_SHARE = 0.2  # share of the usual motion to the next frame below which a frame is copied, even after compression
KEPT_GRAYS = 64  # small images that are kept: more than the frames of an interval


def static_by_image(clip: Clip) -> np.ndarray:
    """Return for each frame whether it is static by optical flow: [frames] bool.

    See `is_static`. The last frame, and a frame whose flow is unknown, is static if the frame before it is.

    Args:
        clip: consecutive frames, at least one.
    """
    gray = gray_reader(clip)
    static: list[bool] = []
    for index in range(len(clip.frames)):
        share = motion_between(gray, index, index + 1) if index + 1 < len(clip.frames) else float("nan")
        unknown = bool(np.isnan(share))
        static.append((bool(static) and static[-1]) if unknown else is_static(clip, index, share, gray))
    return np.array(static)


def gray_reader(clip: Clip) -> Callable[[int], np.ndarray]:
    """Return a function that reads the small gray image of a frame by its index, and keeps the last ones in memory.

    Args:
        clip: the clip.
    """
    return lru_cache(KEPT_GRAYS)(lambda index: small_gray(clip.frames[index].image.read()))


def motion_between(gray: Callable[[int], np.ndarray], first: int, second: int) -> float:
    """Return the mean optical flow between two frames as a share of the image width; NaN if it is unknown.

    Args:
        gray: returns the small gray image of a frame, by its index.
        first: the index of one frame.
        second: the index of the other.
    """
    image = gray(first)
    return mean_motion(optical_flow(image, gray(second)), image.shape[1])


def after_interval(clip: Clip, index: int) -> int:
    """Return the index of the first frame that is at least `INTERVAL` later than another, or else of the last frame.

    Args:
        clip: consecutive frames.
        index: the index of the other frame.
    """
    frames, last = clip.frames, len(clip.frames) - 1
    end = frames[index].time + INTERVAL - CLOSE
    return next((later for later in range(index, last) if frames[later].time >= end), last)


def is_static(clip: Clip, index: int, motion: float, gray: Callable[[int], np.ndarray]) -> bool:
    """Return whether a frame is static: the camera stands, or the next frame is a copy.

    The camera stands if the mean flow over `INTERVAL` is below `STATIC_MOTION`: over a sixtieth of a second, a car's
    is shorter, too.

    Args:
        clip: consecutive frames.
        index: the index of the frame, which is not the last one.
        motion: the mean flow to the next frame, as a share of the image width; False is returned for NaN.
        gray: returns the small gray image of a frame, by its index.

    Raises InputError for an image that cannot be read.
    """
    if not motion < STATIC_MOTION:
        return False
    frames, first, second = clip.frames, index, after_interval(clip, index)
    while first > 0 and frames[second].time - frames[first].time < INTERVAL - CLOSE:  # near the end of the clip
        first -= 1
    if (first, second) == (index, index + 1):
        return True
    moved = motion_between(gray, first, second)
    usual = moved * (frames[index + 1].time - frames[index].time) / (frames[second].time - frames[first].time)
    return bool(moved < STATIC_MOTION or motion < COPY_SHARE * usual)


def static_by_speed(clip: Clip, slowest: float) -> np.ndarray:
    """Return for each frame whether it is static by measured speed or, without speed, by poses: [frames] bool.

    A frame is static if the mean speed to the next frame is below a limit. The last frame, and a frame whose speed is
    unknown, is like the one before it.

    Args:
        clip: at least two consecutive frames. Raises InputError if none of them has a speed or a pose.
        slowest: the limit, in metres per second.
    """
    if distance_source(clip) is None:
        raise InputError(
            f"{clip.path}: drop_static by speed, but clip {clip.name} has neither speed nor poses for any "
            f"of its frames; add them, or drop by image"
        )
    times = [frame.time for frame in clip.frames]
    distances = [distance(clip, i, i + 1) for i in range(len(times) - 1)]
    static: list[bool] = []
    for length, step in zip([*distances, None], [*np.diff(times), 1.0], strict=True):
        static.append((bool(static) and static[-1]) if length is None else bool(length / step < slowest))
    return np.array(static)


def static_frames(clip: Clip, drop: DropStatic) -> np.ndarray:
    """Return for each frame whether it is static: [frames] bool. Unrelated images, and a single frame, are not.

    Args:
        clip: the clip.
        drop: how static frames are recognized.

    Raises InputError if this is by speed and the clip knows none.
    """
    if clip.independent or len(clip.frames) < 2:
        return np.zeros(len(clip.frames), dtype=bool)
    return static_by_image(clip) if drop.by == "image" else static_by_speed(clip, drop.slowest)


def moving(clips: Sequence[Clip], drop: DropStatic | None) -> list[Clip]:
    """Return clips without their static frames.

    Args:
        clips: the clips to filter.
        drop: how static frames are recognized; None keeps all frames.
    """
    return [clip if drop is None else without_static(clip, drop) for clip in clips]


def without_static(clip: Clip, drop: DropStatic) -> Clip:
    """Return a clip without its static frames.

    The frames before and after dropped frames do not become neighbors, because their times leave a gap.

    Args:
        clip: the clip to filter. A clip of unrelated images, or of a single frame, is returned unchanged.
        drop: how static frames are recognized.

    Raises InputError if fewer than two frames are left.
    """
    static = static_frames(clip, drop)
    if not static.any():
        return clip
    frames = tuple(frame for frame, stands in zip(clip.frames, static, strict=True) if not stands)
    if len(frames) < 2:
        raise InputError(
            f"{clip.path}: drop_static leaves {len(frames)} of the {len(clip.frames)} frames of clip {clip.name}; "
            f"leave the clip out, or, if its camera moves, use a larger frame stride (see packdepth data check)"
        )
    return replace(clip, frames=frames)
