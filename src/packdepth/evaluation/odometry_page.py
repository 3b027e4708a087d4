"""The page of a predicted trajectory: one HTML file that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path

import numpy as np
from markupsafe import Markup

from packdepth.charts import OURS, TRUE, Line, charts, key, svg
from packdepth.evaluation.grades import percent
from packdepth.evaluation.odometry import distances, drift, stretched
from packdepth.evaluation.odometry_report import MEANINGS, OdometryReport
from packdepth.geometry.poses import from_first
from packdepth.html import note, settings, table
from packdepth.html.page import Page, Section, Verdict
from packdepth.inference.trajectory import lack_of_poses

PROTOCOL = {
    "motion": "predicted between frames as far apart as in training, and chained; no loop is closed",
    "start": "the first frame: both paths begin there, in the same direction, and are not aligned otherwise",
    "scale": "a trajectory that is not metric is multiplied by the factor of the best similarity (Umeyama, PAMI 1991)",
    "drift": "the distance between the last positions, per cent of the measured length",
    "ate": "Sturm et al., IROS 2012; of snippets: Zhou et al., CVPR 2017",
    "t_rel, r_rel": "Geiger et al., CVPR 2012: segments of 100 to 800 m",
}


@dataclass(frozen=True)
class PathFromAbove:
    """A predicted path, and the measured one if there is one, seen from above."""

    lines: Sequence[Line]
    """The paths: to the right and ahead of the first camera."""
    axes: tuple[str, str]
    """The titles of both axes."""

    @classmethod
    def of(cls, report: OdometryReport, true: np.ndarray | None) -> PathFromAbove:
        """Return the paths of a report.

        Args:
            report: the predicted trajectory. One that is not metric is scaled to the measured one.
            true: measured poses T_world_camera [N, 4, 4], metres; None if there are none.
        """
        lines = [] if true is None else [Line(_from_above(true), TRUE, "measured")]
        factor = _factor(report)
        name = "predicted" if factor == 1 else f"predicted, times {factor:.4g}"
        lines.append(Line(_from_above(stretched(report.poses, factor)), OURS, name))
        unit = "metres" if report.metric or true is not None else "units"
        return cls(lines, (f"{unit} to the right", f"{unit} ahead"))


def write_odometry_page(path: Path, report: OdometryReport, true: np.ndarray | None) -> None:
    """Write the page: the verdict, the map, the numbers, the protocol. If that fails, the file is as it was.

    Args:
        path: the file.
        report: the predicted trajectory.
        true: measured poses T_world_camera [N, 4, 4], metres; None if there are none.
    """
    drawn = PathFromAbove.of(report, true)
    seen = note("Seen from above; both axes have the same scale, and the camera starts at 0, 0, looking up.")
    Page(
        title=f"Trajectory of {report.source}",
        verdicts=[Verdict(verdict(report, true), [f"{report.checkpoint}: the trajectory is {report.scale}."])],
        pictures=[Section("Map", seen + note(key(drawn.lines)) + charts([svg(drawn.lines, *drawn.axes, equal=True)]))],
        numbers=[Section("The numbers", _numbers(report)), *_growth(report, true)],
        protocol=[Section("The protocol", settings(PROTOCOL))],
    ).write(path)


def verdict(report: OdometryReport, true: np.ndarray | None) -> str:
    """Return the verdict in plain words: the drift in per cent, and the length against the measured one.

    Args:
        report: the predicted trajectory.
        true: measured poses T_world_camera [N, 4, 4], metres; None if there are none.
    """
    lack = lack_of_poses(report.posed, report.frames)
    if report.measured is None:
        unit = f"{report.distance:.1f} m" if report.metric else "unknown length"
        return f"Not judged: a path of {unit}, but {lack}, and speeds are not measured for all frames either."
    if report.stands:
        return f"Not judged: by what was measured, the camera stands; the predicted path is {_length(report)} long."
    if report.metric:
        share = f"{percent(report.distance / report.measured)} of the measured one"
        length = f"{share} ({_length(report)} for {report.measured:.1f} m)"
    else:
        length = f"not in metres ({_length(report)} where {report.measured:.1f} m are measured)"
    if true is None:
        return f"The length of the path is {length}. Its shape is not judged, because {lack}."
    end = drift(stretched(from_first(report.poses), _factor(report)), true)
    scaled = "" if report.metric else f" (after multiplication by {_factor(report):.4g})"
    off = f"{end * report.measured / 100:.1f} m from the measured end after {report.measured:.1f} m"
    return f"Drift {end:.1f} %: the predicted path ends {off}{scaled}. Its length is {length}."


def _length(report: OdometryReport) -> str:
    """Return the predicted length with its unit."""
    return f"{report.distance:.1f} {'m' if report.metric else 'units'}"


def _factor(report: OdometryReport) -> float:
    """Return the factor of the trajectory for comparison: 1 if it is metric, or if no motion is measured."""
    return 1.0 if report.metric or report.errors is None or report.stands else report.errors.scale


def _numbers(report: OdometryReport) -> Markup:
    """Return a table of the lengths and of the errors, each with its unit and meaning."""
    unit = "m" if report.metric else "units"
    rows: dict[str, list[float | str | None]] = {
        "frames": [str(report.frames)],
        f"length: {unit}, of the predicted trajectory": [report.distance],
    }
    if report.errors is None:
        if report.measured is not None:
            rows["distance: m, by the measured speeds"] = [report.measured]
        return table("lengths", ["value"], rows)
    values = asdict(report.errors)
    rows |= {f"{name}: {meaning}": [values[name]] for name, meaning in MEANINGS.items()}
    missing = [name for name in MEANINGS if isnan(values[name])]
    lack = "The camera stands by its poses, so that there is no" if report.stands else "The drive is too short for"
    short = note(f"{lack} {', '.join(missing)}.") if missing else Markup()
    unscaled = "" if report.metric else " Only what is called scaled is scaled, and the drift of the verdict."
    words = note(f"Errors of the trajectory against measured poses.{unscaled}")
    return words + table("errors of the trajectory", ["value"], rows) + short


def _growth(report: OdometryReport, true: np.ndarray | None) -> list[Section]:
    """Return a chart of the error of the position along the path; nothing without measured poses."""
    if true is None:
        return []
    predicted = stretched(from_first(report.poses), _factor(report))
    error = np.linalg.norm(predicted[:, :3, 3] - from_first(true)[:, :3, 3], axis=1)
    line = Line(np.stack([distances(true), error], axis=1), OURS, "distance between both positions")
    chart = charts([svg([line], "measured distance, metres", "error, metres")])
    return [Section("Error along the path", note(key([line])) + chart)]


def _from_above(poses: np.ndarray) -> np.ndarray:
    """Return the positions [N, 2] of poses as (to the right, ahead) of the first camera."""
    return from_first(poses)[:, [0, 2], 3]
