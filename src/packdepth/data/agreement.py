"""Agreement of measurements with the images and with each other: what would make "metric" a lie, with its number.

`packdepth data check` reports it, and training refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from packdepth.data.disagreement import (
    Check,
    Disagreement,
    checked_clips,
    evenly_spread,
    moving_flow,
    refuse_wrong,
    used_measurements,
)
from packdepth.data.optical_flow import Flow, optical_flow, small_gray
from packdepth.data.targets import distance, distance_source, gaps
from packdepth.data.triangulation import triangulated
from packdepth.geometry.camera import Camera
from packdepth.geometry.pinhole import hit_pixels
from packdepth.records import Clip, Frame, Readable
from packdepth.sources.offset import pairs_apart, speeds_shift
from packdepth.sources.rigid import scalar_first

if TYPE_CHECKING:
    from packdepth.geometry.ground_motion import GroundHeight

IMPOSSIBLE_SPEED = 100.0  # metres per second: 360 km/h
CHECKED = 6  # frames or pairs of a clip that are looked at, evenly spread
MIN_POINTS = 10  # points that must be measured: a median of fewer says little
MIN_BASELINE, MAX_BASELINE = 0.01, 5.0  # metres: a stereo endoscope has less, no vehicle has more
MIN_SHIFT = 0.5  # pixels of the small images: a smaller shift of swapped images may be noise
MAX_DEPTH_RATIO = 1.5  # of depth maps over LiDAR, or its inverse: wrong units change it more (measured: 0.97 to 1.03)
MIN_TYPICAL, MAX_TYPICAL = 0.02, 2000.0  # metres, depth of the scene by poses: endoscopes have more, drones have less
BEHIND = 0.35  # share of the points that poses put behind the camera (measured: up to 0.13); wrong ones make 0.5

# Height over the road
GROUND_PAIRS = 24  # pairs whose motion over the road is measured: a second or two of work
MIN_GROUND_PAIRS = 8  # pairs, with a measured motion: a median of fewer may be an accident
MIN_PATH = 0.05  # metres between the images of a pair
MAX_SPREAD = 0.2  # of the logarithm of a height: on roads 0.003 to 0.02, in blurred and noisy images up to 0.13
MIN_LEAD = 2.0  # standard deviations by which a height must match better than others; right ones had 2 to 9, wrong ones
# at most 1
MIN_HEIGHT, MAX_HEIGHT = 0.08, 4.5  # metres above the road: of small robots and of trucks
MIN_USUAL, MAX_USUAL = 0.8, 2.8  # metres above the road: of cars' bumpers, and of buses' windscreens
MAX_HEIGHT_RATIO = 1.5  # of the height that motion makes over the one that is known, or its inverse (measured: 1.03)


OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])  # camera axes of OpenGL: x to the right, y up, z backwards
VEHICLE = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]).T  # x ahead, y to the left, z up
MEANT: tuple[tuple[Callable[[np.ndarray], np.ndarray], str], ...] = (
    (scalar_first, "with qw as the first number of the quaternion they do not: it is written qw, qx, qy, qz"),
    (np.linalg.inv, "their inverses do not: they are the other way round (T_camera_world)"),
    (lambda pose: pose @ OPENGL, "with y and z turned over they do not: their axes are OpenGL's (y up, z backwards)"),
    (lambda pose: pose @ VEHICLE, "as poses of the vehicle they do not: their axes are x ahead, y to the left, z up"),
)  # what poses may be that put the scene behind the camera: how they become right, and in words


def disagreements(clip: Clip) -> list[Disagreement]:
    """Return what in a clip cannot be right.

    Args:
        clip: the clip. Raises InputError for a file that cannot be read.
    """
    return [each for _, find in CHECKS if (each := find(clip)) is not None]


def check_agreement(clips: Sequence[Clip], fields: frozenset[str]) -> str | None:
    """Raise InputError for measurements of a training that cannot be right. A few clips are checked.

    They are checked with all their frames, also those that are held out or dropped: so training looks at the same
    pairs of frames as the data check, and both say the same of a clip.

    Args:
        clips: the clips to train on, as their sources gave them.
        fields: the optional fields of the batch that the objective uses, such as "distance", "right" and "truth".

    Returns:
        What the motion of the road says of the distances that are trained on, in one clause; None if there are none.
    """
    said = None
    for clip in checked_clips(clips):
        used = used_measurements(clip, fields)
        if used & {"speed", "poses"} and (said is None or not said.tells):  # seconds of work: one clip is enough
            used |= {"height"}
        refuse_wrong(clip, CHECKS, used)
        if "height" in used:
            said = by_road(clip)
    return None if said is None else said.text


# --- speed ------------------------------------------------------------------------------------------------------


def _speed(clip: Clip) -> Disagreement | None:
    """Report speeds that no road vehicle reaches."""
    highest = max((frame.speed for frame in clip.frames if frame.speed is not None), default=0.0)
    if highest <= IMPOSSIBLE_SPEED:
        return None
    return Disagreement(
        "speeds",
        f"its speeds reach {highest:.1f} m/s, and no road vehicle is this fast",
        f"Write metres per second: {highest:.1f} km/h would be {highest / 3.6:.1f} m/s.",
    )


# --- height over the road ---------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def height_by_motion(clip: Clip) -> GroundHeight | str:
    """Return the height of a camera above the road, by its speeds or poses and by the motion of the road's image.

    The motion of the road's image gives the distance traveled in camera heights (`geometry.ground_motion`), and speeds
    or poses give it in metres.

    Args:
        clip: the clip, with a camera, and with speeds or poses.

    Returns:
        The height, or the reason why there is none.
    """
    from packdepth.geometry.ground_motion import ground_height, small_ground_image

    near = [] if clip.independent else pairs_apart(np.array([frame.time for frame in clip.frames])).tolist()
    lengths = {(i, j): length for i, j in near if (length := distance(clip, i, j) or 0.0) > MIN_PATH}
    if len(lengths) < MIN_GROUND_PAIRS:
        return (
            f"{len(lengths)} pairs of its frames are 0.1 s and more than {MIN_PATH:g} m apart, {MIN_GROUND_PAIRS} are "
            f"needed"
        )
    pairs = np.array(list(lengths))
    pairs = pairs[np.unique(np.linspace(0, len(pairs) - 1, GROUND_PAIRS).round().astype(int))]
    images = {index: small_ground_image(clip.frames[index].image.read()) for index in np.unique(pairs).tolist()}
    paths = np.array([lengths[i, j] for i, j in pairs.tolist()])
    found = ground_height([(images[i], images[j]) for i, j in pairs.tolist()], paths, clip.camera)
    if found is None or found.lead < MIN_LEAD or found.spread > MAX_SPREAD:
        return (
            "too little of a road that moves is seen (one without texture, traffic just ahead, or none), or they are "
            "of another time"
        )
    return found


@dataclass(frozen=True)
class SaidByRoad:
    """Comparison of the motion of the road in the images with the speeds or poses of a clip, in words."""

    source: str  # "speeds" or "poses"
    text: str  # one clause
    metres: float | None  # height of the camera above the road; None if it could not be measured
    usual: bool  # whether this height is that of a car, a van or a bus, or the clip states the height

    @property
    def tells(self) -> bool:
        """Whether the images tell something: a height, or that the speeds are of another time."""
        return self.metres is not None or not self.usual


def by_road(clip: Clip) -> SaidByRoad | None:
    """Compare the motion of the road in the images with the speeds or poses of a clip.

    Args:
        clip: the clip.

    Returns:
        The result; None if the clip has neither speeds nor poses, or its camera is not known.
    """
    if clip.missing_camera is not None or distance_source(clip) is None:
        return None
    source = "speeds" if distance_source(clip) == "speed" else "poses"
    late = of_another_time(clip) if source == "speeds" else None
    if late is not None:
        return SaidByRoad(source, late, None, False)
    found = height_by_motion(clip)
    if isinstance(found, str):
        return SaidByRoad(source, f"its {source} could not be compared with its images: {found}", None, True)
    text = f"with its {source}, the motion of the road puts the camera {found.metres:.2f} m above it"
    usual = clip.camera_height is not None or MIN_USUAL <= found.metres <= MAX_USUAL
    return SaidByRoad(source, text, found.metres, usual)


def of_another_time(clip: Clip) -> str | None:
    """Return by how much the speeds of a clip are of another time than its images, one clause; None if they are not.

    Args:
        clip: the clip, with a camera.
    """
    shift = None if clip.independent else speeds_shift(clip)
    if shift is None:
        return None
    return (
        f"its speeds are of another time than its images: they fit them if they are taken {abs(shift):.1f} s "
        f"{'later' if shift > 0 else 'earlier'}"
    )


def _height(clip: Clip) -> Disagreement | None:
    """Report speeds or poses in a wrong unit, by the height of the camera above the road that they make."""
    said = by_road(clip)
    if said is None or said.metres is None:
        return None
    told = said.text
    if clip.camera_height is not None:
        ratio = said.metres / clip.camera_height
        if 1 / MAX_HEIGHT_RATIO < ratio < MAX_HEIGHT_RATIO:
            return None
        told += f", {ratio:.2g} times the {clip.camera_height:g} m that it is said to have"
    elif MIN_HEIGHT <= said.metres <= MAX_HEIGHT:
        return None
    else:
        told += f", and cameras of robots to trucks stand {MIN_HEIGHT:g} to {MAX_HEIGHT:g} m above it"
    way_out = "" if clip.camera_height is not None else "; state height_m if it flies or stands on a mast"
    return Disagreement(
        said.source,
        told,
        f"See whether {said.source} and height are in metres: km/h taken for m/s are 3.6 times, mph 2.2 times too "
        f"fast{way_out}.",
    )


# --- stereo -----------------------------------------------------------------------------------------------------


def _baseline(clip: Clip) -> Disagreement | None:
    """Report a baseline in another unit than metres."""
    if clip.baseline is None or MIN_BASELINE <= clip.baseline <= MAX_BASELINE:
        return None
    return Disagreement(
        "stereo",
        f"its baseline is {clip.baseline:g} m"
        + (" (centimetres or millimetres?)" if clip.baseline > MAX_BASELINE else ""),
        "Write the distance between both cameras in metres; by KITTI's matrices it is (P2[0, 3] - P3[0, 3]) / fx.",
    )


def _sides(clip: Clip) -> Disagreement | None:
    """Report right images that show points farther right than the left ones: they come from the left camera."""
    shifts = []
    for frame in evenly_spread([frame for frame in clip.frames if frame.right is not None], CHECKED):
        assert frame.right is not None
        flow = optical_flow(small_gray(frame.image.read()), small_gray(frame.right.read()))
        if flow.found.sum() >= MIN_POINTS:
            shifts.append(float(np.median(flow.vectors[flow.found, 0])))
    if not shifts or np.median(shifts) < MIN_SHIFT:
        return None
    return Disagreement(
        "stereo",
        f"its right images show points {float(np.median(shifts)):.1f} px farther right than the left ones (in images "
        f"at most 320 px wide), as if the two cameras were swapped",
        "Swap the left and the right images.",
    )


# --- depth and LiDAR --------------------------------------------------------------------------------------------


def _depth_and_lidar(clip: Clip) -> Disagreement | None:
    """Report depth maps that are far deeper or flatter than the LiDAR scans of the same frames."""
    both = [frame for frame in clip.frames if frame.depth is not None and frame.lidar is not None]
    ratios = [
        ratio
        for frame in evenly_spread(both, CHECKED)
        if (ratio := _depth_over_lidar(clip, frame.depth, frame.lidar)) is not None
    ]
    ratio = float(np.median(ratios)) if ratios else 1.0
    if 1 / MAX_DEPTH_RATIO < ratio < MAX_DEPTH_RATIO:
        return None
    millimetres = " (1000 / 256 = 3.9: they hold millimetres)" if abs(ratio - 1000 / 256) < 0.4 else ""
    return Disagreement(
        "depth",
        f"its depth maps are {ratio:.2f} times as deep as its LiDAR scans{millimetres}",
        "Write depth maps as metres x 256, and points in metres.",
    )


def _depth_over_lidar(clip: Clip, depth: Readable | None, lidar: Readable | None) -> float | None:
    """Return the median of depth map over LiDAR where both measure; None if that is nowhere."""
    assert depth is not None
    assert lidar is not None
    pixels, points = hit_pixels(lidar.read(), clip.camera)
    values, ranges = depth.read()[*pixels], points[:, 2]
    ratios = values[values > 0] / ranges[values > 0]
    return float(np.median(ratios)) if len(ratios) >= MIN_POINTS else None


# --- poses ------------------------------------------------------------------------------------------------------


def _poses(clip: Clip) -> Disagreement | None:
    """Report poses with which the images' motion puts the scene behind the camera, or at an impossible distance."""
    if clip.independent or clip.missing_camera is not None:
        return None
    pairs = _moving_pairs(clip)
    depths = _depths(pairs, lambda pose: pose)
    if len(depths) < MIN_POINTS:
        return None
    behind = float((depths < 0).mean())
    if behind > BEHIND:
        found = f"its poses put {behind:.0%} of the points of the images behind the camera"
        for change, what in MEANT:
            if float((_depths(pairs, change) < 0).mean()) < behind / 2:
                found += f", {what}"
                break
        return Disagreement(
            "poses",
            found,
            "Write T_world_camera of the camera itself: x to the right, y down, z along the optical axis.",
        )
    typical = float(np.median(np.abs(depths)))
    if MIN_TYPICAL <= typical <= MAX_TYPICAL:
        return None
    return Disagreement(
        "poses",
        f"its poses put the scene at a distance of {typical:.2g} m",
        "Write positions in metres: latitude and longitude are none (speeds= reads them), nor are millimetres.",
    )


