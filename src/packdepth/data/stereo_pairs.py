"""Stereo pairs of a clip: what they lack, whether their images fit each other, and whether their metres are right."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from packdepth.data.agreement import MAX_BASELINE, MIN_BASELINE
from packdepth.data.disagreement import SURELY_MOVING, Disagreement, evenly_spread
from packdepth.data.filters import after_interval
from packdepth.data.measured_depth import MAX_ERROR, NEAREST, Pair, measured_points, motion_of
from packdepth.data.optical_flow import Flow, mean_motion, optical_flow, small_gray
from packdepth.data.targets import distance, distance_source, gaps, has_measured_depth
from packdepth.data.triangulation import triangulated
from packdepth.geometry.camera import Camera
from packdepth.geometry.pinhole import projected
from packdepth.geometry.robust import robust_deviation
from packdepth.records import Clip

CHECKED = 8  # pairs that are looked at, evenly spread
MIN_POINTS = 15  # points that both images show
MIN_PAIRS = 3  # pairs: the median of fewer says nothing
SAME = 0.02  # pixels of the small images: disparities of a copy
MIN_MOVED = 0.5  # pixels that a point moves down or up from a frame to the next, beyond the median: with less, the
# moment of the other image is not known
MIN_CLEAR = 8  # points that move so
MAX_LATE = 0.4  # frames between the two images of a pair (measured: 0.1)
MAX_ROWS = 0.75  # pixels of the small images between the rows of a point (measured: 0.1; half a pixel is noise)

# Metres by the pairs, over those by speeds, poses or measured depth
MIN_DISPARITY = 1.0  # pixels of the small images, median of a pair: below, noisy images make depth 5 % too small
MIN_MOTIONS = 4  # pairs whose motion is known: the median of fewer may be an accident
NEAR = 3.0  # pixels of the small images between a point of the pair and measured points
MAX_DOUBT = 0.06  # standard error of the logarithm of the median ratio, a quarter of the logarithm of MAX_RATIO
MAX_RATIO = 1.25  # or its inverse (measured: 0.94 to 1.08; the speed that a car states may be 10 % too high)


def stereo_lack(clip: Clip) -> str | None:
    """Return what a clip lacks to be trained on by its stereo pairs, with the frame or field; None if nothing.

    Args:
        clip: the clip.

    >>> from pathlib import Path
    >>> from packdepth.geometry.camera import Camera
    >>> stereo_lack(Clip("a", Path("a"), Camera.from_fov(60.0, 640, 192), (), baseline=0.5))
    'no right images'
    """
    missing = [frame.name for frame in clip.frames if frame.right is None]
    if len(missing) == len(clip.frames):
        return "no right images"
    if missing:
        return f"no right image for {len(missing)} of its {len(clip.frames)} frames, the first is {missing[0]}"
    return "no baseline_m in its camera.yaml" if clip.baseline is None else None


def stereo_lacks(clips: Sequence[Clip]) -> dict[str, str]:
    """Return what clips lack to be trained on by their stereo pairs, by the name of the clip.

    The result is empty if no clip has a right image: the data are then not meant as stereo pairs.

    Args:
        clips: all clips of the data.

    >>> stereo_lacks([])
    {}
    """
    if all(frame.right is None for clip in clips for frame in clip.frames):
        return {}
    return {clip.name: lack for clip in clips if (lack := stereo_lack(clip)) is not None}


def stereo_fault(clip: Clip) -> Disagreement | None:
    """Return why the stereo pairs of a clip cannot be right; None if nothing speaks against them.

    Args:
        clip: the clip. Raises InputError for a file that cannot be read.
    """
    return _unfit_images(clip) or _other_metres(clip)


# --- images -----------------------------------------------------------------------------------------------------


def _unfit_images(clip: Clip) -> Disagreement | None:
    """Report right images that cannot be those of the left images.

    In rectified images of one moment, each point lies in one row.
    """
    places = [index for index, frame in enumerate(clip.frames) if frame.right is not None]
    joined = ~gaps(clip)
    across, middles, spreads, shares = [], [], [], []
    for index in evenly_spread(places, CHECKED):
        left, flow = _pair_flow(clip, index)
        if flow.found.sum() < MIN_POINTS:
            continue
        u, v = flow.vectors[flow.found].T
        across.append(float(np.median(np.abs(u))))
        middles.append(float(np.median(v)))
        spreads.append(robust_deviation(v - np.median(v)))
        if not clip.independent and index < len(joined) and joined[index]:
            later = optical_flow(left, small_gray(clip.frames[index + 1].image.read()))
            shares += _moved_share(flow, later)
    if len(across) < MIN_PAIRS:
        return None
    if np.median(across) < SAME and np.median(np.abs(middles)) < SAME:
        return Disagreement(
            "stereo",
            "its right images are copies of the left ones: no point is shifted between them",
            "Give the images of the other camera, or leave right/ out.",
        )
    late = float(np.median(shares)) if len(shares) >= MIN_PAIRS else 0.0
    if abs(late) > MAX_LATE:
        return Disagreement(
            "stereo",
            f"its right images show points where they are {abs(late):.1f} frames {'later' if late > 0 else 'earlier'}",
            "Give both images of a pair from one moment: a camera may have dropped a frame.",
        )
    rows, spread = abs(float(np.median(middles))), float(np.median(spreads))
    if max(rows, spread) < MAX_ROWS:
        return None
    what = f"lie {rows:.1f} rows apart" if rows > spread else f"lie in rows that differ by {spread:.1f} px"
    return Disagreement(
        "stereo",
        f"points of its left and right images {what} (in images at most 320 px wide)",
        "Rectify the images: a point must lie in one row of both.",
    )


def _moved_share(stereo: Flow, later: Flow) -> list[float]:
    """Return by how many frames the other image of a pair is later, by the rows of points; none if they hardly move."""
    both = stereo.found & later.found
    moved, shifted = later.vectors[both, 1].astype(np.float64), stereo.vectors[both, 1].astype(np.float64)
    if len(moved) < MIN_POINTS:
        return []
    moved, shifted = moved - np.median(moved), shifted - np.median(shifted)  # a constant is an error of rectification
    clear = np.abs(moved) > MIN_MOVED
    return [float(np.median(shifted[clear] / moved[clear]))] if clear.sum() >= MIN_CLEAR else []


@lru_cache(maxsize=2 * CHECKED)  # two checks look at the same pairs
def _pair_flow(clip: Clip, index: int) -> tuple[np.ndarray, Flow]:
    """Return the small left image of a stereo pair, and the flow from it to the right one."""
    frame = clip.frames[index]
    assert frame.right is not None
    left = small_gray(frame.image.read())
    return left, optical_flow(left, small_gray(frame.right.read()))


# --- metres -----------------------------------------------------------------------------------------------------


def _other_metres(clip: Clip) -> Disagreement | None:
    """Report a baseline that contradicts the speeds or poses of a clip or, where these say nothing, measured depth."""
    if clip.baseline is None or not MIN_BASELINE <= clip.baseline <= MAX_BASELINE or clip.missing_camera is not None:
        return None
    source = "speeds" if distance_source(clip) == "speed" else "poses"
    ratio = _sure_median(_ratios_by_motion(clip), MIN_MOTIONS)
    if ratio is None:
        source, ratio = "measured depth", _sure_median(_ratios_by_depth(clip), MIN_POINTS)
    if ratio is None or 1 / MAX_RATIO < ratio < MAX_RATIO:
        return None
    return Disagreement(
        "stereo",
        f"by its stereo pairs (baseline {clip.baseline:g} m), points are {ratio:.3g} times as far away as by its "
        f"{source}",
        f"Correct the baseline (baseline_m in camera.yaml), for which about {clip.baseline / ratio:.2g} m would fit, "
        f"or the {source}.",
    )


def _sure_median(ratios: Sequence[float], least: int) -> float | None:
    """Return the median of ratios; None if they are fewer than a number, or spread too much."""
    if len(ratios) < least:
        return None
    median = float(np.median(ratios))
    error = 1.25 * robust_deviation(np.log(np.array(ratios) / median)) / np.sqrt(len(ratios))
    return median if error < MAX_DOUBT else None


def _ratios_by_motion(clip: Clip) -> list[float]:
    """Return how many times as long motions of the camera are by stereo pairs as by the speeds or poses of a clip."""
    places = [index for index, frame in enumerate(clip.frames) if frame.right is not None and not clip.independent]
    before = np.cumsum([0, *gaps(clip)])  # number of gaps before each frame
    ratios = []
    for index in evenly_spread(places, CHECKED):
        later = after_interval(clip, index)
        length = distance(clip, index, later) if before[later] == before[index] else None
        camera, points = _pair_points(clip, index)
        if not length or not len(points):
            continue
        left, _ = _pair_flow(clip, index)
        flow = optical_flow(left, small_gray(clip.frames[later].image.read()))
        found = motion_of(Pair(flow, points, camera, length), points)
        if mean_motion(flow, camera.width) > SURELY_MOVING and found is not None and found[1] < MAX_ERROR:
            ratios.append(float(np.linalg.norm(found[0])) / length)
    return ratios


def _ratios_by_depth(clip: Clip) -> list[float]:
    """Return how many times as far away points are by stereo pairs as by the measured depth near them."""
    both = [i for i, frame in enumerate(clip.frames) if frame.right is not None and has_measured_depth(frame)]
    ratios = []
    for index in evenly_spread(both, CHECKED):
        camera, points = _pair_points(clip, index)
        measured = measured_points(clip, clip.frames[index])
        measured = measured[measured[:, 2] > NEAREST]
        pixels, _ = projected(measured, camera)
        for place, point in zip(projected(points, camera)[0], points, strict=True):
            near = (np.abs(pixels - place) <= NEAR).all(1)
            if near.any():
                ratios.append(float(point[2] / np.median(measured[near, 2])))
    return ratios


def _pair_points(clip: Clip, index: int) -> tuple[Camera, np.ndarray]:
    """Return the camera of the small images of a stereo pair, and the points [N, 3] that it measures, in metres.

    There are no points if the pair shows few, or if most of them are too far away.
    """
    assert clip.baseline is not None
    left, flow = _pair_flow(clip, index)
    camera = clip.camera.resized(*left.shape)
    T_left_right = np.eye(4)
    T_left_right[0, 3] = clip.baseline
    places, vectors = flow.points[flow.found], flow.vectors[flow.found]
    depths = triangulated(camera, T_left_right, places, vectors)
    places, depths = places[depths > 0], depths[depths > 0]
    if len(depths) < MIN_POINTS or np.median(depths) > camera.fx * clip.baseline / MIN_DISPARITY:
        return camera, np.zeros((0, 3))
    across = (places - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    return camera, np.concatenate([across, np.ones((len(across), 1))], axis=-1) * depths[:, None]
