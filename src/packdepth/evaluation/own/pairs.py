"""Measurement of pairs of frames: the prediction for a frame, against the next frame and against itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from packdepth.data.targets import distance, distance_source, target_indices
from packdepth.evaluation.own.measures import (
    View,
    identity_error,
    neighbor_difference,
    relative_difference,
    sure_pixels,
    swept,
    view_error,
)
from packdepth.geometry.align import aligned_from_afar
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import depth_from_inverse
from packdepth.geometry.resize import resize_image
from packdepth.geometry.road import road_height, road_points
from packdepth.inference.cameras import known_camera, match_clip
from packdepth.inference.predictor import Predictor, image_tensor, label_tensor
from packdepth.progress import counted
from packdepth.records import Clip, Frame
from packdepth.scale.measure import MIN_DISTANCE, evenly

MAX_PAIRS = 60  # pairs of frames, spread evenly: at 192x640 they take about three minutes of one core
MIN_CLEAR = 0.03  # share of pixels with parallax and texture; a pair with fewer says nothing of depth; chosen
NAN = float("nan")


@dataclass(frozen=True)
class Pair:
    """Two frames of a clip, a step apart."""

    clip: Clip
    """The clip."""
    first: int
    """The index of the earlier frame, whose depth is judged."""
    second: int
    """The index of the later frame."""

    @property
    def frame(self) -> Frame:
        """The earlier frame."""
        return self.clip.frames[self.first]

    @property
    def distance(self) -> float | None:
        """The measured distance between the frames, in metres, by speed or else by poses; None without either."""
        part = replace(self.clip, frames=self.clip.frames[self.first : self.second + 1])
        return None if distance_source(part) is None else distance(part, 0, self.second - self.first)


@dataclass(frozen=True)
class PairMeasures:
    """The measures of one pair of frames. What cannot be measured is NaN."""

    clip: str
    """The name of the clip."""
    frame: str
    """The name of the earlier frame."""
    mirror: float
    """The median relative difference between depth and the depth of the mirrored image."""
    motion: float = NAN
    """The length of the ego-motion network's motion over the measured distance."""
    scale: float = NAN
    """The length of the motion that depth needs to explain the next frame, over the measured distance."""
    error: float = NAN
    """The photometric error of the view that depth and motion synthesize."""
    identity: float = NAN
    """The photometric error of the identity reprojection, on the same pixels."""
    constant: float = NAN
    """The photometric error with a constant depth, and the motion that suits it best."""
    by_position: float = NAN
    """The photometric error with a depth that depends on the position in the image alone: each pixel's median of all
    predictions."""
    neighbor: float = NAN
    """The median relative difference between depth and the depth of the next frame, after motion."""
    parallax: float = NAN
    """The mean relative difference between depth and the depth that explains the next frame best (plane sweep)."""
    parallax_by_position: float = NAN
    """The measure `parallax` of the depth that depends on the position in the image alone."""
    clear: float = NAN
    """The share of pixels with enough parallax and texture for `parallax`."""
    sure: float = NAN
    """The share of pixels that are sure (`measures.sure_pixels`)."""
    height: float = NAN
    """The height of the camera above the ground, in the unit of depth."""
    known_height: float = NAN
    """The height of the camera above the ground that the clip states, in metres."""


@dataclass(frozen=True, eq=False)
class PairMaps:
    """The maps of one pair, for pictures, at the size of the network."""

    image: Tensor  # [3, h, w], RGB in [0, 1]
    inv_depth: Tensor  # [h, w], 1/metres if depth is metric
    sure: Tensor  # [h, w] bool


def pairs_of(clips: Sequence[Clip], step: Callable[[Clip], int], most: int = MAX_PAIRS) -> list[Pair]:
    """Return pairs of frames without a gap in time between them, at most `most`, spread evenly over the clips.

    Pairs between which the camera is measured to stand are left out.

    Args:
        clips: the clips.
        step: the number of frames from the earlier frame to the later one, by the clip.
        most: the largest number of pairs.
    """
    moving = [pair for pair in _all_pairs(clips, step) if pair.distance is None or pair.distance >= MIN_DISTANCE]
    return [moving[i] for i in evenly(len(moving), most)]


