"""Which frames of a clip are worth training on: those between which the camera moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from packdepth.config import DropStatic
from packdepth.data.motion import mean_motion, optical_flow, small_gray
from packdepth.data.survey import STATIC
from packdepth.data.targets import distance, distance_source
from packdepth.errors import InputError
from packdepth.records import Clip


def static_by_image(clip: Clip) -> np.ndarray:
    """Whether the camera stands at each frame, by its images: [frames] bool.

    A frame is static if the mean optical flow to the next frame is less than 1/416 of the width. Source: Zhou et al.,
    CVPR 2017, who drop frames with a mean flow of less than a pixel in images 416 pixels wide. Where no flow can be
    told, and after the last frame, a frame is like the one before.
    """
    grays = (small_gray(frame.image.read()) for frame in clip.frames)
    before = next(grays)
    motion = []
    for gray in grays:
        motion.append(mean_motion(optical_flow(before, gray), gray.shape[1]))
        before = gray
    static: list[bool] = []
    for share in [*motion, np.nan]:
        unknown = bool(np.isnan(share))
        static.append((bool(static) and static[-1]) if unknown else bool(share < STATIC))
    return np.array(static)


def static_by_speed(clip: Clip, slowest: float) -> np.ndarray:
    """Whether the camera stands at each frame, by measured speed or, without one, by poses: [frames] bool.

    A frame is static if the mean speed to the next frame is less than `slowest` metres a second. Raises InputError if
    the clip has neither speed nor poses for all frames.
    """
    if distance_source(clip) is None:
        raise InputError(
            f"{clip.path}: drop_static by speed, but clip {clip.name} has neither speed nor poses for all its frames; "
            f"add them, or drop by image"
        )
    times = [frame.time for frame in clip.frames]
    speeds = [distance(clip, i, i + 1) / (times[i + 1] - times[i]) for i in range(len(times) - 1)]
    return np.array([*speeds, *speeds[-1:]]) < slowest


def moving(clips: Sequence[Clip], drop: DropStatic | None) -> list[Clip]:
    """The clips less their static frames, if these are to be dropped."""
    return [clip if drop is None else without_static(clip, drop) for clip in clips]


def without_static(clip: Clip, drop: DropStatic) -> Clip:
    """The clip less its static frames; those on two sides of what was left out are no neighbors.

    Raises InputError if hardly a frame is left.
    """
    if clip.independent or len(clip.frames) < 2:
        return clip
    static = static_by_image(clip) if drop.by == "image" else static_by_speed(clip, drop.slowest)
    frames = tuple(frame for frame, stands in zip(clip.frames, static, strict=True) if not stands)
    if len(frames) < 2:
        raise InputError(
            f"{clip.path}: drop_static leaves {len(frames)} of the {len(clip.frames)} frames of clip {clip.name}; "
            f"leave the clip out, or, if its camera moves, use a larger frame stride (see packdepth data check)"
        )
    return replace(clip, frames=frames)
