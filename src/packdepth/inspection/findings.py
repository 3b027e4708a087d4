"""Findings of a data check. There is one function for each problem that can make training on a clip fail or worse.

Each function returns what was measured and what to do about it, or None if there is nothing to report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise, permutations, product
from pathlib import Path
from typing import Literal

import numpy as np

from packdepth.data.agreement import IMPOSSIBLE_SPEED, MAX_HEIGHT, by_road, disagreements, height_by_motion
from packdepth.data.depth_kind import kind_of_depth
from packdepth.data.disagreement import SURELY_MOVING
from packdepth.data.faults import faults
from packdepth.data.filters import STATIC_MOTION
from packdepth.data.measured_depth import ground_by_depth
from packdepth.data.overlap import overlap_in_words
from packdepth.data.targets import camera_advice, distance_source, gaps, target_indices
from packdepth.geometry.camera import Camera
from packdepth.geometry.pinhole import projected
from packdepth.inspection.picture import (
    ALTERNATING,
    COMBED,
    COMBED_MORE,
    MIN_BAR,
    MIN_LOST,
    VIEWS,
    alternation,
    has_black_corners,
    is_panorama,
    two_views,
)
from packdepth.inspection.survey import Survey, share_followed
from packdepth.progress import counted
from packdepth.records import Clip
from packdepth.sources.calibrations.find import unread
from packdepth.sources.decoding import VideoFrame, probe
from packdepth.sources.files import ImageFile, listed
from packdepth.sources.guess import guess_in_words
from packdepth.sources.speeds import UnattachedError, frames_in_words, ranges
from packdepth.sources.stills import moment_taken

Severity = Literal["error", "warning", "note"]
"""error: training would fail or learn something false; warning: results would be worse; note: worth knowing."""

# Thresholds. "Measured" gives the extreme value of the clips that the project is tested on (KITTI, KITTI-360, DDAD, a
# handheld camera (HoloLens) and a dash cam); the threshold lies beyond it. The other thresholds are chosen by eye.

# Frames and time
MIN_RATE, MAX_RATE = 2.5, 250.0  # frames per second: those of a 25 Hz camera whose stamps are wrong by a factor of ten
UNITS = {"milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}  # units of a second, of time stamps
SLOW_SPEED = 1.0  # metres per second, of a camera whose speed is not known: that of a walk
LONG_STEP = 4.0  # metres between frames: more moves every image of a street visibly (KITTI at 90 km/h: 2.5)
WRONG_UNIT = 10  # factor: time stamps in a wrong unit are usually wrong by a power of ten (those of DDAD by ten)
MIN_PATH = 1.0  # metres: the noise of poses is a large share of the length of a shorter path
MIN_DISTANCE_RATIO, MAX_DISTANCE_RATIO = 0.8, 1.25  # distance by speed over that by poses; wrong units change it more
FAST_SPEED = 45.0  # metres per second: 162 km/h; km/h taken for m/s exceed it from 45 km/h on
STANDING_SPEED = 1.0  # metres per second: a walking pace moves the image visibly
SOME_STILL = 0.1  # share of the frames with moving images that may have a speed of 0: logs round and lag
MOSTLY_STILL = 0.5  # share of these frames that only a column of zeros or another drive's log explains
MANY_GAPS = 0.1  # share of the steps between frames: more gaps noticeably reduce the number of targets

MIN_DATED = 3  # images with a date of EXIF: fewer tell no order
MIN_DATED_SPAN = 8.0  # seconds: EXIF often has whole ones, which are then exact to a quarter

# Motion
MIN_MOTION = 0.004  # share of the width, mean between neighbors; static frames are below 0.0024 (1/416)
USUAL_MOTION = 0.012  # share of the width: median of KITTI's drives at 10 frames per second (measured: 0.010 to 0.015)
MAX_MOTION = 0.05  # share of the width: view synthesis hardly finds larger motions (measured: 0.049, handheld camera)
LOST_MOTION = 0.5  # share of the frames: failures of optical flow in more frames are no coincidence
COPY_MOTION = STATIC_MOTION / 4  # share of the width: a copy moves by nothing, even after compression
MIN_COPIES = 3  # measured frames that are copies: fewer may be a coincidence
COPIES_ALONE = 0.8  # share of the static frames that are copies between moving ones: at a red light, hardly any is
MANY_STATIC, NEARLY_ALL_STATIC = 0.05, 0.9  # shares of the frames: worth filtering; too few frames remain
CUT_NEIGHBORS = 4  # measured frames: with fewer, none is unusual
CUT_REACH = 3  # measured frames before and after a frame, with which it is compared
CUT_SHARE = 0.35  # of the points that are followed around a frame: fewer are, across a cut; chosen on cut clips
MIN_FOLLOWED = 0.1  # share of the points: where fewer are followed everywhere, a cut cannot be told
MANY_CUTS = 0.2  # share of the frames: motion that is lost so often is no cut

# Images
MIN_RELATIVE_SHARPNESS = 0.75  # share of the clip's median sharpness: blurred frames are below (measured: 0.89)
MIN_SHARPNESS = 0.4  # unit of `survey.sharpness`: a blur of one pixel brings images below (measured: 0.43)
SOME_BLURRED, MANY_BLURRED = 0.02, 0.1  # shares of the frames: worth a note; a noticeable part of the targets
MAX_BRIGHTNESS_RATIO = 1.2  # between a frame and the one before (measured: 1.10 on drives, 1.20, handheld camera)
MANY_JUMPS = 0.05  # share of the frames: a noticeable part of the targets
MAX_CLIPPED = 0.3  # share of the pixels, median over frames (measured: 0.26, where the car's body is in view)
BLANK, FLAT = 0.99, 0.02  # share of the pixels that are black or white; sharpness: of a blank image, 0
DARK = 0.01  # mean brightness: a black image with lights that fill one part in a hundred is brighter
MOSTLY_BLANK = 0.9  # share of the frames: hardly any two that follow each other are left
LARGE_STATIC_REGION = 0.05  # share of the image: a larger region is worth cropping

# Calibration
MIN_FOV, MAX_FOV = 25.0, 120.0  # degrees, horizontally: a telephoto lens; the limit of pinholes (measured: 48 to 104)
MIN_USUAL_FOV = 45.0  # degrees, horizontally: of phones and dash cams, which have 50 to 120
MAX_CENTER_OFFSET = 0.15  # share of the width: distance of the principal point from the image center (measured: 0.04)
CORNER = 0.4  # share of width and of height: so far right and down lies the principal point of images twice as large
MAX_ASPECT = 1.05  # of the shape of a pixel, or its inverse, over the one that is stated (measured: 1.005)
CHECKED_SCANS = 3  # approximate number of scans of a clip that are checked: each of them reveals a wrong calibration
MIN_RANGE = 0.1  # metres: nearer returns come from the car itself, or have no projection
MIN_HIT_SHARE = 0.02  # share of a scan's returns that fall into the image (measured: 0.11, with a narrow camera)
FEW_HIT, NEARLY_ALL_HIT = 0.5, 0.9  # shares of the returns: a scan of one image that is turned, and one that is not. A
# scan of all directions has few however it is turned
SAME_SHARE = 0.05  # difference of shares that tells nothing: the first of such axes is meant


DIRECTIONS = (("to the right", "to the left"), ("down", "up"), ("ahead", "backwards"))  # of x, y and z of a camera
USUAL_AXES = (((2, 0, 1), (1, -1, -1)), ((0, 1, 2), (1, -1, -1)))  # of vehicles (x ahead, z up) and of OpenGL: the axis
# of the camera that each column holds, and its sign


def _axes() -> dict[str, np.ndarray]:
    """Return the axes that points may have in place of the camera's, in words, each as its matrix [3, 3].

    Points [N, 3] of such axes times the matrix are points in the camera frame.
    """
    found = {}
    for order, signs in (*USUAL_AXES, *product(permutations(range(3)), product((1, -1), repeat=3))):
        matrix = np.zeros((3, 3))
        matrix[range(3), order] = signs
        held = [DIRECTIONS[axis][sign < 0] for axis, sign in zip(order, signs, strict=True)]
        found[f"x {held[0]}, y {held[1]} and z {held[2]}"] = matrix
    return {words: matrix for words, matrix in found.items() if not np.array_equal(matrix, np.eye(3))}


AXES = _axes()


@dataclass(frozen=True)
class Finding:
    """A problem or peculiarity of a clip, with advice."""

    name: str  # short title, such as "time stamps"
    severity: Severity  # error, warning or note
    found: str  # description of what was measured
    advice: str  # one sentence that says what to do


def findings(survey: Survey) -> list[Finding]:
    """Return all findings of a clip, the most severe first.

    Args:
        survey: measurements of the clip.
    """
    found = survey_findings(survey)
    wrong = [*disagreements(survey.clip), *faults(survey.clip)]
    found += [Finding(each.name, "error", each.found, each.advice) for each in wrong]
    found += [] if (untold := _untold_depth(survey.clip)) is None else [untold]
    found += [] if wrong or (high := _high_ground(survey.clip)) is None else [high]
    road = None if any(each.name in ("speeds", "poses") for each in wrong) else _by_road(survey.clip)
    found += [] if road is None else [road]
    return by_severity(found)


def by_severity(found: Sequence[Finding]) -> list[Finding]:
    """Return findings in the order of their severity, errors first.

    Args:
        found: the findings.

    >>> found = [Finding("a", "note", "", ""), Finding("b", "error", "", ""), Finding("c", "note", "", "")]
    >>> [finding.name for finding in by_severity(found)]
    ['b', 'a', 'c']
    """
    return sorted(found, key=lambda finding: ("error", "warning", "note").index(finding.severity))


def survey_findings(survey: Survey) -> list[Finding]:
    """Return the findings of a clip that need its survey alone, not the agreement of its measurements.

    Args:
        survey: measurements of the clip.
    """
    return [finding for find in FINDINGS if (finding := find(survey)) is not None]


def frame_rate(clip: Clip) -> float:
    """Return the frames per second of a clip: one over the median step in time; 0 if that is not positive.

    Args:
        clip: the clip, of any number of frames.
    """
    steps = np.diff([frame.time for frame in clip.frames])
    median = float(np.median(steps)) if len(steps) else 0.0
    return 1 / median if median > 0 else 0.0


# --- frames and time --------------------------------------------------------------------------------------------


def _no_neighbors(survey: Survey) -> Finding | None:
    """Report a clip without any frame that has one frame just before it and one just after it."""
    clip = survey.clip
    if target_indices(clip, (-1, 1)):
        return None
    return Finding(
        "no neighbors",
        "error",
        f"none of its {len(clip.frames)} frames has one just before and one just after it",
        "Train on longer clips of consecutive frames; this one is good for evaluation alone.",
    )


def _time_order(survey: Survey) -> Finding | None:
    """Report time stamps that do not rise."""
    clip = survey.clip
    steps = np.diff([frame.time for frame in clip.frames])
    if clip.independent or (steps > 0).all():
        return None
    first = int(np.flatnonzero(steps <= 0)[0])
    return Finding(
        "time stamps",
        "error",
        f"{int((steps <= 0).sum())} frames are not later than those before, the first is {clip.frames[first + 1].name}",
        "Sort the frames by time, and give each a stamp of its own.",
    )


def _time_unit(survey: Survey) -> Finding | None:
    """Report an implausible frame rate: time stamps in a wrong unit, unless the image moves as much as that takes."""
    clip, rate = survey.clip, frame_rate(survey.clip)
    if clip.independent or rate == 0 or MIN_RATE <= rate <= MAX_RATE:
        return None
    if rate < MIN_RATE and not _moves_too_little(survey, rate):
        return Finding(
            "frame rate",
            "note",
            f"{rate:.3g} frames a second",
            "View synthesis finds motions of a few per cent of the image: record more frames a second if it moves on.",
        )
    for unit, factor in UNITS.items():
        if rate < MIN_RATE and MIN_RATE <= rate * factor <= MAX_RATE:
            return Finding(
                "time stamps",
                "error",
                f"{rate:.3g} frames a second: as {unit}, its stamps would give {rate * factor:.3g}",
                f"Write seconds: divide the time stamps by {factor:,.0f}; speed times time would give false distances.",
            )
    likely, word = (rate * WRONG_UNIT, "large") if rate < MIN_RATE else (rate / WRONG_UNIT, "small")
    return Finding(
        "time stamps",
        "error",
        f"{rate:.3g} frames a second: no driving video has this rate, a ten-fold error in its stamps would explain it",
        f"See whether the time stamps are ten times too {word} ({likely:.3g} frames a second would be right): "
        f"speed times time would give false distances.",
    )


def _moves_too_little(survey: Survey, rate: float) -> bool:
    """Return whether the image moves less than the path between frames takes, by its speed or at a walk."""
    speeds = known_speeds(survey.clip)
    step = (float(np.median(speeds)) if len(speeds) else SLOW_SPEED) / rate
    lost = float(np.isnan(survey.motion).mean()) > LOST_MOTION
    return step > LONG_STEP and not lost and survey.typical_motion < MAX_MOTION


def _taken(survey: Survey) -> Finding | None:
    """Report images whose EXIF contradicts their order or the time between them."""
    clip = survey.clip
    last = min(int(survey.indices[-1]) + 1, len(clip.frames) - 1)
    frames = [clip.frames[index] for index in sorted({*survey.indices.tolist(), last})]
    moments = [(f, moment_taken(f.image.path)) for f in frames if isinstance(f.image, ImageFile)]
    dated = [(frame, moment) for frame, moment in moments if moment is not None]
    if clip.independent or len(dated) < max(MIN_DATED, len(frames)):
        return None
    back = [(first[0], second[0]) for first, second in pairwise(dated) if second[1] < first[1]]
    if back:
        return Finding(
            "order",
            "warning",
            f"by its EXIF, {back[0][1].name} was taken before {back[0][0].name}, which stands before it"
            + (f", and so are {len(back) - 1} more" if len(back) > 1 else ""),
            "Name the images by the time at which they were taken, such as 2026-11-27_10-00-00.jpg: their names give "
            "the order of the frames.",
        )
    span, assumed = dated[-1][1] - dated[0][1], dated[-1][0].time - dated[0][0].time
    if span < MIN_DATED_SPAN or assumed <= 0 or MIN_DISTANCE_RATIO < span / assumed < MAX_DISTANCE_RATIO:
        return None
    steps = last - int(survey.indices[0])
    return Finding(
        "time stamps",
        "error" if distance_source(clip) is not None else "warning",
        f"by their EXIF, its images were taken in {span:.3g} s, and by their times in {assumed:.3g} s",
        f"Give the images per second, rate={steps / span:.3g}, or their times: speed times time would give false "
        f"distances.",
    )


def _corrected(survey: Survey) -> Finding | None:
    """Report corrections of the data by the source."""
    correction = survey.clip.corrected
    if correction is None:
        return None
    return Finding("corrected", "note", correction, "Nothing to do here; other tools may read the data as it is.")


def _time_against_poses(survey: Survey) -> Finding | None:
    """Report that speed times time and measured poses disagree about the distance traveled."""
    clip = survey.clip
    steps = [
        (
            float(np.linalg.norm(later.pose[:3, 3] - frame.pose[:3, 3])),
            (frame.speed + later.speed) / 2,
            later.time - frame.time,
        )
        for frame, later in pairwise(clip.frames)
        if frame.pose is not None and later.pose is not None and frame.speed is not None and later.speed is not None
    ]
    if clip.independent or not steps:
        return None
    by_poses = sum(length for length, _, _ in steps)
    by_speed = sum(speed * time for _, speed, time in steps)
    if by_poses < MIN_PATH or MIN_DISTANCE_RATIO < by_speed / by_poses < MAX_DISTANCE_RATIO:
        return None
    return Finding(
        "time stamps",
        "error",
        f"speed times time makes {by_speed:.1f} m, the poses lie {by_poses:.1f} m apart",
        "See which of time stamps, speeds (m/s) and poses (metres) is in another unit before depth is scaled by it.",
    )


def _speeds(survey: Survey) -> Finding | None:
    """Report how a log was attached, and speeds that are implausible or do not follow the motion of the image."""
    known = known_speeds(survey.clip)
    if not len(known):
        return None
    doubts = _doubts(survey, float(known.max()))
    still = _still_share(survey)
    if still > SOME_STILL:
        doubts.append(f"the speed is 0 in {still:.0%} of the frames in which the image moves on")
    attached = survey.clip.speed_source
    if not doubts:
        return None if attached is None else Finding("speeds", "note", attached, "See whether the clocks agree.")
    found = "; ".join([*doubts, speeds_in_words(survey.clip), *([attached] if attached else [])])
    return Finding(
        "speeds",
        "error" if still > MOSTLY_STILL else "warning",
        found,
        "See whether the unit is m/s in frames.csv, or named by unit= for a log (km/h taken for m/s is 3.6 times too "
        "fast), and whether the clocks agree (offset=auto): speed gives depth its metres.",
    )


def unfit_log(unattached: UnattachedError | None) -> list[Finding]:
    """Return the finding that a log of speeds does not fit a clip; none if it does.

    Args:
        unattached: why it does not; None if it does, or if there is none.

    >>> unfit_log(UnattachedError("log.csv: covers none of the frames", "give another offset"))[0].advice
    'Give another offset.'
    """
    if unattached is None:
        return []
    advice = unattached.advice
    return [Finding("speeds", "error", unattached.found, f"{advice[0].upper()}{advice[1:]}.")]


def _by_road(clip: Clip) -> Finding | None:
    """Report whether the motion of the road in the images confirms the unit of speeds or poses."""
    if clip.missing_camera is not None:
        return _field_of_view_by_road(clip)
    said = by_road(clip)
    if said is None:
        return None
    if not said.tells:
        advice = f"See whether {said.source} are right before metres are relied on: nothing here tells a wrong unit."
    elif said.metres is None:
        advice = "Take speeds and images of one time: offset=auto finds the offset of a log's clock."
    elif clip.camera_height is not None:
        advice = f"Nothing to do here: the height that it is said to have is {clip.camera_height:g} m."
    else:
        advice = (
            "See whether the lens is at this height (mph taken for m/s make it 2.2 times, km/h 3.6 times too high), "
            "and give the height that a tape measures as height_m= of data import or in camera.yaml."
        )
    return Finding("by the road", "note" if said.usual else "warning", said.text, advice)


def _field_of_view_by_road(clip: Clip) -> Finding | None:
    """Report the field of view at which the stated height of a guessed camera, its speeds and the road agree.

    A focal length that is too long makes the height by the motion of the road too small, by the same factor.
    """
    source = distance_source(clip)
    if source is None or clip.camera_height is None:
        return None
    found = height_by_motion(clip)
    if isinstance(found, str):
        return None
    name, camera = "speeds" if source == "speed" else "poses", clip.camera
    focal = float(camera.fx) * found.metres / clip.camera_height
    fov = replace(camera, fx=focal).fov()
    usual = MIN_USUAL_FOV <= fov <= MAX_FOV
    return Finding(
        "by the road",
        "note" if usual else "warning",
        f"with its {name} and the guessed camera, the motion of the road puts the camera {found.metres:.2f} m above "
        f"it; at the {clip.camera_height:g} m that are stated, it would be about {fov:.0f} degrees across",
        f"See whether the camera has about this field of view, and state it with fov=DEGREES; if it has another one, "
        f"{name} or height_m are wrong (mph taken for m/s are 2.2 times, km/h 3.6 times too fast).",
    )


def _untold_depth(clip: Clip) -> Finding | None:
    """Report depth maps of a folder of which nothing tells whether they hold depth or distances."""
    kind, tried = kind_of_depth(clip)
    if kind is not None or not tried or not clip.name.startswith("folder/"):  # data sets say what theirs hold
        return None
    return Finding(
        "depth maps",
        "note",
        f"nothing tells whether they hold depth along the optical axis, or distances along rays: {tried}",
        "See how they were made: packdepth reads depth along the axis; of a folder, depth: range converts distances.",
    )


def _high_ground(clip: Clip) -> Finding | None:
    """Report a ground that lies deeper below the camera than below any vehicle, if nothing else tells its height."""
    height = None if clip.camera_height is not None else ground_by_depth(clip)
    if height is None or height <= MAX_HEIGHT:
        return None
    return Finding(
        "measured depth",
        "warning",
        f"with its measured depth, the ground is {height:.2f} m below the camera, and cameras of robots to trucks "
        f"stand up to {MAX_HEIGHT:g} m above it",
        f"See whether depth maps are metres x 256 (as millimetres, they make it {height * 0.256:.2f} m); if the camera "
        f"flies or stands on a mast, state its height_m.",
    )


def speeds_in_words(clip: Clip) -> str:
    """Return the range of a clip's speeds and the distance traveled, as half a sentence.

    Args:
        clip: the clip, with a speed for some frames.
    """
    known = known_speeds(clip)
    low, middle, high = float(known.min()), float(np.median(known)), float(known.max())
    share = "" if len(known) == len(clip.frames) else f" of {len(known)} frames"
    return (
        f"speeds{share} of {low:.1f} to {high:.1f} m/s, median {middle:.1f} ({3.6 * low:.0f} to {3.6 * high:.0f} "
        f"km/h), {distance_by_speed(clip):.0f} m"
    )


def _doubts(survey: Survey, high: float) -> list[str]:
    """Return what speaks against the speeds of a clip, the highest of which is `high`, in metres per second."""
    doubts = []
    if FAST_SPEED < high <= IMPOSSIBLE_SPEED:
        doubts.append("faster than roads allow nearly everywhere")
    speeds = _measured_speeds(survey)
    stands = np.isfinite(speeds) & survey.static_frames
    if stands.any() and float(np.median(speeds[stands])) > STANDING_SPEED:
        doubts.append(f"the image stands where the speed is {float(np.median(speeds[stands])):.1f} m/s")
    return doubts


def _still_share(survey: Survey) -> float:
    """Return the share of the frames in which the image moves on whose speed is 0."""
    speeds = _measured_speeds(survey)
    moves = np.isfinite(speeds) & (survey.motion > USUAL_MOTION)
    return float((speeds[moves] < STANDING_SPEED / 2).mean()) if moves.any() else 0.0


def _measured_speeds(survey: Survey) -> np.ndarray:
    """Return the speeds of the measured frames: [N] metres per second, NaN where unknown."""
    speeds = [survey.clip.frames[index].speed for index in survey.indices]
    return np.array([np.nan if speed is None else speed for speed in speeds])


def known_speeds(clip: Clip) -> np.ndarray:
    """Return the known speeds of a clip's frames: [N] metres per second.

    Args:
        clip: the clip.
    """
    return np.array([frame.speed for frame in clip.frames if frame.speed is not None], dtype=np.float64)


def distance_by_speed(clip: Clip) -> float:
    """Return the distance traveled between neighboring frames that both have a speed, in metres.

    Args:
        clip: the clip.
    """
    return sum(
        (frame.speed + later.speed) / 2 * (later.time - frame.time)
        for frame, later in pairwise(clip.frames)
        if frame.speed is not None and later.speed is not None
    )


def _missing_speeds(survey: Survey) -> Finding | None:
    """Report frames without a speed, in a clip where others have one."""
    clip = survey.clip
    lacking = len(clip.frames) - len(known_speeds(clip))
    if not 0 < lacking < len(clip.frames):
        return None
    if distance_source(clip) != "speed":
        return Finding(
            "missing speeds",
            "note",
            f"{lacking} of {len(clip.frames)} frames have no speed, so that distances come from the poses",
            "Nothing to do if the poses are in metres; otherwise give a log that covers the clip, without holes.",
        )
    targets = len(target_indices(clip, (-1, 1)))
    measured = len(target_indices(clip, (-1, 1), measured=True))
    return Finding(
        "missing speeds",
        "error" if targets and not measured else "warning" if lacking > MANY_GAPS * len(clip.frames) else "note",
        f"{frames_in_words(clip)}; with speed and context [-1, 1], {measured} of {targets} targets are left",
        "Give a log that covers the clip, without holes, or cut the clip with frames.",
    )


def _time_gaps(survey: Survey) -> Finding | None:
    """Report gaps in time between frames."""
    clip = survey.clip
    count = 0 if clip.independent else int(gaps(clip).sum())
    if not count:
        return None
    share = count / (len(clip.frames) - 1)
    return Finding(
        "gaps",
        "warning" if share > MANY_GAPS else "note",
        f"{counted(count, 'gap')} in time between {len(clip.frames)} frames ({share:.0%})",
        "Frames on two sides of a gap are not taken for neighbors: there is less to train on; see what dropped them.",
    )


def overlap(clip: Clip, repeated: Mapping[Path, tuple[Path, int]]) -> list[Finding]:
    """Return the finding that frames of a video repeat those of another one, if they do.

    Args:
        clip: the clip.
        repeated: for each video that repeats another, the other, and how many frames (`data.overlap.overlaps`).
    """
    path = clip.frames[0].image.path
    if path not in repeated:
        return []
    earlier, count = repeated[path]
    return [
        Finding(
            "overlap",
            "note",
            f"{overlap_in_words(count, earlier)}, as loop recording leaves them",
            "Nothing to do here: training and data import leave them out, so that no moment counts twice, or is held "
            "out and trained on.",
        )
    ]


def incomplete_pairs(clip: Clip, lacks: Mapping[str, str]) -> list[Finding]:
    """Return the finding that a clip lacks what training on stereo pairs needs, if it does.

    Args:
        clip: the clip.
        lacks: what clips lack, by the name of the clip (`data.stereo_pairs.stereo_lacks`).

    >>> clip = Clip("a", Path("a"), Camera.from_fov(60.0, 640, 192), ())
    >>> incomplete_pairs(clip, {"a": "no right images"})[0].found
    'no right images, so that packdepth init uses no stereo pairs'
    """
    if clip.name not in lacks:
        return []
    return [
        Finding(
            "stereo",
            "warning",
            f"{lacks[clip.name]}, so that packdepth init uses no stereo pairs",
            "Add what is missing, or leave the clip out: each frame of each clip needs a right image, and each clip "
            "the baseline in metres.",
        )
    ]


# --- motion -----------------------------------------------------------------------------------------------------


def _repeats_alone(survey: Survey) -> bool:
    """Return whether single frames repeat the one before while the camera moves on, and no others stand."""
    static, moves = survey.static_frames, survey.motion > SURELY_MOVING
    alone = survey.motion < COPY_MOTION
    alone[1:] &= moves[:-1]
    alone[:-1] &= moves[1:]
    return bool(alone.sum() >= MIN_COPIES and alone.sum() >= COPIES_ALONE * static.sum())


def _repeated_frames(survey: Survey) -> Finding | None:
    """Report copies of single frames, which a change of the frame rate leaves."""
    if not _repeats_alone(survey):
        return None
    return Finding(
        "repeated frames",
        "warning",
        f"{survey.static_frames.mean():.0%} of the frames repeat the one before, one here and one there, as a change "
        f"of the frame rate leaves them: {_static_ranges(survey)}",
        "Use the recording at its own rate, or remove copies, for example with ffmpeg -i IN -vf mpdecimate -fps_mode "
        "vfr OUT: distances by speed are wrong for them. drop_static: {by: image} in the data block leaves them out.",
    )


def _static_frames(survey: Survey) -> Finding | None:
    """Report frames in which the camera does not move."""
    static = survey.static_frames
    if not static.any() or _repeats_alone(survey):
        return None
    share, ranges = static.mean(), _static_ranges(survey)
    return Finding(
        "static frames",
        "error" if share > NEARLY_ALL_STATIC else "warning" if share > MANY_STATIC else "note",
        f"{share:.0%} of the frames show a camera that stands (mean image motion in 0.1 s below 1/416 of the width): "
        f"{ranges}",
        "Leave them out with drop_static: {by: image} in the data block, or cut the clip with frames.",
    )


def _small_motion(survey: Survey) -> Finding | None:
    """Report neighboring frames that hardly differ."""
    motion = survey.typical_motion
    if not motion < MIN_MOTION:
        return None
    stride = round(USUAL_MOTION / motion)
    return Finding(
        "small motion",
        "warning",
        f"the image moves by {motion:.2%} of its width between neighbors, {survey.clip.camera.width * motion:.1f} px",
        f"Use a frame stride of {stride}: context: [-{stride}, {stride}] in the data block, or, of a video, "
        f"step: {stride}.",
    )


def _large_motion(survey: Survey) -> Finding | None:
    """Report too large motion between neighboring frames, or optical flow that fails."""
    motion = survey.typical_motion
    lost = float(np.isnan(survey.motion).mean())
    if survey.clip.independent or len(survey.clip.frames) < 2 or not (motion > MAX_MOTION or lost > LOST_MOTION):
        return None
    found = f"the image moves by {motion:.2%} of its width between neighbors" if motion > MAX_MOTION else ""
    unknown = f"in {lost:.0%} of the frames no motion could be followed to the next" if lost > LOST_MOTION else ""
    return Finding(
        "large motion",
        "warning",
        "; ".join(text for text in (found, unknown) if text),
        "Use every frame that was recorded, or a higher frame rate: view synthesis finds motions of a few per cent.",
    )


def _cuts(survey: Survey) -> Finding | None:
    """Report neighboring frames that show different scenes, or between which the camera was turned."""
    if survey.clip.independent or len(survey.followed) < CUT_NEIGHBORS:
        return None
    lost = _lost_alone(survey.followed)
    if lost.sum() > MANY_CUTS * len(lost):
        return None
    cuts = [index for index in survey.indices[lost] if _is_cut(survey, int(index))]
    if not cuts:
        return None
    names = [survey.clip.frames[index + 1].name for index in cuts]
    return Finding(
        "cuts",
        "warning",
        f"the picture changes as a whole {counted(len(names), 'time')}, with {listed(names)}",
        "Cut the clip there, and calibrate each part of its own if the camera was turned: frames on two sides of a cut "
        "are no neighbors.",
    )


def _lost_alone(followed: np.ndarray) -> np.ndarray:
    """Return at which frames far fewer points are followed than around them: [N] bool, for shares [N] of points.

    Two of them that are neighbors do not count: fast motion is lost in several frames, and a cut in one.
    """
    around = np.array([_median_around(followed, index) for index in range(len(followed))])
    lost = (followed < CUT_SHARE * around) & (around > MIN_FOLLOWED)
    alone: np.ndarray = lost & ~(np.append(lost[1:], False) | np.append(False, lost[:-1]))
    return alone


def _is_cut(survey: Survey, index: int) -> bool:
    """Return whether a clip is cut after a frame, by all frames around it, those that were not surveyed included.

    Among the surveyed frames alone, which may be far apart in time, a fast turn looks like a cut.
    """
    first, end = max(index - CUT_REACH - 1, 0), min(index + CUT_REACH + 2, len(survey.clip.frames) - 1)
    known = dict(zip(survey.indices.tolist(), survey.followed.tolist(), strict=True))
    around = [known[i] if i in known else share_followed(survey.clip, i) for i in range(first, end)]
    return bool(_lost_alone(np.array(around))[index - first])


def _median_around(values: np.ndarray, index: int) -> float:
    """Return the median of up to `CUT_REACH` values [N] before and after one of them, without itself."""
    before, after = values[max(index - CUT_REACH, 0) : index], values[index + 1 : index + 1 + CUT_REACH]
    return float(np.median(np.concatenate([before, after])))


# --- images -----------------------------------------------------------------------------------------------------


def _interlaced(survey: Survey) -> Finding | None:
    """Report images whose odd and even rows were exposed at different moments."""
    file = survey.clip.frames[0].image
    marked = isinstance(file, VideoFrame) and probe(file.path).interlaced
    across, down = alternation(_some_images(survey))
    if not marked and not (down > COMBED and down > COMBED_MORE * across):
        return None
    return Finding(
        "interlaced",
        "warning",
        "odd and even rows of each frame show different moments",
        "Deinterlace the video first, for example with ffmpeg -i IN -vf bwdif OUT: view synthesis takes the comb at "
        "edges for detail.",
    )


def _hdr(survey: Survey) -> Finding | None:
    """Report videos of a high dynamic range whose values only a display of that range shows as they are meant."""
    file = survey.clip.frames[0].image
    if not (isinstance(file, VideoFrame) and probe(file.path).is_pq):
        return None
    return Finding(
        "HDR",
        "warning",
        "its values are those of a high dynamic range (PQ), and are read as they are: dark, and without contrast",
        "Record without HDR, or convert it, for example with ffmpeg -i IN -vf zscale=t=linear:npl=200,"
        "tonemap=hable,zscale=t=bt709:m=bt709:p=bt709,format=yuv420p OUT: networks know other images.",
    )


def _mosaic(survey: Survey) -> Finding | None:
    """Report gray images whose neighboring pixels lie below filters of different colors."""
    if min(alternation(_some_images(survey))) <= ALTERNATING:
        return None
    return Finding(
        "mosaic",
        "error",
        "pixels differ more from their neighbors than from those two away, as raw images of a color sensor (Bayer)",
        "Convert them to color first (demosaicing): view synthesis takes the pattern for detail.",
    )


def _panorama(survey: Survey) -> Finding | None:
    """Report panoramas of all directions, which no pinhole camera makes."""
    if not is_panorama(_some_images(survey)):
        return None
    return Finding(
        "panorama",
        "error",
        "its images are twice as wide as high, and their left border continues at the right: panoramas (360 degrees)",
        "Cut a view of a pinhole out, for example with ffmpeg -i IN -vf v360=e:flat:h_fov=90:v_fov=60 OUT, and give "
        "its camera (fov=90).",
    )


def _circle(survey: Survey) -> Finding | None:
    """Report the black corners that the circle of a fisheye leaves, if no lens is known."""
    clip = survey.clip
    if clip.missing_camera is None or not has_black_corners(_some_images(survey)):
        return None
    return Finding(
        "black corners",
        "warning",
        "all corners of its images are black, as the circle of a fisheye leaves them, and it has no calibration",
        "Calibrate it as a fisheye (kannala_brandt): a guess of a pinhole bends depth towards the borders.",
    )


@lru_cache(maxsize=1)  # several findings look at them
def _some_images(survey: Survey) -> list[np.ndarray]:
    """Return some images of a clip, evenly spread."""
    indices = survey.indices[:: max(len(survey.indices) // VIEWS, 1)]
    return [survey.clip.frames[index].image.read() for index in indices]


def _blur(survey: Survey) -> Finding | None:
    """Report blurred frames, or a clip in which all frames are blurred."""
    median = float(np.median(survey.sharpness))
    share = float((survey.sharpness < MIN_RELATIVE_SHARPNESS * median).mean())
    if share < SOME_BLURRED and median >= MIN_SHARPNESS:
        return None
    soft = f"its images hold little detail at their size (sharpness {median:.2f}, sharp ones have 0.5 to 0.8)"
    blurred = f"{share:.0%} of the frames are blurred, compared with the others"
    parts = ((soft, median < MIN_SHARPNESS), (blurred, share >= SOME_BLURRED))
    return Finding(
        "blur",
        "warning" if share > MANY_BLURRED or median < MIN_SHARPNESS else "note",
        "; ".join(text for text, holds in parts if holds),
        "Train at a smaller image_size, at which the blur vanishes, or record with a shorter exposure.",
    )


def _blank(survey: Survey) -> Finding | None:
    """Report images that show nothing: a covered lens, or a decoder that failed."""
    uniform = (survey.brightness < DARK) | (survey.brightness > 1 - DARK)
    blank = ((survey.clipped > BLANK) & uniform) | (survey.sharpness < FLAT)
    if not blank.any():
        return None
    names = [survey.clip.frames[index].name for index in survey.indices[blank]]
    return Finding(
        "blank images",
        "error" if blank.mean() > MOSTLY_BLANK else "warning",
        f"{len(names)} of {counted(len(blank), 'image')} that were looked at show nothing, as they are black, white or "
        f"of one color: {listed(names)}",
        "Look at them, and leave them out or record them again: nothing is learned from them.",
    )


def _exposure(survey: Survey) -> Finding | None:
    """Report jumps of brightness between neighboring frames."""
    jumps = np.maximum(survey.change, 1 / survey.change) > MAX_BRIGHTNESS_RATIO
    if not jumps.any():
        return None
    first = survey.clip.frames[survey.indices[np.flatnonzero(jumps)[0]]].name
    return Finding(
        "exposure",
        "warning" if jumps.mean() > MANY_JUMPS else "note",
        f"brightness jumps by more than {MAX_BRIGHTNESS_RATIO - 1:.0%} after {counted(int(jumps.sum()), 'frame')}, "
        f"the first is {first}",
        "Fix the exposure when recording, or cut the clip there: the photometric loss takes brightness for motion.",
    )


def _clipping(survey: Survey) -> Finding | None:
    """Report images that are black or white in large parts."""
    share = float(np.median(survey.clipped))
    if share < MAX_CLIPPED:
        return None
    return Finding(
        "clipping",
        "warning",
        f"{share:.0%} of the pixels are black or white",
        "Crop black borders away, or correct the exposure: such pixels teach nothing.",
    )


def _bars(survey: Survey) -> Finding | None:
    """Report black bars around the picture."""
    bars, camera = survey.bars, survey.clip.camera
    if max((bars.top + bars.bottom) / camera.height, (bars.left + bars.right) / camera.width) < MIN_BAR:
        return None
    width, height = camera.width - bars.left - bars.right, camera.height - bars.top - bars.bottom
    return Finding(
        "black bars",
        "warning",
        f"the picture is {width}x{height} of {camera.width}x{camera.height} pixels, in black bars of {bars.left} left, "
        f"{bars.right} right, {bars.top} above and {bars.bottom} below",
        f"Crop them, for example with ffmpeg -i IN -vf crop={width}:{height}:{bars.left}:{bars.top} OUT: the field of "
        f"view is then that of the picture.",
    )


def _damaged(survey: Survey) -> Finding | None:
    """Report images of which the lower part is missing."""
    lost = survey.lost_rows > float(np.median(survey.lost_rows)) + MIN_LOST
    if not lost.any() or lost.mean() > MANY_GAPS:
        return None
    names = [survey.clip.frames[survey.indices[index]].name for index in np.flatnonzero(lost)]
    return Finding(
        "damaged images",
        "warning",
        f"the lower part of {counted(len(names), 'image')} is of one color, as a copy that was cut off leaves it: "
        f"{listed(names)}",
        "Look at them, and copy them again, or leave them out.",
    )


def _two_views(survey: Survey) -> Finding | None:
    """Report images that hold two views, side by side or one above the other."""
    halves = two_views(_some_images(survey))
    if halves is None:
        return None
    return Finding(
        "two views",
        "error",
        f"the {halves} half of the images show the same scene, as a pair of cameras does in one video",
        "Cut the halves apart, for example with ffmpeg -i IN -vf crop=iw/2:ih:0:0 OUT, and give one of them, or both "
        "as a stereo pair.",
    )


def _static_region(survey: Survey) -> Finding | None:
    """Report a region that is fixed to the camera, such as a hood, a logo or a date."""
    share = float(survey.static_region.mean())
    if share == 0:
        return None
    rows = np.flatnonzero(survey.static_region.any(1)) / survey.static_region.shape[0]
    return Finding(
        "fixed parts",
        "warning" if share > LARGE_STATIC_REGION else "note",
        f"{share:.1%} of the image, between {rows[0]:.0%} and {rows[-1]:.0%} of its height, never moves: a hood, a "
        f"logo, or the horizon of a straight road (see its mask)",
        "Keep automask on, which leaves it out of the loss, and crop a hood away if it takes much of the image.",
    )


# --- calibration ------------------------------------------------------------------------------------------------


def _calibration(survey: Survey) -> Finding | None:
    """Report a missing calibration, and the guess that stands for it."""
    missing = survey.clip.missing_camera
    if missing is None:
        return None
    place, advice = f"in {missing}" if missing.exists() else "found", camera_advice(missing)
    others = unread(missing.parent)
    place += f" ({listed(others)} {'is' if len(others) == 1 else 'are'} of no form that is read)" if others else ""
    return Finding(
        "calibration",
        "warning",
        f"none {place}; the camera is guessed to be {guess_in_words(survey.clip)}",
        f"{advice[0].upper()}{advice[1:]}.",
    )


def _intrinsics(survey: Survey) -> Finding | None:
    """Report intrinsics that do not suit the size of the images."""
    clip = survey.clip
    if clip.missing_camera is not None:
        return None
    camera, fov = clip.camera, clip.camera.fov()
    offset = float(camera.cx) - (camera.width - 1) / 2, float(camera.cy) - (camera.height - 1) / 2
    complaints = []
    of_others = min(offset[0] / camera.width, offset[1] / camera.height) > CORNER
    misread = _misread(camera)
    aspect, stated = float(camera.fy / camera.fx), _pixel_aspect(clip)
    if not MIN_FOV <= fov <= MAX_FOV:
        complaints.append(f"a field of view of {fov:.0f} degrees across")
    if max(map(abs, offset)) > MAX_CENTER_OFFSET * camera.width:
        complaints.append(f"a principal point ({camera.cx:.0f}, {camera.cy:.0f}) far from the middle of the image")
    resized_alone = not complaints and stated == 1  # an import to another shape makes such pixels, and their intrinsics
    if not 1 / MAX_ASPECT < aspect / stated < MAX_ASPECT:
        said = "" if stated == 1 else f"; the video states {stated:.3f}"
        complaints.append(f"pixels {aspect:.3f} times as wide as high (fx {camera.fx:.0f}, fy {camera.fy:.0f}{said})")
    if not complaints:
        return None
    suited = f"; they suit images of about {2 * camera.cx + 1:.0f}x{2 * camera.cy + 1:.0f}" if of_others else misread
    return Finding(
        "intrinsics",
        "error" if of_others or misread else "note" if resized_alone else "warning",
        f"{' and '.join(complaints)}, for {camera.width}x{camera.height} pixels{suited}",
        "See whether the calibration is for images of another size or crop, or for a lens that is no pinhole.",
    )


def _misread(camera: Camera) -> str:
    """Return how the numbers of a camera were taken for others, as the end of a clause; empty if nothing tells it."""
    fx, fy, cx, cy = (float(value) for value in camera.numbers)
    middle = (camera.width - 1) / 2, (camera.height - 1) / 2
    reach = MAX_CENTER_OFFSET * camera.width
    if max(abs(cx), abs(cy)) < 1:
        return "; it is counted from the middle of the image, or its matrix is transposed"
    at_middle = max(abs(fx - middle[0]), abs(fy - middle[1])) < reach
    if at_middle and cx > 0 and 1 / MAX_ASPECT < cy / cx < MAX_ASPECT and not 1 / MAX_ASPECT < fy / fx < MAX_ASPECT:
        return "; with fx and cx, and fy and cy, exchanged they would suit"
    return ""


def _pixel_aspect(clip: Clip) -> float:
    """Return the width of a pixel over its height as a video states it; 1 for other images."""
    file = clip.frames[0].image
    return probe(file.path).pixel_aspect if isinstance(file, VideoFrame) else 1.0


def _scans(survey: Survey) -> Finding | None:
    """Report how many LiDAR returns fall into the image; hardly any do if the scanner's calibration is wrong."""
    clip = survey.clip
    frames = [frame for frame in clip.frames if frame.lidar is not None]
    if not frames:
        return None
    step = max(len(frames) // CHECKED_SCANS, 1)
    scans = [frame.lidar.read() for frame in frames[::step] if frame.lidar]
    if not any(map(len, scans)):
        return Finding(
            "LiDAR",
            "error",
            f"{len(frames)} of {len(clip.frames)} frames have a scan, and those that were looked at hold no point that "
            f"is a number",
            "Write the points that were measured, or remove the files.",
        )
    share = _mean_hit_share(clip, scans)
    turned = _turned(clip, scans, share) if share < FEW_HIT else ""
    found = f"{len(frames)} of {len(clip.frames)} frames have a scan, {share:.0%} of whose returns fall into the image"
    return Finding(
        "LiDAR",
        "error" if turned or share <= MIN_HIT_SHARE else "note",
        found + turned,
        "Write points in the camera frame: x to the right, y down, z ahead."
        if turned
        else "Look at the overlay on the contact sheet: edges of depth must lie on edges of the image.",
    )


def _turned(clip: Clip, scans: Sequence[np.ndarray], share: float) -> str:
    """Return the axes that scans probably have in place of the camera's, as the end of a clause; empty for none."""
    others = {words: _mean_hit_share(clip, [points @ axes for points in scans]) for words, axes in AXES.items()}
    words = next(each for each, other in others.items() if other >= max(others.values()) - SAME_SHARE)
    is_other = not words.endswith("z ahead")  # a scan that is higher than the image fits better on its side
    turned = share <= MIN_HIT_SHARE < others[words] or (others[words] > NEARLY_ALL_HIT and is_other)
    return f"; of {words}, {others[words]:.0%} would" if turned else ""


FINDINGS: tuple[Callable[[Survey], Finding | None], ...] = (
    _no_neighbors,
    _time_order,
    _time_unit,
    _taken,
    _corrected,
    _time_against_poses,
    _speeds,
    _missing_speeds,
    _time_gaps,
    _static_frames,
    _repeated_frames,
    _small_motion,
    _large_motion,
    _cuts,
    _interlaced,
    _hdr,
    _mosaic,
    _panorama,
    _circle,
    _blank,
    _blur,
    _exposure,
    _clipping,
    _bars,
    _damaged,
    _two_views,
    _static_region,
    _calibration,
    _intrinsics,
    _scans,
)


def _static_ranges(survey: Survey) -> str:
    """List the static frames by name, such as "000051 to 000076"."""
    return ranges(survey.static_frames.tolist(), [survey.clip.frames[index].name for index in survey.indices])


def _mean_hit_share(clip: Clip, scans: Sequence[np.ndarray]) -> float:
    """Return the share of the points [N, 3] (metres, camera frame) of scans that fall into the image, their mean."""
    return float(np.mean([_hit_share(clip, points) for points in scans]))


def _hit_share(clip: Clip, points: np.ndarray) -> float:
    """Return the share of the points [N, 3] (metres, camera frame) that fall into the image."""
    _, inside = projected(points[points[:, 2] > MIN_RANGE], clip.camera)
    return float(inside.sum() / max(len(points), 1))