def lack_of_pairs(clips: Sequence[Clip], step: Callable[[Clip], int]) -> str:
    """Return what clips hold for which `pairs_of` finds no pair, as the object of a sentence.

    Args:
        clips: the clips.
        step: the number of frames from the earlier frame to the later one, by the clip.
    """
    steps = sorted({step(clip) for clip in clips})
    apart = (
        "consecutive frames" if steps == [1] else f"frames {' or '.join(map(str, steps))} apart in the order of time"
    )
    distances = [pair.distance for pair in _all_pairs(clips, step)]
    farthest = max((each for each in distances if each is not None), default=None)
    if farthest is None:
        return f"no two {apart}"
    return (
        f"{counted(len(distances), 'pair')} of {apart}, but between none of them the camera moves by the "
        f"{MIN_DISTANCE:g} m that are needed (at most by {farthest:.2g} m, as speeds or poses say)"
    )


def _all_pairs(clips: Sequence[Clip], step: Callable[[Clip], int]) -> list[Pair]:
    """Return all pairs of frames without a gap in time between them."""
    return [Pair(clip, i, i + step(clip)) for clip in clips for i in target_indices(clip, (step(clip),))]


@torch.inference_mode()
def depth_by_position(predictor: Predictor, frames: Sequence[Frame]) -> Tensor:
    """Return a depth that depends on the position in the image alone: each pixel's median of the predictions.

    Args:
        predictor: the networks.
        frames: the frames.

    Returns:
        Inverse depth [1, 1, h, w] at the network's size.
    """
    return torch.cat([_inv_depth(predictor, frame)[0] for frame in frames]).median(0, keepdim=True).values


def measure_pairs(
    predictor: Predictor, pairs: Sequence[Pair], by_position: Tensor
) -> Iterator[tuple[PairMeasures, PairMaps]]:
    """Yield the measures and the maps of pairs, in order.

    Args:
        predictor: the networks.
        pairs: the pairs.
        by_position: the reference of `depth_by_position`, [1, 1, h, w].
    """
    for pair in pairs:
        yield measure_pair(predictor, pair, known_camera(pair.clip, predictor.meta), by_position)


