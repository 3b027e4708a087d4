"""Agreement of depth with the motion of the images: LiDAR of another frame, depth maps in another unit.

The optical flow of two frames and the depth of its points give the motion between the frames. Depth in a wrong unit
makes a motion that is as much too long; depth of other pixels explains the flow worse than it would mirrored, upside
down or inverted. The depth of a teacher's maps is checked as measured depth is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from packdepth.data.agreement import height_by_motion
from packdepth.data.disagreement import Disagreement, evenly_spread, moving_flow
from packdepth.data.optical_flow import Flow
from packdepth.data.targets import distance, distance_source, gaps, has_measured_depth
from packdepth.geometry.camera import Camera
from packdepth.geometry.robust import robust_deviation
from packdepth.records import Clip, Frame

CHECKED = 8  # pairs of frames of a clip that are looked at, evenly spread: each shows a wrong unit
MAX_POINTS = 20_000  # measured points of a frame that are used
NEAR = 3.0  # pixels of the small images between a point of the flow and measured points
MIN_POINTS = 15  # points of the flow with a depth: a motion has six unknowns
ROUNDS = 12  # reweightings; more change it little
MIN_NOISE = 0.15  # pixels: standard deviation of the flow, at least
MIN_PAIRS = 3  # pairs of frames whose motion is known: the median of fewer says nothing
MAX_RATIO = 1.5  # of motion by depth over the measured one, or its inverse: wrong units change it more (measured: 1.1)
MAX_SPREAD = 0.25  # of the logarithm of this ratio over the pairs: where the flow is poor, it is more
BETTER = 0.6  # of the error of the flow: depth that is turned over or inverted explains it surely better below
MIN_ERROR, GOOD_ERROR = 0.3, 0.4  # pixels: one that needs no other explanation, and one that is an explanation
MAX_ERROR = 1.5  # pixels: with a larger error, the motion of a pair is not known
MAX_HEIGHT_RATIO = 1.5  # of the height of the camera by depth over the one that is known, or its inverse
CURVED = 0.25  # of the points below the horizon, on the ground of inverted depth, in the median map (measured on roads,
# with LiDAR and predicted maps: 0.31 to 0.7; of sound depth 0 to 0.15, indoors too)
NEAREST = 0.1  # metres: nearer points have no inverse that says anything
FLIGHT = 120.0  # metres: the height that drones may fly at (EU and US); no camera that films the ground is higher


@dataclass(frozen=True, eq=False)
class Pair:
    """Flow between two neighboring frames, and the measured points of the first."""

    flow: Flow  # motion of points of the first image
    points: np.ndarray  # [N, 3] metres, in the camera frame
    camera: Camera  # camera of the images that the flow was computed on
    distance: float | None  # metres traveled between the frames


Motion = tuple[np.ndarray, float]
"""Translation [3] of the camera in the unit of depth, and the median error of the flow that it leaves, in pixels."""

UPSIDE_DOWN, MIRRORED, INVERTED = "upside down", "mirrored", "inverted"
TURNED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    UPSIDE_DOWN: lambda p: p * [1, -1, 1],
    MIRRORED: lambda p: p * [-1, 1, 1],
    INVERTED: lambda p: p / np.maximum(p[:, 2:] ** 2, 1e-6),
}  # what wrong depth may be, and how its points become right


@dataclass(frozen=True)
class DepthWords:
    """How messages name depth that is checked, and what they advise for each of its faults, a sentence."""

    name: str  # short title
    subject: str  # the depth with its place, such as "its measured depth"
    inverse: str  # what the files hold if the depth is inverted
    axes_advice: str  # for depth that is upside down or mirrored
    inverse_advice: str  # for depth that is inverted
    length_advice: str  # for depth that makes other motions than speeds or poses
    height_advice: str  # for depth that puts the ground at another height than the camera's


MEASURED = DepthWords(
    name="measured depth",
    subject="its measured depth",
    inverse="disparity",
    axes_advice="Write points in the camera frame: x to the right, y down, z ahead.",
    inverse_advice="Write depth, not disparity: focal length in pixels times baseline, over disparity.",
    length_advice="Write depth maps as metres x 256 in 16 bits, and points in metres; and see the unit of speeds or "
    "poses.",
    height_advice="Write depth maps as metres x 256 in 16 bits, points in metres, and the height of the camera in "
    "metres.",
)


def depth_fault(clip: Clip, words: DepthWords = MEASURED, has_unit: bool = True) -> Disagreement | None:
    """Return why the depth of the frames of a clip cannot be right; None if nothing speaks against it.

    Args:
        clip: the clip. Raises InputError for a file that cannot be read.
        words: how messages name the depth.
        has_unit: whether depth is in metres. If not, only its shape is checked.
    """
    pairs = depth_pairs(clip)
    motions = [motion_of(pair, pair.points) for pair in pairs]
    fault = _turned(pairs, motions, words) or _curved_ground(clip, words)
    return fault or ((_too_long(pairs, motions, words) or _too_high(clip, words)) if has_unit else None)


def _turned(pairs: Sequence[Pair], motions: Sequence[Motion | None], words: DepthWords) -> Disagreement | None:
    """Report depth that explains the motion of the images better if it is turned over or inverted."""
    error = _median_error(motions)
    if not error > MIN_ERROR:  # small, or not known
        return None
    for what, turn in TURNED.items():
        better = _median_error([motion_of(pair, turn(pair.points)) for pair in pairs])
        if better < min(BETTER * error, GOOD_ERROR):
            wrong = f"{what} ({words.inverse}?)" if what == INVERTED else what
            return Disagreement(
                words.name,
                f"{words.subject} is {wrong}: as it is, it leaves {error:.2f} px of the motion of the images "
                f"unexplained, the other way {better:.2f}",
                words.inverse_advice if what == INVERTED else words.axes_advice,
            )
    return None


def _median_error(motions: Sequence[Motion | None]) -> float:
    """Return the median error of the flow that motions leave, in pixels; NaN if too few pairs have a motion."""
    errors = [found[1] for found in motions if found is not None]
    return float(np.median(errors)) if len(errors) >= MIN_PAIRS else float("nan")


def _too_long(pairs: Sequence[Pair], motions: Sequence[Motion | None], words: DepthWords) -> Disagreement | None:
    """Report depth that makes other motions than speeds or poses."""
    ratios = [
        float(np.linalg.norm(found[0])) / pair.distance
        for pair, found in zip(pairs, motions, strict=True)
        if pair.distance and found is not None and found[1] < MAX_ERROR
    ]
    if len(ratios) < MIN_PAIRS:
        return None
    ratio = float(np.median(ratios))
    spread = robust_deviation(np.log(np.maximum(ratios, 1e-9) / ratio))
    if 1 / MAX_RATIO < ratio < MAX_RATIO or spread > MAX_SPREAD:
        return None
    return Disagreement(
        words.name,
        f"{words.subject} makes motions that are {ratio:.3g} times as long as its speeds or poses say{_unit(ratio)}",
        words.length_advice,
    )


def _too_high(clip: Clip, words: DepthWords) -> Disagreement | None:
    """Report depth in which the ground is at another height than the camera is said to have, or than any has."""
    height = ground_by_depth(clip)
    if height is None:
        return None
    known, why = _known_height(clip)
    if known is None and height < FLIGHT:
        return None
    if known is not None and 1 / MAX_HEIGHT_RATIO < height / known < MAX_HEIGHT_RATIO:
        return None
    said = "" if known is None else f", {height / known:.1f} times the {known:.3g} m that {why}{_unit(height / known)}"
    return Disagreement(
        words.name,
        f"with {words.subject}, the ground is {height:.2f} m below the camera{said}",
        words.height_advice,
    )


def _curved_ground(clip: Clip, words: DepthWords) -> Disagreement | None:
    """Report depth most of whose maps have no ground, but whose inverse has one, as disparity makes it.

    Depth Z of a road is the inverse of a linear function of the row of the image, and disparity is linear. This holds
    whatever the scale and the shift of the inverse depth.
    """
    as_it_is, inverse = (
        float(np.median([0.0 if ground is None else ground[1] for ground in grounds] or [0.0]))
        for grounds in (_grounds(clip), _grounds(clip, TURNED[INVERTED]))
    )
    if as_it_is > 0 or inverse < CURVED:
        return None
    return Disagreement(
        words.name,
        f"{words.subject} is {INVERTED} ({words.inverse}?): as it is, it has no flat ground, and its inverse has one "
        f"in {inverse:.0%} of the points below the horizon",
        words.inverse_advice,
    )


def ground_by_depth(clip: Clip) -> float | None:
    """Return the height of a camera above the ground by its measured depth, in metres; None if there is no ground.

    Args:
        clip: the clip. Raises InputError for a file that cannot be read.
    """
    grounds = _grounds(clip)
    heights = [ground[0] for ground in grounds if ground is not None]
    return float(np.median(heights)) if heights and len(heights) >= min(MIN_PAIRS, len(grounds)) else None


@lru_cache(maxsize=16)  # two findings and their inverse look at the same maps
def _grounds(clip: Clip, turn: Callable[[np.ndarray], np.ndarray] | None = None) -> list[tuple[float, float] | None]:
    """Return height and share of the points below the horizon of the ground in some frames; None where there is none.

    `turn` changes the points first. A clip whose camera is a guess has no frames.
    """
    import torch

    from packdepth.geometry.plane import TOLERANCE, fit_ground

    frames = [] if clip.missing_camera is not None else [frame for frame in clip.frames if has_measured_depth(frame)]
    found: list[tuple[float, float] | None] = []
    for frame in evenly_spread(frames, CHECKED):
        points = measured_points(clip, frame)
        points = points if turn is None else turn(points[points[:, 2] > NEAREST])
        below = torch.from_numpy(points[points[:, 1] > 0])
        ground = fit_ground(below)
        if ground is None:
            found.append(None)
        else:
            near = (below.double() @ ground.normal - ground.height).abs() < TOLERANCE * ground.height
            found.append((ground.height, float(near.double().mean())))
    return found


def _known_height(clip: Clip) -> tuple[float | None, str]:
    """Return the height of a camera in metres, as it is stated or as the road moves, and what tells it; None without.

    The motion of the road needs speeds or poses, and neither depth nor many points that are followed.
    """
    if clip.camera_height is not None:
        return clip.camera_height, "it is said to have"
    found = None if distance_source(clip) is None else height_by_motion(clip)
    if found is None or isinstance(found, str):
        return None, ""
    source = "speeds" if distance_source(clip) == "speed" else "poses"
    return found.metres, f"its {source} and the motion of the road make"


def depth_pairs(clip: Clip) -> list[Pair]:
    """Return pairs of neighboring frames that move, the first of which has measured depth.

    Args:
        clip: the clip.
    """
    if clip.independent or clip.missing_camera is not None or len(clip.frames) < 2:
        return []
    joined = ~gaps(clip)
    places = [i for i, frame in enumerate(clip.frames[:-1]) if joined[i] and has_measured_depth(frame)]
    pairs = []
    for index in evenly_spread(places, CHECKED):
        if (moving := moving_flow(clip, index)) is not None:
            flow, camera = moving
            points = measured_points(clip, clip.frames[index])
            pairs.append(Pair(flow, points, camera, distance(clip, index, index + 1)))
    return pairs


def measured_points(clip: Clip, frame: Frame) -> np.ndarray:
    """Return points of the LiDAR scan of a frame, or else of its depth map: [N, 3] metres, in the camera frame.

    Args:
        clip: the clip.
        frame: the frame, with one of both.
    """
    if frame.lidar is not None:
        points = np.asarray(frame.lidar.read(), dtype=np.float64)
        points = points[np.isfinite(points).all(1)]
    elif frame.depth is not None:
        depth, camera = frame.depth.read(), clip.camera
        v, u = np.nonzero(depth)
        z = depth[v, u].astype(np.float64)
        points = np.stack([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z], axis=-1)
    else:
        points = np.zeros((0, 3))
    return points[:: -(-len(points) // MAX_POINTS) or 1]


def motion_of(pair: Pair, points: np.ndarray) -> Motion | None:
    """Return the motion of the camera that flow and depth make, and how well it explains the flow.

    The flow of a point at normalized place (x, y), with depth Z, is linear in translation and rotation (Longuet-Higgins
    and Prazdny, 1980). Its solution by least squares is reweighted (Geman and McClure).

    Args:
        pair: the flow.
        points: [N, 3] points that belong to the first image.

    Returns:
        Translation [3] in the unit of the points, and the median error of the flow in pixels; None for few points.
    """
    camera, flow = pair.camera, pair.flow
    focal, center = np.array([camera.fx, camera.fy], float), np.array([camera.cx, camera.cy], float)
    ahead = points[points[:, 2] > 1e-3]
    places = ahead[:, :2] / ahead[:, 2:] * focal + center
    starts = flow.points[flow.found].astype(np.float64)
    depths = np.array([_depth_at(places, ahead[:, 2], start) for start in starts])
    known = np.isfinite(depths)
    if known.sum() < MIN_POINTS:
        return None
    starts, z = starts[known], depths[known]
    ends = starts + flow.vectors[flow.found][known]
    (x, y), (x1, y1) = ((starts - center) / focal).T, ((ends - center) / focal).T
    zero = np.zeros_like(x)
    across = np.stack([-1 / z, zero, x1 / z, x * y, -(1 + x**2), y], axis=-1) * focal[0]
    down = np.stack([zero, -1 / z, y1 / z, 1 + y**2, -x * y, -x], axis=-1) * focal[1]
    design, moved = np.stack([across, down], axis=1), ends - starts  # [N, 2, 6], [N, 2]
    scale = np.array([np.median(z)] * 3 + [1.0] * 3)  # unknowns of one size
    design, weight = design * scale, np.ones(len(z))
    for _ in range(ROUNDS):
        A, b = (design * weight[:, None, None]).reshape(-1, 6), (moved * weight[:, None]).reshape(-1)
        solution = np.linalg.lstsq(A, b, rcond=None)[0]
        error = np.linalg.norm(moved - design @ solution, axis=-1)
        spread = max(robust_deviation(error), MIN_NOISE)
        weight = 1 / (1 + (error / (2 * spread)) ** 2)
    return (solution * scale)[:3], float(np.median(error))


def _depth_at(places: np.ndarray, depths: np.ndarray, point: np.ndarray) -> float:
    """Return the median depth of measured points near a point of the image; NaN without any."""
    near = (np.abs(places - point) <= NEAR).all(1)
    return float(np.median(depths[near])) if near.any() else np.nan


def _unit(ratio: float) -> str:
    """Return a unit that would explain a ratio, in words; empty if there is none."""
    known = {1000 / 256: "depth maps in millimetres", 5000 / 256: "x 5000", 100.0: "centimetres", 1000.0: "millimetres"}
    return next((f" ({word}?)" for factor, word in known.items() if 0.8 < ratio / factor < 1.25), "")
