"""Kind of measured depth: along the optical axis (z), or along the ray of each pixel, as many simulators write it.

On a plane, the inverse of z-depth is an affine function of the pixel, that of the distance along rays is not. Three
pixels in a row, of equal steps, show which of both a map holds, wherever they lie on one plane: the ground, a wall.
LiDAR points beside a map show it, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from packdepth.data.disagreement import Disagreement, evenly_spread
from packdepth.geometry.pinhole import hit_pixels
from packdepth.progress import counted
from packdepth.records import Clip, Frame
from packdepth.sources.ranges import ray_lengths

CHECKED = 4  # depth maps of a clip that are looked at, evenly spread
STEPS = (0.08, 0.16)  # shares of the image's width between the three pixels: walls are small, and the effect grows with
# the square of the step
NEAR = 0.25  # of the difference between both kinds of depth: three pixels nearer than that to one kind speak for it
MIN_EFFECT = 0.003  # relative difference between both kinds of depth over three pixels: 16 bits round less to 0.1 %
MIN_SHARE = 0.05  # share of the triples that must speak for a kind: smooth scenes of no planes have some by chance
MAX_WIDTH = 480  # pixels of the maps that are looked at: every second or third pixel of larger ones
MIN_TRIPLES = 200  # triples with measured depth
LEAD = 3.0  # times as many triples that must speak for one kind (measured on z-depth of rendered streets: over 10)
MIN_POINTS = 50  # LiDAR points on a depth map
MIN_LENGTH = 1.1  # length of a ray: nearer to the axis, both kinds of depth are alike

AS_IT_IS, ALONG_RAYS, TWICE = "z", "range", "z, converted"


def range_fault(clip: Clip) -> Disagreement | None:
    """Return that depth maps hold another kind of depth than they are read as; None if nothing speaks for it.

    Args:
        clip: the clip. Raises InputError for a file that cannot be read.
    """
    kind, told = kind_of_depth(clip)
    if kind == ALONG_RAYS:
        return Disagreement(
            "measured depth",
            f"its depth maps hold distances along the rays of pixels, not depth along the optical axis: {told}",
            "Say depth: range in the source of kind folder (data check FOLDER depth=range), which converts them, or "
            "write depth along the optical axis.",
        )
    if kind == TWICE:
        return Disagreement(
            "measured depth",
            f"its depth maps hold depth along the optical axis, and are converted as if they held distances: {told}",
            "Leave out depth: range.",
        )
    return None


@lru_cache(maxsize=16)
def kind_of_depth(clip: Clip) -> tuple[str | None, str]:
    """Return which kind of depth the maps of a clip hold, "z", "range" or "z, converted", and how that was told.

    The kind is None if it cannot be told, or if there are no maps; the text then says what was tried.

    Args:
        clip: the clip.
    """
    frames = evenly_spread([frame for frame in clip.frames if frame.depth is not None], CHECKED)
    if not frames or clip.missing_camera is not None:
        return None, ""
    lengths = ray_lengths(clip.camera.numbers, clip.camera.height, clip.camera.width, None)
    counts, triples = _by_planes(frames, lengths)
    best = max(counts, key=lambda kind: counts[kind])
    others = max(count for kind, count in counts.items() if kind != best)
    if triples >= MIN_TRIPLES and counts[best] > max(MIN_SHARE * triples, LEAD * others):
        words = {AS_IT_IS: "as z-depth", ALONG_RAYS: "as distances", TWICE: "as z-depth before they are converted"}
        return best, f"{counts[best] / triples:.0%} of its places are flat {words[best]}, {others / triples:.0%} not so"
    by_scans = _by_scans(frames, clip, lengths)
    if by_scans is not None:
        return by_scans
    return None, f"neither planes in {counted(len(frames), 'map')} nor LiDAR scans of the same frames tell it"


def _by_planes(frames: Sequence[Frame], lengths: np.ndarray) -> tuple[dict[str, int], int]:
    """Return how many triples of pixels lie on a plane if depth is of each kind, and how many were looked at."""
    stride = -(-lengths.shape[1] // MAX_WIDTH)
    lengths = lengths[::stride, ::stride]
    factors = {AS_IT_IS: np.ones_like(lengths), ALONG_RAYS: 1 / lengths, TWICE: lengths}  # of depth as it is read
    counts, triples = dict.fromkeys(factors, 0), 0
    for frame in frames:
        assert frame.depth is not None
        depth = frame.depth.read()[::stride, ::stride]
        for step in {max(round(share * lengths.shape[1]), 1) for share in STEPS}:
            for axis in (0, 1):
                effect = _bend(lengths, step, axis)
                bends = {kind: _bend(depth * factor, step, axis) for kind, factor in factors.items()}
                usable = np.isfinite(bends[AS_IT_IS]) & (effect > MIN_EFFECT)
                triples += int(usable.sum())
                for kind, bend in bends.items():
                    counts[kind] += int((bend[usable] < NEAR * effect[usable]).sum())
    return counts, triples


def _bend(depth: np.ndarray, step: int, axis: int) -> np.ndarray:
    """Return by which share the inverse of depth [H, W] at a pixel differs from the mean of those `step` pixels away.

    The result has 2 * `step` rows or columns less, and is NaN where one of the three depths is not known.
    """
    with np.errstate(divide="ignore"):
        inverse = np.where(depth > 0, 1 / depth, np.nan)
    count = depth.shape[axis] - 2 * step
    one, middle, other = (np.take(inverse, range(at, max(at + count, at)), axis) for at in (0, step, 2 * step))
    bend: np.ndarray = np.abs((one + other) / 2 / middle - 1)
    return bend


def _by_scans(frames: Sequence[Frame], clip: Clip, lengths: np.ndarray) -> tuple[str, str] | None:
    """Return which kind of depth LiDAR scans confirm, and how; None without scans, or if they confirm none."""
    logs, rays = [np.zeros(0)], [np.zeros(0)]
    for frame in frames:
        if frame.lidar is None or frame.depth is None:
            continue
        pixels, points = hit_pixels(frame.lidar.read(), clip.camera)
        depth, length, z = frame.depth.read()[*pixels], lengths[*pixels], points[:, 2]
        usable = (depth > 0) & (length > MIN_LENGTH)
        logs.append(np.log(depth[usable] / z[usable]))
        rays.append(np.log(length[usable]))
    log, ray = np.concatenate(logs), np.concatenate(rays)
    if len(log) < MIN_POINTS:
        return None
    errors = {
        AS_IT_IS: float(np.median(np.abs(log))),
        ALONG_RAYS: float(np.median(np.abs(log - ray))),
        TWICE: float(np.median(np.abs(log + ray))),
    }
    best = min(errors, key=lambda kind: errors[kind])
    other = min(error for kind, error in errors.items() if kind != best)
    if errors[best] * LEAD > other:
        return None
    return best, f"they differ by {errors[best]:.1%} from LiDAR scans that way, by {other:.1%} otherwise"