def _moving_pairs(clip: Clip) -> list[tuple[Frame, Frame, Flow, Camera]]:
    """Return neighboring frames with poses between which the image moves, their flow, and the camera of the flow."""
    pairs = []
    for index in evenly_spread(np.flatnonzero(~gaps(clip)).tolist(), CHECKED):
        frame, later = clip.frames[index], clip.frames[index + 1]
        if frame.pose is None or later.pose is None or np.array_equal(frame.pose, later.pose):
            continue  # `pose_steps.repeated_fault` reports poses that repeat
        if (moving := moving_flow(clip, index)) is not None:
            pairs.append((frame, later, *moving))
    return pairs


def _depths(
    pairs: Sequence[tuple[Frame, Frame, Flow, Camera]], change: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return the depths [N] in metres of all points of some pairs, by their poses after a change of each."""
    depths = [np.zeros(0)]
    for frame, later, flow, camera in pairs:
        assert frame.pose is not None
        assert later.pose is not None
        T = np.linalg.inv(change(frame.pose)) @ change(later.pose)
        depths.append(triangulated(camera, T, flow.points[flow.found], flow.vectors[flow.found]))
    every = np.concatenate(depths)
    return every[np.isfinite(every)]


CHECKS: tuple[tuple[str, Check], ...] = (
    ("speed", _speed),
    ("right", _baseline),
    ("right", _sides),
    ("truth", _depth_and_lidar),
    ("poses", _poses),
    ("height", _height),
)  # with the measurement that each of them checks
