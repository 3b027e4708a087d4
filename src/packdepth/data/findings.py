"""What may keep training on a clip from working: one function a finding, with what was found and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from packdepth.data.survey import Survey
from packdepth.data.targets import gaps, has_poses, has_speed, target_indices
from packdepth.records import Clip

Severity = Literal["error", "warning", "note"]
"""Training would fail or learn what is false; it would suffer; worth knowing."""

SLOWEST, FASTEST = 2.5, 250.0  # frames a second of a camera; beyond, stamps are in another unit
SMALL, USUAL, LARGE = 0.004, 0.012, 0.05  # mean image motion between neighbors, shares of the width
BLURRED, SOFT = 0.75, 0.4  # sharpness over the clip's median; sharpness itself
JUMP = 1.2  # brightness of a frame over that of the one before
CLIPPED = 0.3  # share of black or white pixels
NARROW, WIDE = 25.0, 120.0  # degrees across, of a camera that a pinhole describes
OFF_CENTER = 0.15  # of the width: the principal point from the middle of the image
SQUARE = 1.05  # fx over fy
HIT = 0.02  # share of a scan's returns that fall into the image


@dataclass(frozen=True)
class Finding:
    """Something about a clip that its user should know."""

    name: str
    severity: Severity
    found: str  # what was measured
    advice: str  # one sentence: what to do


def findings(survey: Survey) -> list[Finding]:
    """All findings of a clip, the worst first."""
    found = [finding for look in FINDINGS if (finding := look(survey)) is not None]
    return sorted(found, key=lambda finding: ("error", "warning", "note").index(finding.severity))


def frame_rate(clip: Clip) -> float:
    """Frames a second: one over the median step in time; 0 where there is none."""
    steps = np.diff([frame.time for frame in clip.frames])
    median = float(np.median(steps)) if len(steps) else 0.0
    return 1 / median if median > 0 else 0.0


# --- frames and time --------------------------------------------------------------------------------------------


def no_neighbors(survey: Survey) -> Finding | None:
    """Too few frames, or unrelated ones."""
    clip = survey.clip
    if target_indices(clip, (-1, 1)):
        return None
    return Finding(
        "no neighbors",
        "error",
        f"none of its {len(clip.frames)} frames has one just before and one just after it",
        "Train on longer clips of consecutive frames; this one is good for evaluation alone.",
    )


def time_order(survey: Survey) -> Finding | None:
    """Time stamps that stand still or run backwards."""
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


def time_unit(survey: Survey) -> Finding | None:
    """Time stamps in another unit: no camera has such a rate."""
    clip, rate = survey.clip, frame_rate(survey.clip)
    if clip.independent or rate == 0 or SLOWEST <= rate <= FASTEST:
        return None
    factor, word = (10, "large") if rate < SLOWEST else (0.1, "small")
    return Finding(
        "time stamps",
        "error",
        f"{rate:.3g} frames a second: no driving video has this rate, a ten-fold error in its stamps would explain it",
        f"See whether the time stamps are ten times too {word} ({rate * factor:.3g} frames a second would be right): "
        f"speed times time would give false distances.",
    )


def corrected(survey: Survey) -> Finding | None:
    """What the source has put right."""
    correction = survey.clip.corrected
    if correction is None:
        return None
    return Finding("corrected", "note", correction, "Nothing to do here; other tools may read the data as it is.")


def time_against_poses(survey: Survey) -> Finding | None:
    """Speed times time and measured poses that disagree about the distance."""
    clip = survey.clip
    if clip.independent or not (has_speed(clip) and has_poses(clip)) or len(clip.frames) < 2:
        return None
    places = np.array([frame.pose[:3, 3] for frame in clip.frames if frame.pose is not None])
    by_poses = float(np.linalg.norm(np.diff(places, axis=0), axis=-1).sum())
    speeds = np.array([frame.speed for frame in clip.frames], dtype=np.float64)
    by_speed = float(np.trapezoid(speeds, [frame.time for frame in clip.frames]))
    if by_poses < 1 or 0.8 < by_speed / by_poses < 1.25:
        return None
    return Finding(
        "time stamps",
        "error",
        f"speed times time makes {by_speed:.1f} m, the poses lie {by_poses:.1f} m apart",
        "See which of time stamps, speeds (m/s) and poses (metres) is in another unit before depth is scaled by it.",
    )


def breaks(survey: Survey) -> Finding | None:
    """Gaps in time."""
    clip = survey.clip
    count = 0 if clip.independent else int(gaps(clip).sum())
    if not count:
        return None
    share = count / (len(clip.frames) - 1)
    return Finding(
        "gaps",
        "warning" if share > 0.1 else "note",
        f"{count} gaps in time between {len(clip.frames)} frames ({share:.0%})",
        "Frames on two sides of a gap are not taken for neighbors: there is less to train on; see what dropped them.",
    )


# --- motion -----------------------------------------------------------------------------------------------------


def standing(survey: Survey) -> Finding | None:
    """Frames in which the camera stands."""
    static = survey.static
    if not static.any():
        return None
    share, told = static.mean(), _ranges(survey)
    return Finding(
        "static frames",
        "error" if share > 0.9 else "warning" if share > 0.05 else "note",
        f"{share:.0%} of the frames show a camera that stands (mean image motion below 1/416 of the width): {told}",
        "Leave them out with drop_static: {by: image} in the data block, or cut the clip with frames.",
    )


def small_motion(survey: Survey) -> Finding | None:
    """Neighboring frames that hardly differ."""
    motion = survey.typical_motion
    if not motion < SMALL:
        return None
    stride = round(USUAL / motion)
    return Finding(
        "small motion",
        "warning",
        f"the image moves by {motion:.2%} of its width between neighbors, {survey.clip.camera.width * motion:.1f} px",
        f"Use a frame stride of {stride}: context: [-{stride}, {stride}] in the data block, or, of a video, "
        f"step: {stride}.",
    )


def large_motion(survey: Survey) -> Finding | None:
    """Neighboring frames that hardly overlap."""
    motion = survey.typical_motion
    lost = float(np.isnan(survey.motion).mean())
    if survey.clip.independent or not (motion > LARGE or lost > 0.5):
        return None
    found = f"the image moves by {motion:.2%} of its width between neighbors" if motion > LARGE else ""
    unknown = f"in {lost:.0%} of the frames no motion could be followed to the next" if lost > 0.5 else ""
    return Finding(
        "large motion",
        "warning",
        "; ".join(text for text in (found, unknown) if text),
        "Use every frame that was recorded, or a higher frame rate: view synthesis finds motions of a few per cent.",
    )


# --- images -----------------------------------------------------------------------------------------------------


def blur(survey: Survey) -> Finding | None:
    """Blurred frames, or a clip that is soft throughout."""
    median = float(np.median(survey.sharpness))
    share = float((survey.sharpness < BLURRED * median).mean())
    if share < 0.02 and median >= SOFT:
        return None
    soft = f"its images hold little detail at their size (sharpness {median:.2f}, sharp ones have 0.5 to 0.8)"
    blurred = f"{share:.0%} of the frames are blurred, compared with the others"
    return Finding(
        "blur",
        "warning" if share > 0.1 or median < SOFT else "note",
        "; ".join(text for text, holds in ((soft, median < SOFT), (blurred, share >= 0.02)) if holds),
        "Train at a smaller image_size, at which the blur vanishes, or record with a shorter exposure.",
    )


def exposure(survey: Survey) -> Finding | None:
    """Jumps of brightness."""
    jumps = np.maximum(survey.change, 1 / survey.change) > JUMP
    if not jumps.any():
        return None
    first = survey.clip.frames[survey.looked[np.flatnonzero(jumps)[0]]].name
    return Finding(
        "exposure",
        "warning" if jumps.mean() > 0.05 else "note",
        f"brightness jumps by more than {JUMP - 1:.0%} after {int(jumps.sum())} frames, the first is {first}",
        "Fix the exposure when recording, or cut the clip there: the photometric loss takes brightness for motion.",
    )


def clipping(survey: Survey) -> Finding | None:
    """Images that are black or white in large parts."""
    share = float(np.median(survey.clipped))
    if share < CLIPPED:
        return None
    return Finding(
        "clipping",
        "warning",
        f"{share:.0%} of the pixels are black or white",
        "Crop black borders away, or correct the exposure: such pixels teach nothing.",
    )


def fixed_parts(survey: Survey) -> Finding | None:
    """A hood, a logo, a date: what moves with the camera."""
    share = float(survey.unmoved.mean())
    if share == 0:
        return None
    rows = np.flatnonzero(survey.unmoved.any(1)) / survey.unmoved.shape[0]
    return Finding(
        "fixed parts",
        "warning" if share > 0.05 else "note",
        f"{share:.1%} of the image, between {rows[0]:.0%} and {rows[-1]:.0%} of its height, never moves: a hood, a "
        f"logo, or the horizon of a straight road (see its mask)",
        "Keep automask on, which leaves it out of the loss, and crop a hood away if it takes much of the image.",
    )


# --- calibration ------------------------------------------------------------------------------------------------


def calibration(survey: Survey) -> Finding | None:
    """No calibration at all."""
    missing = survey.clip.missing_camera
    if missing is None:
        return None
    return Finding(
        "calibration",
        "error",
        f"none: {missing} is not there",
        "Write that file (width, height, fx, fy, cx, cy in pixels), or learn it with camera: {learn: true} in the run.",
    )


def intrinsics(survey: Survey) -> Finding | None:
    """Intrinsics that do not suit the size of the images."""
    clip = survey.clip
    if clip.missing_camera is not None:
        return None
    camera, fov = clip.camera, clip.camera.fov()
    off = float(camera.cx) - (camera.width - 1) / 2, float(camera.cy) - (camera.height - 1) / 2
    complaints = []
    if not NARROW <= fov <= WIDE:
        complaints.append(f"a field of view of {fov:.0f} degrees across")
    if max(map(abs, off)) > OFF_CENTER * camera.width:
        complaints.append(f"a principal point ({camera.cx:.0f}, {camera.cy:.0f}) far from the middle of the image")
    if not 1 / SQUARE < camera.fx / camera.fy < SQUARE:
        complaints.append(f"pixels that are not square (fx {camera.fx:.0f}, fy {camera.fy:.0f})")
    if not complaints:
        return None
    return Finding(
        "intrinsics",
        "warning",
        f"{' and '.join(complaints)}, for {camera.width}x{camera.height} pixels",
        "See whether the calibration is for images of another size or crop, or for a lens that is no pinhole.",
    )


def scans(survey: Survey) -> Finding | None:
    """LiDAR that does not meet the image."""
    clip = survey.clip
    frames = [frame for frame in clip.frames if frame.lidar is not None]
    if not frames:
        return None
    shares = [_hits(clip, frame.lidar.read()) for frame in frames[:: max(len(frames) // 3, 1)] if frame.lidar]
    share = float(np.mean(shares))
    return Finding(
        "LiDAR",
        "note" if share > HIT else "error",
        f"{len(frames)} of {len(clip.frames)} frames have a scan, {share:.0%} of whose returns fall into the image",
        "Look at the overlay on the contact sheet: edges of depth must lie on edges of the image.",
    )


FINDINGS: tuple[Callable[[Survey], Finding | None], ...] = (
    no_neighbors,
    time_order,
    time_unit,
    corrected,
    time_against_poses,
    breaks,
    standing,
    small_motion,
    large_motion,
    blur,
    exposure,
    clipping,
    fixed_parts,
    calibration,
    intrinsics,
    scans,
)


def _ranges(survey: Survey) -> str:
    """The static frames by name, such as "000051 to 000076"."""
    names = [survey.clip.frames[index].name for index in survey.looked]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], survey.static.astype(int), [0]])))
    ranges = [
        names[first] if first == last - 1 else f"{names[first]} to {names[last - 1]}"
        for first, last in zip(edges[::2], edges[1::2], strict=True)
    ]
    return ", ".join(ranges[:5]) + (f" and {len(ranges) - 5} more ranges" if len(ranges) > 5 else "")


def _hits(clip: Clip, points: np.ndarray) -> float:
    """Share of the points [N, 3] (metres, camera frame) that fall into the image."""
    camera, ahead = clip.camera, points[points[:, 2] > 0.1]
    u, v = (ahead[:, :2] / ahead[:, 2:] * [camera.fx, camera.fy] + [camera.cx, camera.cy]).T
    inside = (u >= 0) & (u <= camera.width - 1) & (v >= 0) & (v <= camera.height - 1)
    return float(inside.sum() / max(len(points), 1))
