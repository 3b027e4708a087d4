"""The page of a data check: one HTML file that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from packdepth.charts import INK, OURS, TRUE, Line, charts, key, svg
from packdepth.data.filters import STATIC_MOTION
from packdepth.geometry.poses import from_first
from packdepth.html import findings, joined, note, panels, settings
from packdepth.html.page import Page, Section, Verdict
from packdepth.inspection.check import DataCheck, headline
from packdepth.inspection.contact_sheet import ARROW_FACTOR, NEAREST, panels_of, spread
from packdepth.inspection.findings import Finding
from packdepth.inspection.survey import MAX_FRAMES, Survey
from packdepth.records import Clip

ARROWS = (
    f"Arrows show the motion of the image to the next frame, {ARROW_FACTOR} times as long: while the camera drives, "
    "they point away from one place ahead."
)
LIDAR = f"LiDAR must lie on what it hit; its brightest color is {1 / NEAREST:g} m and less."
SETTINGS = {
    "frames": f"up to {MAX_FRAMES} frames of a clip, evenly spread, each with the next one",
    "motion": "mean optical flow to the next frame, as a share of the width; the camera stands still below "
    f"{STATIC_MOTION:.2%}",
    "sharpness": "fine detail over coarse detail; images of drives have 0.43 to 0.61",
    "brightness": "mean gray, from 0 to 1",
    "error": "training would fail, or learn something false",
    "warning": "results would be worse",
    "note": "worth knowing",
}


def write_page(path: Path, checked: DataCheck) -> None:
    """Write the page. If that fails, the file is as it was.

    Args:
        path: the file.
        checked: the result of a data check.
    """
    verdict = checked.verdict()
    shown = spread([surveyed for surveyed, _ in checked.clips])
    left_out = len(checked.clips) - len(shown)
    has_lidar = any(frame.lidar is not None for surveyed in shown for frame in surveyed.clip.frames)
    more = [f"{left_out} more clips are not shown."] if left_out else []
    words = note(" ".join([ARROWS, *([LIDAR] if has_lidar else []), *more]))
    maps = [part for surveyed in shown if (part := _map(surveyed.clip)) is not None]
    Page(
        title=f"Check of {checked.source}",
        verdicts=[Verdict(verdict[0].upper() + verdict[1:], checked.about())],
        pictures=[
            Section("Pictures", words + joined([_pictures(surveyed) for surveyed in shown])),
            *([Section("Where the camera moved", joined(maps))] if maps else []),
        ],
        numbers=[
            Section("Findings", joined([_findings(*pair) for pair in checked.clips])),
            Section("Measurements", joined([_curves(surveyed) for surveyed in shown])),
        ],
        protocol=[Section("What was measured", settings(SETTINGS))],
    ).write(path)


def _pictures(surveyed: Survey) -> Markup:
    """Return pictures of a clip."""
    name = surveyed.clip.name
    return Markup("<h3>{}</h3>").format(name) + panels(name, panels_of(surveyed))


def _map(clip: Clip) -> Markup | None:
    """Return a map of a clip's poses; None if fewer than two frames have one."""
    poses = [frame.pose for frame in clip.frames if frame.pose is not None]
    if len(poses) < 2:
        return None
    path = from_first(np.stack(poses))[:, [0, 2], 3]
    drawn = svg([Line(path, TRUE, "poses")], "metres to the right", "metres ahead", equal=True)
    return Markup("<h3>{}</h3>").format(clip.name) + charts([drawn])


def _findings(surveyed: Survey, found: Sequence[Finding]) -> Markup:
    """Return the findings of a clip, below its description."""
    listed = findings([(each.severity, each.name, each.found, each.advice) for each in found])
    head = Markup("<h3>{}</h3>").format(surveyed.clip.name) + note(headline(surveyed))
    return head + (listed if found else Markup("<p>Nothing speaks against training on it.</p>"))


def _curves(surveyed: Survey) -> Markup:
    """Return charts of the measurements of a clip over its frames: motion, images and, if it is known, speed."""
    clip = surveyed.clip

    def line(values: np.ndarray, color: str, name: str = "") -> Line:
        points = np.stack([surveyed.indices, values], axis=1)
        return Line(points[~np.isnan(values)], color, name)

    images = [line(surveyed.sharpness, OURS, "sharpness"), line(surveyed.brightness, TRUE, "brightness")]
    drawn = [
        svg([line(100 * surveyed.motion, OURS)], "frame", "motion, % of the width"),
        svg(images, "frame", "sharpness, brightness") + note(key(images)),
    ]
    speeds = [(index, frame.speed) for index, frame in enumerate(clip.frames) if frame.speed is not None]
    if speeds:
        drawn.append(svg([Line(np.array(speeds), INK)], "frame", "speed, m/s"))
    return Markup("<h3>{}</h3>").format(clip.name) + charts(drawn)