@torch.inference_mode()
def measure_pair(
    predictor: Predictor, pair: Pair, camera: Camera | None, by_position: Tensor
) -> tuple[PairMeasures, PairMaps]:
    """Return the measures and the maps of one pair of frames.

    The motion is that of the ego-motion network, refined so that it suits the depth (`geometry.align`); the motions of
    the constant depth and of the depth by position are refined in the same way. Without an ego-motion network,
    refinement begins with the standing camera. Lengths and depth are corrected for the focal length, as in prediction.

    Args:
        predictor: the networks.
        pair: the pair.
        camera: the camera of the clip; None if it is not known, and most cannot be measured.
        by_position: the reference of `depth_by_position`, [1, 1, h, w].
    """
    inv_depth, image = _inv_depth(predictor, pair.frame)
    mirrored = predictor.inv_depth(image.flip(-1), _mirrored_labels(predictor, pair.frame)).flip(-1).float()
    mirror, measured = relative_difference(inv_depth, mirrored), pair.distance
    start = _motion(predictor, pair)
    factor = match_clip(pair.clip, predictor.meta).factor  # of predicted lengths
    found = PairMeasures(pair.clip.name, pair.frame.name, float(mirror.median()))
    if start is not None and measured is not None:
        found = replace(found, motion=factor * float(np.linalg.norm(start[:3, 3])) / measured)
    size = (inv_depth.shape[-2], inv_depth.shape[-1])
    small = resize_image(image, *size)
    if camera is None:
        return found, PairMaps(small[0], inv_depth[0, 0] / factor, torch.zeros(size, dtype=torch.bool))

    camera = camera.resized(*size)
    following, full = _inv_depth(predictor, pair.clip.frames[pair.second])
    next_image = resize_image(full, *size)
    guess = torch.eye(4)[None] if start is None else torch.from_numpy(start)[None]

    def parallax(p: Tensor, T: Tensor) -> tuple[float, float]:
        """Return the mean deviation from the best depth, after one factor for the image, and the share of pixels."""
        sweep = swept(small, next_image, p, T, camera)
        share, logs = float(sweep.clear.float().mean()), sweep.log_factor[sweep.clear]
        return (float((logs - logs.median()).abs().mean()) if share >= MIN_CLEAR else NAN), share

    def view_by(p: Tensor) -> tuple[View, Tensor]:
        """Return the photometric error of an inverse depth, and the motion that suits it best."""
        T = aligned_from_afar(small, next_image, p, guess.to(p), camera)
        return view_error(small, next_image, depth_from_inverse(p), T, camera), T

    view, T = view_by(inv_depth)
    identity = identity_error(small, next_image)
    neighbor, seen = neighbor_difference(inv_depth, following, T, camera)
    sure = sure_pixels(mirror, neighbor, view.error, identity, seen)
    by_position = by_position.to(inv_depth)
    of_constant, _ = view_by(inv_depth.median().expand_as(inv_depth))
    of_position, T_position = view_by(by_position)
    all_see = view.valid & of_constant.valid & of_position.valid
    height = road_height(road_points(depth_from_inverse(inv_depth)[0, 0], camera), T[0])
    deviation, clear = parallax(inv_depth, T)
    measures = replace(
        found,
        scale=NAN if measured is None else factor * float(T[0, :3, 3].norm()) / measured,
        error=_mean(view.error, all_see),
        identity=_mean(identity, all_see),
        constant=_mean(of_constant.error, all_see),
        by_position=_mean(of_position.error, all_see),
        neighbor=float(neighbor[seen].median()) if seen.any() else NAN,
        parallax=deviation,
        parallax_by_position=parallax(by_position, T_position)[0],
        clear=clear,
        sure=float(sure.float().mean()),
        height=NAN if height is None else factor * height,
        known_height=NAN if pair.clip.camera_height is None else pair.clip.camera_height,
    )
    return measures, PairMaps(small[0], inv_depth[0, 0] / factor, sure[0, 0])


def _mean(values: Tensor, mask: Tensor) -> float:
    """Return the mean of the values in a mask; NaN if it is empty."""
    return float(values[mask].mean()) if mask.any() else NAN


def _inv_depth(predictor: Predictor, frame: Frame) -> tuple[Tensor, Tensor]:
    """Return the inverse depth [1, 1, h, w] of a frame at the network's size, and its image [1, 3, H, W]."""
    image = image_tensor(frame.image.read()).to(predictor.device)
    return predictor.inv_depth(image, label_tensor(predictor.labels(frame.image, frame.semantic))).float(), image


def _mirrored_labels(predictor: Predictor, frame: Frame) -> Tensor | None:
    """Return the mirrored label map of a frame, if label maps guide the depth network."""
    labels = label_tensor(predictor.labels(frame.image, frame.semantic))
    return None if labels is None else labels.flip(-1)


def _motion(predictor: Predictor, pair: Pair) -> np.ndarray | None:
    """Return T_second_first [4, 4] by the ego-motion network; None without one, or where it needs more frames."""
    if predictor.pose is None:
        return None
    before = len(predictor.pose.context_offsets) - 1  # frames that it needs before the pair
    indices = [pair.first - i * (pair.second - pair.first) for i in range(before, 0, -1)] + [pair.first, pair.second]
    if indices[0] < 0:
        return None
    *_, T = predictor.motions([pair.clip.frames[i].image.read() for i in indices])
    return T
