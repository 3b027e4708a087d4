"""Statements of a training about its data before the first step: what it uses, and what the data check finds."""

from __future__ import annotations

from collections.abc import Sequence

from packdepth.config import Run
from packdepth.data.dataset import ClipDataset
from packdepth.data.disagreement import checked_clips, refusal
from packdepth.data.targets import distance_source
from packdepth.inspection.findings import Finding, survey_findings
from packdepth.inspection.survey import survey
from packdepth.objectives.objective import Objective
from packdepth.records import Clip, Frame
from packdepth.sources.base import Source

CHECKED_FRAMES = 16  # frames of all checked clips together: about a second of work at KITTI's size
NAMED_SOURCES = 2  # sources and image sizes that are named; more are counted


def data_in_words(sources: Sequence[Source], found: Sequence[Clip], samples: ClipDataset, scale: str) -> str:
    """Return one line that says what a training uses: sources, frames, sizes, measurements, and the source of metres.

    Args:
        sources: the sources of the training clips.
        found: all their clips, with the frames that the run leaves out.
        samples: the training samples.
        scale: the source of the metric scale, or "none".
    """
    places = [f"{source.model_dump()['kind']} {getattr(source, source.place)}" for source in sources]
    used: dict[tuple[int, int], Frame] = {}  # by clip and index
    for clip, target in samples.targets:
        for index in (target, *(target + offset for offset in samples.offsets)):
            used[id(clip), index] = clip.frames[index]
    total = sum(len(clip.frames) for clip in found)
    left = f" of {total} ({total - len(used)} left out)" if len(used) < total else ""
    sizes = dict.fromkeys(f"{clip.camera.width}x{clip.camera.height}" for clip in samples.clips)
    measured = {
        "speeds": sum(frame.speed is not None for frame in used.values()),
        "poses": sum(frame.pose is not None for frame in used.values()),
        "LiDAR": sum(frame.lidar is not None for frame in used.values()),
        "depth maps": sum(frame.depth is not None for frame in used.values()),
        "right images": sum(frame.right is not None for frame in used.values()),
    }
    heights = {clip.camera_height for clip in samples.clips if clip.camera_height is not None}
    stated = [f"height of the camera {height:g} m" for height in sorted(heights)]
    measurements = ", ".join([*(f"{name} of {count}" for name, count in measured.items() if count), *stated])
    nothing = "no term uses the height, which needs a calibrated camera" if heights else "nothing gives depth a scale"
    metres = f"no metres: {nothing}" if scale == "none" else f"metres from {scale}"
    frames = f"{len(used)} frames{left}, {_named(list(sizes))} pixels"
    return f"{_named(places)}: {frames}; {measurements or 'nothing measured'}; {metres}"


def _named(names: Sequence[str]) -> str:
    """Return the first names, and how many others there are."""
    more = f" and {len(names) - NAMED_SOURCES} more" if len(names) > NAMED_SOURCES else ""
    return ", ".join(names[:NAMED_SOURCES]) + more


def check_findings(run: Run, clips: Sequence[Clip], objective: Objective) -> list[str]:
    """Return the errors and warnings of the data check, one a line, for some frames of some clips.

    What the run does something about is left out, and so is what `check_agreement` and `check_faults` refuse already.

    Args:
        run: the run.
        clips: its training clips, with the frames that it leaves out.
        objective: the objective of the run.

    Raises InputError for an error in something that the objective uses, or if the camera stands in all checked clips.
    """
    checked = checked_clips(clips)
    found = [(clip, survey_findings(survey(clip, CHECKED_FRAMES // len(checked)))) for clip in checked]
    found = [(clip, [each for each in every if not _is_handled(each, run)]) for clip, every in found]
    errors = [(clip, each) for clip, every in found for each in every if each.severity == "error"]
    standing = sum(each.name == "static frames" for _, each in errors) == len(checked)
    moves = any(term.needs_context for term in objective.terms)
    for clip, each in errors:
        if _spoils(each, clip, objective.batch_fields) or (each.name == "static frames" and standing and moves):
            raise refusal(clip, each.found, each.advice)
    return [
        f"{each.severity} of {clip.name}: {each.name}: {each.found}"
        for clip, every in found
        for each in every
        if each.severity != "note"
    ]


def _spoils(finding: Finding, clip: Clip, fields: frozenset[str]) -> bool:
    """Return whether an error makes something wrong that the objective uses; images and camera are always used."""
    by_speed = distance_source(clip) == "speed" and "distance" in fields
    return {
        "time stamps": by_speed,
        "speeds": by_speed,
        "LiDAR": "truth" in fields,
        "intrinsics": True,
        "two views": True,
        "panorama": True,
        "mosaic": True,
        "blank images": True,
    }.get(finding.name, False)


def _is_handled(finding: Finding, run: Run) -> bool:
    """Return whether the run does something about a finding already, or does not need to."""
    return {
        "gaps": True,  # no target has context across a gap, and the summary counts the gaps
        "no neighbors": True,  # targets without the context frames that the run needs are an error by themselves
        "static frames": run.data.drop_static is not None,
        "repeated frames": run.data.drop_static is not None,
        "small motion": bool(run.data.context) and min(map(abs, run.data.context)) > 1,
        "calibration": run.camera.learn,
        "intrinsics": run.camera.learn,
    }.get(finding.name, False)
