"""`packdepth data check`: why training on some data would fail, before an hour is spent on it."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from packdepth.data.findings import Finding, findings, frame_rate
from packdepth.data.sheet import mask, write_sheet
from packdepth.data.survey import Survey, survey
from packdepth.files import make_folder, replacing, write_image
from packdepth.sources.recognize import source_at

COLUMNS = 110  # characters of a line


@dataclass(frozen=True)
class Report:
    """What a check has found."""

    source: Path
    kind: str  # of the source, as a run file names it
    clips: Sequence[tuple[Survey, list[Finding]]]

    def text(self) -> str:
        """A page of text: each clip with its findings."""
        lines = [f"{self.source}: {self.kind}, {len(self.clips)} clip{'' if len(self.clips) == 1 else 's'}"]
        for surveyed, found in self.clips:
            lines += ["", _headline(surveyed)]
            for finding in found:
                lines += _wrapped(f"  {finding.severity:<9}{finding.name:<15}", f"{finding.found}.", 26)
                lines += _wrapped(" " * 26, finding.advice, 26)
            if not found:
                lines.append("  nothing speaks against training on it")
        return "\n".join([*lines, "", self.verdict()])

    def verdict(self) -> str:
        """How many findings of each severity there are."""
        severities = [finding.severity for _, found in self.clips for finding in found]
        errors, warnings = severities.count("error"), severities.count("warning")
        if not errors and not warnings:
            return "fit to train on"
        return f"{errors} to see to before training, {warnings} that would make it worse"

    def values(self) -> dict[str, Any]:
        """The same for programs."""
        clips = [_measured(surveyed) | {"findings": [asdict(f) for f in found]} for surveyed, found in self.clips]
        return {"source": str(self.source), "kind": self.kind, "clips": clips}

    def write(self, folder: Path) -> None:
        """Write check.txt, check.json, contact_sheet.jpg and, where something never moves, masks/CLIP.png."""
        make_folder(folder)
        with replacing(folder / "check.txt") as path:
            path.write_text(self.text() + "\n")
        with replacing(folder / "check.json") as path:
            path.write_text(json.dumps(self.values(), indent=1) + "\n")
        write_sheet(folder / "contact_sheet.jpg", [surveyed for surveyed, _ in self.clips])
        for surveyed, _ in self.clips:
            if surveyed.unmoved.any():
                write_image(folder / "masks" / f"{surveyed.clip.name.replace('/', '-')}.png", mask(surveyed))


def check(path: Path, kind: str | None = None, options: Sequence[str] = ()) -> Report:
    """Look at all clips of a data set.

    Args:
        path: of the data set, or of KITTI of a date, a drive or a sequence.
        kind: of the data set; recognized by its content if left out.
        options: of its source, as `key=value`.

    Raises InputError for data that cannot be read.
    """
    source = source_at(path, kind, options)
    clips = source.clips()
    surveys = [survey(clip) for clip in track(clips, description="looking", console=Console(stderr=True))]
    found = [(surveyed, findings(surveyed)) for surveyed in surveys]
    return Report(path, str(source.model_dump()["kind"]), found)


def _headline(surveyed: Survey) -> str:
    clip, rate = surveyed.clip, frame_rate(surveyed.clip)
    parts = [f"{len(clip.frames)} frames", f"{clip.camera.width}x{clip.camera.height}"]
    if rate and not clip.independent:
        parts.append(f"{rate:.3g} frames a second")
    if not math.isnan(surveyed.typical_motion):
        parts.append(f"the image moves by {surveyed.typical_motion:.1%} of its width a frame")
    if clip.missing_camera is None:
        parts.append(f"{clip.camera.fov():.0f} degrees across")
    return f"{clip.name}: {', '.join(parts)}"


def _wrapped(start: str, text: str, indent: int) -> list[str]:
    return textwrap.wrap(text, COLUMNS, initial_indent=start, subsequent_indent=" " * indent, break_long_words=False)


def _measured(surveyed: Survey) -> dict[str, Any]:
    clip, camera = surveyed.clip, surveyed.clip.camera
    known = clip.missing_camera is None
    return {
        "name": clip.name,
        "path": str(clip.path),
        "frames": len(clip.frames),
        "width": camera.width,
        "height": camera.height,
        "frames_per_second": frame_rate(clip),
        "camera": {name: getattr(camera, name) for name in ("fx", "fy", "cx", "cy")} if known else None,
        "field_of_view": camera.fov() if known else None,
        "static_share": float(surveyed.static.mean()),
        "looked_at": [clip.frames[index].name for index in surveyed.looked],
        "motion": [None if math.isnan(value) else round(float(value), 6) for value in surveyed.motion],
        "sharpness": np.round(surveyed.sharpness, 4).tolist(),
        "brightness": np.round(surveyed.brightness, 4).tolist(),
    }
