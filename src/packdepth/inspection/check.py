"""The data check, `packdepth data check`: a report, before training, of problems with training on some data."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from packdepth.data.overlap import overlaps
from packdepth.data.stereo_pairs import stereo_lacks
from packdepth.data.targets import scale_in_words
from packdepth.files import make_folder, replacing, say_replaced, write_image
from packdepth.inspection.contact_sheet import region_mask, write_contact_sheet
from packdepth.inspection.findings import (
    Finding,
    by_severity,
    distance_by_speed,
    findings,
    frame_rate,
    incomplete_pairs,
    known_speeds,
    overlap,
    speeds_in_words,
    unfit_log,
)
from packdepth.inspection.survey import Survey, survey
from packdepth.progress import counted, progress
from packdepth.records import Clip
from packdepth.sources.guess import guess_in_words
from packdepth.sources.recognize import source_at
from packdepth.sources.speeds import UnattachedError
from packdepth.sources.video import check_sizes_of_videos

# Layout of the text, in characters
LINE = 110  # maximum length of a line; chosen by eye
SEVERITY, NAME = 9, 15  # widths of two columns: their longest entries ("warning", "static frames") and a gap
INDENT = 2 + SEVERITY + NAME  # indentation of what was found and of the advice


@dataclass(frozen=True)
class DataCheck:
    """Result of a data check."""

    source: Path  # path of the data set
    kind: str  # kind of the source, as a run file names it
    clips: Sequence[tuple[Survey, list[Finding]]]  # measurements and findings of each clip

    def text(self) -> str:
        """Return a page of text that lists the findings of each clip."""
        lines = self.about()
        for surveyed, found in self.clips:
            lines += ["", headline(surveyed)]
            for finding in found:
                lines += _wrapped(f"  {finding.severity:<{SEVERITY}}{finding.name:<{NAME}}", f"{finding.found}.")
                lines += _wrapped(" " * INDENT, finding.advice)
            if not found:
                lines.append("  nothing speaks against training on it")
        return "\n".join([*lines, "", self.verdict()])

    def about(self) -> list[str]:
        """Return lines about the whole data set: its kind, its calibrations, its scale."""
        clips = [surveyed.clip for surveyed, _ in self.clips]
        scale = scale_in_words(clips)
        wrong = {finding.name for _, found in self.clips for finding in found if finding.severity == "error"}
        if scale is not None and "speeds" in wrong:
            scale = "scale: none, because the log of speeds could not be used; see its error"
        about = [f"{self.source}: {self.kind}, {counted(len(clips), 'clip')}", *calibrations(clips)]
        return about if scale is None else [*about, scale]

    def verdict(self) -> str:
        """Return one line that counts the errors and warnings of all clips."""
        severities = [finding.severity for _, found in self.clips for finding in found]
        errors, warnings = severities.count("error"), severities.count("warning")
        warned = counted(warnings, "warning")
        if not errors:
            fit = f"fit to train on, with {warned}: the findings say what makes depth worse, and what to do"
            return fit if warnings else "fit to train on"
        found = counted(errors, "error") + " to correct before training"
        return f"{found}; {warned} of what makes depth worse" if warnings else found

    def values(self) -> dict[str, Any]:
        """Return the content of check.json: measurements and findings of each clip."""
        clips = [_measurements(surveyed) | {"findings": [asdict(f) for f in found]} for surveyed, found in self.clips]
        return {"source": str(self.source), "kind": self.kind, "clips": clips}

    def write(self, folder: Path) -> None:
        """Write check.txt, check.json, contact_sheet.jpg and, for clips with a static region, masks/CLIP.png.

        Args:
            folder: folder to write to; it is made if it does not exist.
        """
        make_folder(folder)
        say_replaced([folder / "check.json"])
        with replacing(folder / "check.txt") as path:
            path.write_text(self.text() + "\n")
        with replacing(folder / "check.json") as path:
            path.write_text(json.dumps(self.values(), indent=1) + "\n")
        write_contact_sheet(folder / "contact_sheet.jpg", [surveyed for surveyed, _ in self.clips])
        for surveyed, _ in self.clips:
            if surveyed.static_region.any():
                name = surveyed.clip.name.replace("/", "-")
                write_image(folder / "masks" / f"{name}.png", region_mask(surveyed))


def check(path: Path, kind: str | None = None, options: Sequence[str] = ()) -> DataCheck:
    """Check all clips of a data set.

    Args:
        path: path of the data set, or of a part of it, such as a drive of KITTI.
        kind: kind of the data set, such as "kitti_raw"; if None, it is recognized by its content.
        options: fields of the source as `key=value`, such as "cameras=[left]".

    Raises InputError for data that cannot be read.
    """
    source = source_at(path, kind, options)
    unattached: dict[str, UnattachedError] = {}
    clips = source.clips(unattached=unattached)
    check_sizes_of_videos(clips)
    surveys = [survey(clip) for clip in progress(clips, "looking", len(clips))]
    repeated, lacks = overlaps(clips), stereo_lacks(clips)
    found = []
    for each in surveys:
        unfit, clip = unfit_log(unattached.get(each.clip.name)), each.clip
        every = [*unfit, *findings(each), *incomplete_pairs(clip, lacks), *overlap(clip, repeated)]
        found.append((each, by_severity(every)))
    return DataCheck(path, str(source.model_dump()["kind"]), found)


def calibrations(clips: Sequence[Clip]) -> list[str]:
    """Return a line for each calibration that clips use; a guess of the camera is reported elsewhere.

    Args:
        clips: the clips.
    """
    users: dict[str, list[str]] = {}
    for clip in clips:
        if clip.missing_camera is None:
            camera = clip.camera
            size = f"{camera.width}x{camera.height} pixels"
            words = f"fx {camera.fx:.1f}, fy {camera.fy:.1f} for {size}"
            fov = clip.stated_fov
            origin, words = (
                clip.calibration or ("the data set", words)
                if fov is None
                else (f"the stated field of view of {fov:g} degrees", words)
            )
            users.setdefault(words, []).append(str(origin))
    lines = []
    for words, origins in users.items():
        others = len(set(origins)) - 1
        more = f" and {counted(others, 'more file')} of the same content" if others else ""
        lines.append(f"calibration of {counted(len(origins), 'clip')}: {words}, by {origins[0]}{more}")
    return lines


def headline(surveyed: Survey) -> str:
    """Describe a clip in one line: frames, image size, rate, motion and field of view.

    Args:
        surveyed: measurements of the clip.
    """
    clip, rate = surveyed.clip, frame_rate(surveyed.clip)
    parts = [f"{len(clip.frames)} frames", f"{clip.camera.width}x{clip.camera.height}"]
    if rate and not clip.independent:
        parts.append(f"{rate:.3g} frames a second")
    if not math.isnan(surveyed.typical_motion):
        parts.append(f"the image moves by {surveyed.typical_motion:.1%} of its width a frame")
    known = clip.missing_camera is None
    parts.append(f"{clip.camera.fov():.0f} degrees across" if known else f"guessed {guess_in_words(clip)}")
    if len(known_speeds(clip)):
        parts.append(speeds_in_words(clip))
    return f"{clip.name}: {', '.join(parts)}"


def _wrapped(start: str, text: str) -> list[str]:
    """Break text into lines, the first of which begins with `start`."""
    return textwrap.wrap(text, LINE, initial_indent=start, subsequent_indent=" " * INDENT, break_long_words=False)


def _measurements(surveyed: Survey) -> dict[str, Any]:
    """Return the measurements of a clip for check.json. Those of single frames are rounded."""
    clip, camera = surveyed.clip, surveyed.clip.camera
    known = clip.missing_camera is None
    return {
        "name": clip.name,
        "path": str(clip.path),
        "frames": len(clip.frames),
        "width": camera.width,
        "height": camera.height,
        "frames_per_second": frame_rate(clip),
        "calibration": None if clip.calibration is None else str(clip.calibration[0]),
        "camera": {name: getattr(camera, name) for name in ("fx", "fy", "cx", "cy")} if known else None,
        "field_of_view": camera.fov() if known else None,
        "guessed_field_of_view": None if known else camera.fov(),
        "guess": clip.guess,
        "speeds": [frame.speed for frame in clip.frames] if len(known_speeds(clip)) else None,
        "distance": distance_by_speed(clip) if len(known_speeds(clip)) else None,
        "static_share": float(surveyed.static_frames.mean()),
        "looked_at": [clip.frames[index].name for index in surveyed.indices],
        "motion": [None if math.isnan(value) else round(float(value), 6) for value in surveyed.motion],
        "sharpness": np.round(surveyed.sharpness, 4).tolist(),
        "brightness": np.round(surveyed.brightness, 4).tolist(),
    }
