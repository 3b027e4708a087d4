"""Measurement of the scale of a checkpoint against lengths that clips know: depth, motion, the camera's height."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from packdepth.data.targets import distance, gaps, target_indices
from packdepth.geometry import lidar
from packdepth.geometry.align import aligned_from_afar
from packdepth.geometry.depth import depth_from_inverse
from packdepth.geometry.resize import resize_image, resize_inv_depth
from packdepth.geometry.road import road_height, road_points
from packdepth.inference.cameras import known_camera, match_clip
from packdepth.inference.predictor import Predictor, frame_inv_depth, image_tensor
from packdepth.inference.trajectory import frame_step
from packdepth.objectives.stereo import pair_motion
from packdepth.records import Clip, Frame
from packdepth.scale.measurement import SOURCES, ScaleMeasurement, ScaleSource
from packdepth.scale.points import Point

MAX_FRAMES = 40  # frames for each source, spread evenly: their median is within a fifth of the spread, in seconds
MIN_PIXELS = 20  # measured pixels of a frame; the median of fewer is noise; chosen
MIN_DISTANCE = 0.1  # metres between two frames: about the noise of a pose or of a speed times its interval; chosen
MAX_APART = 1.0  # seconds between two frames that are farther apart than in training; later, too little is still seen
MIN_OWN_LENGTH = 1e-6  # share of the aligned length that a network must predict; less is rounding of no motion; chosen
# pixels that the scene moves between two frames, at the network's size. With exact depth of a rendered plane and wall,
# lengths were right to 3 % from 3 pixels on; at 1 pixel they were 7 % too short, or stayed those of the first guess
MIN_PARALLAX = 3.0


def measure(
    predictor: Predictor,
    clips: Sequence[Clip],
    sources: Sequence[ScaleSource] | None = None,
    *,
    height: float | None = None,
    points: Sequence[Point] = (),
    frames: int = MAX_FRAMES,
) -> list[ScaleMeasurement]:
    """Measure the scale of predicted depth against each source that the clips offer.

    * points: the depth at tape-measured points.
    * lidar, depth: the median ratio of measured and predicted depth in a frame.
    * speed, poses: the measured distance between two frames over the length of the motion that explains the second
      frame by the first one's predicted depth (`geometry.align`), so that the scale of depth is measured and not that
      of the ego-motion network.
    * stereo: the baseline over the length of the shift that explains the right image by predicted depth.
    * camera height: the known height over that of the camera above the road in predicted depth, along a normal that is
      perpendicular to the same motion (`geometry.road`).

    Only target frames are used (`Clip.is_target`). A source that needs the camera leaves out clips whose camera is not
    known.

    Args:
        predictor: the networks.
        clips: the clips, none of which is read as a whole.
        sources: the sources to measure; if left out, all of them.
        height: height of the camera above the road, in metres; if left out, `Clip.camera_height`.
        points: tape-measured points in frames of the clips.
        frames: the largest number of frames for each source.

    Returns:
        A measurement for each source that at least one frame offers, in the order of `SOURCES`. One without any factor
        says that no frame was good enough.
    """
    wanted = SOURCES if sources is None else sources
    known: KnownLengths = {}
    finders: dict[ScaleSource, Callable[[], ScaleMeasurement]] = {
        "points": lambda: _by_points(predictor, points),
        "lidar": lambda: _by_depth(predictor, clips, "lidar", frames),
        "depth": lambda: _by_depth(predictor, clips, "depth", frames),
        "speed": lambda: _by_motion(predictor, clips, "speed", frames, known),
        "poses": lambda: _by_motion(predictor, clips, "poses", frames, known),
        "stereo": lambda: _by_stereo(predictor, clips, frames),
        "camera height": lambda: _by_height(predictor, clips, height, frames, known),
    }
    measurements = [finders[source]() for source in SOURCES if source in wanted]
    return [measurement for measurement in measurements if measurement.tried]


# --- depth --------------------------------------------------------------------------------------------------------


class _Place(NamedTuple):
    """A frame of a clip, or the first one of a pair."""

    clip: Clip
    number: int

    @property
    def frame(self) -> Frame:
        return self.clip.frames[self.number]

    @property
    def name(self) -> str:
        return f"{self.clip.name}/{self.frame.name}"


def _targets(clips: Sequence[Clip], offered: Callable[[Clip, Frame], bool], frames: int) -> list[_Place]:
    """Return at most `frames` target frames that offer something, spread evenly."""
    places = [
        _Place(clip, number)
        for clip in clips
        for number, frame in enumerate(clip.frames)
        if clip.is_target(frame) and offered(clip, frame)
    ]
    return [places[i] for i in evenly(len(places), frames)]


def evenly(count: int, most: int) -> list[int]:
    """Return at most `most` of the numbers below `count`, spread evenly.

    Args:
        count: number of items to choose from.
        most: the largest number of items to choose.

    >>> evenly(9, 3)
    [1, 4, 7]
    """
    chosen = min(count, most)
    return [int((i + 0.5) * count / chosen) for i in range(chosen)]


def _measurement(
    source: ScaleSource, found: Sequence[tuple[str, float]], tried: int, motion: Sequence[float] | None = None
) -> ScaleMeasurement:
    factors = np.array([factor for _, factor in found], dtype=np.float64)
    own = None if motion is None else np.array(motion, dtype=np.float64)
    return ScaleMeasurement(source, tuple(name for name, _ in found), factors, tried, own)


def _by_depth(predictor: Predictor, clips: Sequence[Clip], source: ScaleSource, frames: int) -> ScaleMeasurement:
    def offered(clip: Clip, frame: Frame) -> bool:
        measured = frame.lidar is not None and known_camera(clip, predictor.meta) is not None
        return measured if source == "lidar" else frame.depth is not None

    found, places = [], _targets(clips, offered, frames)
    for place in places:
        factor = depth_factor(frame_inv_depth(predictor, place.frame), _truth(predictor, place, source))
        if factor is not None:
            found.append((place.name, factor / match_clip(place.clip, predictor.meta).factor))
    return _measurement(source, found, len(places))


def _truth(predictor: Predictor, place: _Place, source: ScaleSource) -> Tensor:
    """Return the measured depth [H, W] of a frame, 0 where unknown."""
    if source == "lidar":
        camera = known_camera(place.clip, predictor.meta)
        assert place.frame.lidar is not None
        assert camera is not None
        return lidar.depth_map(torch.from_numpy(place.frame.lidar.read()), camera)[0]
    assert place.frame.depth is not None
    return torch.from_numpy(place.frame.depth.read())


def depth_factor(inv_depth: Tensor, truth: Tensor) -> float | None:
    """Return the median of measured over predicted depth; None with less than `MIN_PIXELS` measured pixels.

    Args:
        inv_depth: predicted inverse depth [1, 1, h, w].
        truth: measured depth [H, W], 0 where unknown.

    >>> depth_factor(torch.full((1, 1, 4, 8), 0.5), torch.full((8, 16), 6.0))
    3.0
    """
    known = truth > 0
    if int(known.sum()) < MIN_PIXELS:
        return None
    predicted = resize_inv_depth(inv_depth.cpu(), *truth.shape)[0, 0]
    return float((truth[known] * predicted[known]).median())


def _by_points(predictor: Predictor, points: Sequence[Point]) -> ScaleMeasurement:
    found: list[tuple[str, float]] = []
    inv_depths: dict[str, Tensor] = {}
    for point in points:
        if point.name not in inv_depths:
            size = point.clip.image_size(point.frame)
            inv_depths[point.name] = resize_inv_depth(frame_inv_depth(predictor, point.frame), *size)[0, 0].cpu()
        z = point.z(known_camera(point.clip, predictor.meta))
        inv_depth = float(inv_depths[point.name][round(point.v), round(point.u)])
        found.append((point.name, z * inv_depth / match_clip(point.clip, predictor.meta).factor))
    return _measurement("points", found, len(points))


# --- motion -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class MotionLengths:
    """The predicted length of the motion between two frames, and the height of the camera in the earlier one."""

    clip: Clip
    """The clip."""
    first: int
    """Index of the earlier frame."""
    second: int
    """Index of the later frame."""
    own: float
    """Length that the ego-motion network predicts."""
    aligned: float
    """Length that explains the later frame by the predicted depth of the earlier one: it has the scale of depth."""
    ahead: float
    """Part of the aligned motion along the optical axis, over its length: 1 straight ahead, 0 to the side, -1 back."""
    height: float | None
    """Height of the camera above the road in the predicted depth of the earlier frame; None if no road is found."""
    measured: float | None = None
    """Distance between the frames by the source that was asked for, in metres; None without a source."""

    @property
    def name(self) -> str:
        """The earlier frame, as clip/frame."""
        return f"{self.clip.name}/{self.clip.frames[self.first].name}"


KnownLengths = dict[tuple[Clip, int, int], MotionLengths | None]
"""Results of `_lengths` by clip and indices of both frames, which speed, poses and height share."""


def motion_lengths(
    predictor: Predictor,
    clips: Sequence[Clip],
    frames: int = MAX_FRAMES,
    source: ScaleSource | None = None,
    known: KnownLengths | None = None,
) -> Iterator[MotionLengths]:
    """Yield the predicted lengths of motion between pairs of frames, spread evenly.

    The frames of a pair are as far apart as the nearest context frame in training, or two, four, eight, ... times as
    far, up to `MAX_APART` seconds. They are the nearest ones between which the source measures more than `MIN_DISTANCE`
    and the scene moves by at least `MIN_PARALLAX`, which takes a slow camera several frames.

    Args:
        predictor: the networks. Without an ego-motion network there are no motions.
        clips: the clips. Those of unrelated images, or without a known camera, are left out.
        frames: the largest number of pairs.
        source: yield only pairs whose distance this source measures; None for all pairs.
        known: the pairs that were predicted before; those that are predicted now are added.
    """
    known = {} if known is None else known
    pose = predictor.pose
    if pose is None:
        return
    places = [
        (pairs, first)
        for clip in clips
        if not clip.independent and known_camera(clip, predictor.meta) is not None
        for pairs in [_Pairs(clip, frame_step(predictor, clip), source)]
        for first in target_indices(clip, [offset * pairs.step for offset in pose.context_offsets])
        if any(pairs.of(first))
    ]
    for pairs, first in (places[i] for i in evenly(len(places), frames)):
        clip, start = pairs.clip, first + pairs.step * min(0, *pose.context_offsets)
        for second, measured in pairs.of(first):
            key = (clip, first, second)
            if key not in known:
                known[key] = _lengths(predictor, clip, range(start, second + 1, pairs.step), first)
            found = known[key]
            if found is not None:
                yield replace(found, measured=measured)
                break


class _Pairs:
    """The pairs of frames of a clip between which a source measures a distance.

    Args:
        clip: the clip.
        step: distance of the nearest frames of a pair, in frames.
        source: the source, "speed" or "poses"; None for all pairs, without a distance.
    """

    def __init__(self, clip: Clip, step: int, source: ScaleSource | None) -> None:
        self.clip, self.step, self.measured = clip, step, _measured_by(clip, source)
        self.times = np.array([frame.time for frame in clip.frames])
        self.gaps_before = np.cumsum([0, *gaps(clip)])  # [frames]: equal for frames without a gap in time between them

    def of(self, first: int) -> Iterator[tuple[int, float | None]]:
        """Yield the later frames of the pairs of an earlier one, the nearest first, and their measured distances."""
        end = np.searchsorted(self.times, self.times[first] + MAX_APART, side="right")
        end = min(end, np.searchsorted(self.gaps_before, self.gaps_before[first], side="right"))
        steps = max(int(end - 1 - first) // self.step, 1)  # to the farthest frame
        for count in sorted({*(2**n for n in range(steps.bit_length())), steps}):
            second = first + count * self.step
            length = None if self.measured is None else distance(self.measured, first, second)
            if self.measured is None or (length is not None and length > MIN_DISTANCE):
                yield second, length


def _measured_by(clip: Clip, source: ScaleSource | None) -> Clip | None:
    """Return a clip with the speeds alone, or the poses alone, of another one; None without a source."""
    if source is None:
        return None
    by_speed = source == "speed"
    frames = (replace(frame, pose=None) if by_speed else replace(frame, speed=None) for frame in clip.frames)
    return replace(clip, frames=tuple(frames))


@torch.inference_mode()
def _lengths(predictor: Predictor, clip: Clip, indices: range, first: int) -> MotionLengths | None:
    """Return the lengths between frame `first` and the last of some frames; None for less than `MIN_PARALLAX`.

    `indices` are the frames that the ego-motion network needs: its motions from `first` on are one after the other.
    """
    camera = known_camera(clip, predictor.meta)
    assert camera is not None
    motions = list(predictor.motions(clip.frames[i].image.read() for i in indices))[indices.index(first) :]
    own = reduce(lambda T, following: following @ T, motions)  # T_last_first [4, 4]
    size = predictor.run.image_size
    frame, last = clip.frames[first], clip.frames[indices[-1]]
    earlier, later = (
        resize_image(image_tensor(each.image.read()).to(predictor.device), *size) for each in (frame, last)
    )
    inv_depth, small = frame_inv_depth(predictor, frame).float(), camera.resized(*size)
    T = torch.from_numpy(own)[None].to(inv_depth)
    T = aligned_from_afar(earlier, later, inv_depth, T, small)
    length = float(T[0, :3, 3].norm())
    if length * float(inv_depth.mean()) * float(small.fx) < MIN_PARALLAX:
        return None
    height = road_height(road_points(depth_from_inverse(inv_depth)[0, 0], small), T[0])
    factor = match_clip(clip, predictor.meta).factor
    return MotionLengths(
        clip,
        first,
        indices[-1],
        own=float(np.linalg.norm(own[:3, 3])) * factor,
        aligned=length * factor,
        ahead=-float(T[0, 2, 3]) / length,
        height=None if height is None else height * factor,
    )


def _by_motion(
    predictor: Predictor, clips: Sequence[Clip], source: ScaleSource, frames: int, known: KnownLengths
) -> ScaleMeasurement:
    """Return the measurement by lengths of motion. Pairs between which no motion is predicted give no factor."""
    found: list[tuple[str, float]] = []
    motion: list[float] = []
    pairs = list(motion_lengths(predictor, clips, frames, source, known))
    moving = [pair for pair in pairs if pair.own > MIN_OWN_LENGTH * pair.aligned]
    if pairs and not moving:
        return ScaleMeasurement(source, (), np.empty(0), tried=len(pairs), motionless=True)
    for pair in moving:
        assert pair.measured is not None
        found.append((pair.name, pair.measured / pair.aligned))
        motion.append(pair.measured / pair.own)
    return _measurement(source, found, len(pairs), motion)


# --- stereo -------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def _by_stereo(predictor: Predictor, clips: Sequence[Clip], frames: int) -> ScaleMeasurement:
    def offered(clip: Clip, frame: Frame) -> bool:
        known = clip.baseline is not None and known_camera(clip, predictor.meta) is not None
        return known and frame.right is not None

    size, found, places = predictor.run.image_size, [], _targets(clips, offered, frames)
    for place in places:
        frame, camera = place.frame, known_camera(place.clip, predictor.meta)
        assert frame.right is not None
        assert camera is not None
        assert place.clip.baseline is not None
        left, right = (
            resize_image(image_tensor(image.read()).to(predictor.device), *size) for image in (frame.image, frame.right)
        )
        inv_depth = frame_inv_depth(predictor, frame).float()
        T = pair_motion(torch.tensor([place.clip.baseline]).to(inv_depth))
        T = aligned_from_afar(left, right, inv_depth, T, camera.resized(*size))
        length = float(T[0, :3, 3].norm()) * match_clip(place.clip, predictor.meta).factor
        found.append((place.name, place.clip.baseline / length))
    return _measurement("stereo", found, len(places))


# --- the camera's height ------------------------------------------------------------------------------------------


def _by_height(
    predictor: Predictor, clips: Sequence[Clip], height: float | None, frames: int, known: KnownLengths
) -> ScaleMeasurement:
    offered = [clip for clip in clips if height or clip.camera_height]
    pairs = list(motion_lengths(predictor, offered, frames, known=known))
    found = []
    for pair in pairs:
        metres = height or pair.clip.camera_height
        if metres is not None and pair.height is not None:
            found.append((pair.name, metres / pair.height))
    return _measurement("camera height", found, len(pairs))
