"""Measurements that the choice of a run file depends on, made on a few frames of each clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np
import torch

from packdepth.data.filters import STATIC_MOTION, after_interval, gray_reader, is_static
from packdepth.data.optical_flow import mean_motion, optical_flow
from packdepth.data.targets import distance, distance_source, gaps, has_measured_depth
from packdepth.data.triangulation import triangulated
from packdepth.geometry.lidar import depth_map
from packdepth.inspection.survey import MAX_FRAMES, spread_indices
from packdepth.records import Clip

T = TypeVar("T", float, None)
Without = Literal["depth", "stereo", "speed", "height"]

CLIPS = 40  # clips that are measured, evenly spread
PAIRS = MAX_FRAMES  # pairs of neighboring frames that are measured, the same as in `data check`
MIN_PAIRS = 4  # pairs of each clip, where there are many
MIN_FLOW = 0.5  # pixels: shorter flow has no reliable direction
MIN_RADIUS = 0.1  # image widths from the principal point: nearer to it, forward motion hardly moves a point
MIN_POINTS = 10  # points of a pair that must be measured: a median of fewer says little


OF_FRAMES: dict[Without, dict[str, Any]] = {  # what a frame holds of each measurement
    "depth": {"depth": None, "lidar": None},
    "stereo": {"right": None},
    "speed": {"speed": None, "pose": None},
}
OF_CLIPS: dict[Without, dict[str, Any]] = {"stereo": {"baseline": None}, "height": {"camera_height": None}}


@dataclass(frozen=True)
class Look:
    """Measurements of the clips of a source. Medians are over the pairs of neighboring frames that move."""

    clips: Sequence[Clip]  # all clips of the source
    motion: float  # median length of optical flow to the next frame, as a share of the image width; NaN if unknown
    lost: float  # share of the pairs whose motion cannot be followed
    static: float  # share of the pairs between which the camera stands
    forwardness: float  # 1 if all flow points away from the image center, 0 if it has no preferred direction
    expansion: float  # relative growth of the image from frame to frame: distance traveled over depth
    step: float | None  # metres between neighboring frames; None if neither speed nor poses are known
    depth: float | None  # median depth of the scene in metres, from motion or measured depth; None without either
    path: float | None  # metres that all clips travel; None if unknown
    still: frozenset[str] = frozenset()  # names of the measured clips in which the camera always stands
    pairs: Mapping[str, Sequence[PairMotion]] = field(default_factory=dict)  # measured pairs of frames, by the clip

    @property
    def frames(self) -> int:
        """Number of frames of all clips."""
        return sum(len(clip.frames) for clip in self.clips)

    @property
    def is_sequential(self) -> bool:
        """Whether there is a clip of consecutive frames."""
        return any(not clip.independent and len(clip.frames) > 2 for clip in self.clips)

    @property
    def is_forward(self) -> bool:
        """Whether the camera looks where it moves to, as that of a car does."""
        return self.forwardness > 0.5  # half of the flow's length; chosen by eye: drives have 0.7 to 0.95, rooms 0.1

    def restricted_to(self, clips: Sequence[Clip]) -> Look:
        """Return the measurements of some of the clips, without measuring their motion again.

        Args:
            clips: the clips, of those of this object.
        """
        names = {clip.name for clip in clips}
        return _summary(clips, {name: pairs for name, pairs in self.pairs.items() if name in names})


@dataclass(frozen=True)
class PairMotion:
    """Measurements of two neighboring frames."""

    motion: float  # mean length of the flow over the image width; NaN if it cannot be followed
    static: bool  # whether the camera stands
    forwardness: float  # cosine between the flow and the direction from the image center, median over points
    expansion: float  # relative growth of the image, median over points
    step: float | None  # metres traveled
    depth: float | None  # median depth, metres


def hidden(clips: Sequence[Clip], without: Sequence[Without]) -> list[Clip]:
    """Return clips that do not know some measurements, so that no choice depends on them.

    Args:
        clips: the clips.
        without: the measurements: "depth", "stereo", "speed" (poses, too) or "height".

    >>> hidden([], ["depth"])
    []
    """
    of_frames = {name: value for kind in without for name, value in OF_FRAMES.get(kind, {}).items()}
    of_clips = {name: value for kind in without for name, value in OF_CLIPS.get(kind, {}).items()}
    return [
        replace(clip, **of_clips, frames=tuple(replace(frame, **of_frames) for frame in clip.frames))
        if without
        else clip
        for clip in clips
    ]


def look(clips: Sequence[Clip]) -> Look:
    """Measure what a run file for these clips depends on.

    Args:
        clips: the clips of a source; up to `CLIPS` of them are measured.

    Raises InputError for an image that cannot be read.
    """
    sequential = [clip for clip in clips if not clip.independent and len(clip.frames) > 1]
    chosen = sequential[:: -(-len(sequential) // CLIPS) or 1]
    count = max(PAIRS // max(len(chosen), 1), MIN_PAIRS)
    return _summary(clips, {clip.name: _pairs(clip, count) for clip in chosen})


def _summary(clips: Sequence[Clip], by_clip: Mapping[str, Sequence[PairMotion]]) -> Look:
    """Return what the measured pairs of frames of some clips, and their measured depth, say together."""
    sequential = [clip for clip in clips if not clip.independent and len(clip.frames) > 1]
    pairs = [pair for found in by_clip.values() for pair in found]
    known = [pair for pair in pairs if np.isfinite(pair.motion)]
    moving = [pair for pair in known if not pair.static]
    measured = measured_median(clips)
    path = None
    if sequential and all(distance_source(clip) is not None for clip in sequential):
        path = sum(_path(clip) for clip in sequential)
    return Look(
        clips=clips,
        motion=_median([pair.motion for pair in moving], float("nan")),
        lost=1 - len(known) / max(len(pairs), 1),
        static=1 - len(moving) / max(len(known), 1),
        forwardness=_median([pair.forwardness for pair in moving], 0.0),
        expansion=_median([pair.expansion for pair in moving], 0.0),
        step=_median([pair.step for pair in moving if pair.step is not None], None),
        depth=measured or _median([pair.depth for pair in moving if pair.depth is not None], None),
        path=path,
        still=frozenset(name for name, found in by_clip.items() if found and all(pair.static for pair in found)),
        pairs=by_clip,
    )


def measured_median(clips: Sequence[Clip], frames: int = 8) -> float | None:
    """Return the median of measured depth in the images, in metres; None if no frame has a depth map or LiDAR in view.

    Args:
        clips: the clips.
        frames: number of frames with measured depth that are read, evenly spread.
    """
    found = [(clip.camera, frame) for clip in clips for frame in clip.frames if has_measured_depth(frame)]
    medians = []
    for camera, frame in found[:: -(-len(found) // frames) or 1]:
        if frame.depth is not None:
            depth = frame.depth.read()
        else:
            assert frame.lidar is not None
            points = torch.from_numpy(np.asarray(frame.lidar.read(), dtype=np.float32))
            depth = depth_map(points, camera).numpy()
        if (depth > 0).any():
            medians.append(float(np.median(depth[depth > 0])))
    return _median(medians, None)


def _pairs(clip: Clip, count: int) -> list[PairMotion]:
    """Return the measurements of up to `count` pairs of neighboring frames without a gap between them."""
    indices = np.flatnonzero(~gaps(clip))
    chosen = indices[spread_indices(len(indices), count)] if len(indices) else indices
    return [pair_motion(clip, int(index)) for index in chosen]


def pair_motion(clip: Clip, index: int) -> PairMotion:
    """Return the measurements of a frame and its successor.

    If the camera moves forward by d, a point at depth z moves away from the image center by d / z of its distance from
    the center. With measured poses, each point is triangulated instead. Where frames follow each other so quickly that
    neighbors hardly differ, directions and depth are those of a later frame.

    Args:
        clip: the clip.
        index: the index of the first frame.
    """
    gray = gray_reader(clip)
    first, later = gray(index), index + 1
    flow, (height, width) = optical_flow(first, gray(later)), first.shape
    motion = mean_motion(flow, width)
    static = is_static(clip, index, motion, gray)
    if motion < STATIC_MOTION and not static:
        later = after_interval(clip, index)
        flow = optical_flow(first, gray(later))
    moved = distance(clip, index, later) if distance_source(clip) is not None else None
    step = None if moved is None else moved / (later - index)
    camera = clip.camera.resized(height, width)
    center = np.array([float(camera.cx), float(camera.cy)])
    arms, vectors = (flow.points - center)[flow.found], flow.vectors[flow.found]
    radius, length = np.linalg.norm(arms, axis=-1), np.linalg.norm(vectors, axis=-1)
    clear = (radius > MIN_RADIUS * width) & (length > MIN_FLOW)
    if not np.isfinite(motion) or clear.sum() < MIN_POINTS:
        return PairMotion(motion, static, 0.0, 0.0, step, None)
    outward = (arms * vectors).sum(-1)[clear]
    expansion = float(np.median(outward / radius[clear] ** 2))
    depth = None
    pose, later_pose = clip.frames[index].pose, clip.frames[later].pose
    if pose is not None and later_pose is not None:
        depths = triangulated(camera, np.linalg.inv(pose) @ later_pose, flow.points[flow.found], vectors)
        ahead = depths[depths > 0]
        depth = float(np.median(ahead)) if len(ahead) >= MIN_POINTS else None
    elif moved is not None and expansion > 0:
        depth = moved / expansion
    forwardness = float(np.median(outward / (radius * length)[clear]))
    return PairMotion(motion, static, forwardness, expansion / (later - index), step, depth)


def _path(clip: Clip) -> float:
    """Return the length of a clip's path in metres, as far as it is known."""
    return sum(distance(clip, i, i + 1) or 0.0 for i in range(len(clip.frames) - 1))


def _median(values: Sequence[float], otherwise: T) -> float | T:
    """Return the median of some values, or another value if there are none."""
    return float(np.median(values)) if len(values) else otherwise
