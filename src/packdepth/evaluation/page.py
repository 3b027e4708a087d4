"""The page of an evaluation: one HTML file that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from packdepth.charts import Line, charts, key, svg
from packdepth.color import color_range
from packdepth.evaluation.boundaries import BoundaryErrors
from packdepth.evaluation.cloud import depth_cloud
from packdepth.evaluation.grades import percent
from packdepth.evaluation.parts import MOTION_PARTS, range_names
from packdepth.evaluation.report import EGO_MOTION, Report
from packdepth.evaluation.scores import ImageScores, Scores
from packdepth.evaluation.sparsification import KEPT, STEPS
from packdepth.geometry.camera import Camera
from packdepth.html import depth_panels, joined, note, settings, table, with_range
from packdepth.html.page import Page, Section, Verdict
from packdepth.progress import counted

COLORS = ("#e64963", "#3b0f6b", "#2a7f9e", "#c98a00", "#4c8c3f", "#7a6f8f")  # of the checkpoints, repeated if needed
BRACKETS = "Brackets hold 95 % confidence intervals, bootstrapped over the clips."
PICTURES = (
    "Near is bright and far is dark; all pictures of a checkpoint share one scale of colors. In the error, red is too "
    "far and blue is too near; gray has no valid ground truth. Sparse ground truth is drawn with larger points."
)


@dataclass(frozen=True, eq=False)
class ExampleMaps:
    """The image and the depth maps of an evaluated frame."""

    scores: ImageScores  # scores of the image
    image: np.ndarray  # [H, W, 3] uint8
    depth: np.ndarray  # [H, W] metres, predicted, not scaled
    truth: np.ndarray  # [H, W] metres, ground truth, NaN where it is invalid
    camera: Camera | None  # camera of the image; None if it is not known

    @property
    def name(self) -> str:
        """The name of the frame."""
        return f"{self.scores.clip} {self.scores.frame}"


def write_page(path: Path, reports: Sequence[Report], examples: Sequence[Sequence[ExampleMaps]]) -> None:
    """Write the page. If that fails, the file is as it was.

    Args:
        path: the file.
        reports: the reports on checkpoints under one protocol.
        examples: the best, median and worst image of each report.
    """
    protocol = reports[0].protocol
    curves = {name: _curves(reports, name) for name in ("abs_rel", "a1")}
    shown = [_examples(*pair) for pair in zip(reports, examples, strict=True)]
    brackets = note(BRACKETS) if any(report.intervals is not None for report in reports) else Markup()
    drawn = charts([svg(lines, "distance, metres", name) for name, lines in curves.items()])
    over_distance = note(key(curves["abs_rel"])) + drawn
    Page(
        title=f"Evaluation under the protocol {protocol.name}",
        verdicts=[_verdict(report, len(reports)) for report in reports],
        pictures=[
            Section("Best, median and worst image", note(PICTURES) + joined(shown)),
            *_cloud(examples[0]),
        ],
        numbers=[
            Section("The numbers", _about(reports) + _scores(reports) + brackets),
            *_ego_motion(reports),
            Section("Error over distance", over_distance),
            Section("Parts of images", note(_parts_note(reports)) + _parts(reports)),
            *(section for pair in zip(reports, _numbers(reports), strict=True) for section in _confidence(*pair)),
        ],
        protocol=[
            Section(
                f"The protocol {protocol.name}",
                Markup("<p>{}</p>").format(_images(reports[0])) + settings(protocol.settings()),
            )
        ],
    ).write(path)


def _verdict(report: Report, count: int) -> Verdict:
    """Return the verdict; of several checkpoints, with its name."""
    name = f"{report.checkpoint}: " if count > 1 else ""
    return Verdict(name + report.headline, report.notes)


def _images(report: Report) -> str:
    missing = report.images_without_truth
    left_out = f"; {missing} more have no valid ground truth and are left out" if missing else ""
    return f"{counted(report.image_count, 'image')} of {report.data}, split {report.split}{left_out}."


def _about(reports: Sequence[Report]) -> Markup:
    """Return the scale of a single report; several have it in their table."""
    return note(f"{reports[0].checkpoint}: depth is {reports[0].scale}.") if len(reports) == 1 else Markup()


def _cloud(examples: Sequence[ExampleMaps]) -> list[Section]:
    """Return the cloud of the median example; nothing if its camera is not known."""
    maps = examples[min(1, len(examples) - 1)]
    if maps.camera is None:
        return []
    words = note(f"{maps.name} as points in space, from the predicted depth.")
    return [Section("A point cloud", words + depth_cloud(maps.name, maps.image, maps.depth, maps.camera))]


def _scores(reports: Sequence[Report]) -> Markup:
    """Return a table of the means of each checkpoint, with their confidence intervals, and of the baselines."""
    metrics = reports[0].protocol.metrics
    rows: dict[str, list[float | str | None]] = {}
    for report, number in zip(reports, _numbers(reports), strict=True):
        if number:
            rows[f"{number}{report.checkpoint}: depth is {report.scale}"] = []
        for row, scores in report.rows.items():
            limits = (report.intervals or {}).get(row)
            rows[f"{number}{row}"] = [with_range(scores[name], limits[name] if limits else None) for name in metrics]
    rows |= {row: [scores[name] for name in metrics] for row, scores in reports[0].baselines.items()}
    return table("means over images", metrics, rows)


def _ego_motion(reports: Sequence[Report]) -> list[Section]:
    """Return a table of the errors of ego-motion, beside those of a constant motion, if it is evaluated."""
    both = [
        (f"{number}{name}", errors)
        for report, number in zip(reports, _numbers(reports), strict=True)
        for name, errors in (("network", report.ego_motion), ("baseline", report.ego_motion_baseline))
        if errors is not None
    ]
    if not both:
        return []
    rows: dict[str, list[float | str | None]] = {
        f"{name}: {meaning}": [getattr(errors, name) for _, errors in both] for name, meaning in EGO_MOTION.items()
    }
    first = both[0][1]
    words = f"{first.motions} motions, {first.distance:.1f} m; the baseline is their mean translation without rotation."
    return [Section("Ego-motion", note(words) + table("errors of ego-motion", [name for name, _ in both], rows))]


def _numbers(reports: Sequence[Report]) -> list[str]:
    """Return "1. ", "2. " and so on; nothing for a single report."""
    return [f"{number}. " if len(reports) > 1 else "" for number in range(1, len(reports) + 1)]


def _parts(reports: Sequence[Report]) -> Markup:
    """Return a table of the scores of parts and of boundaries; each checkpoint has columns for its own row."""

    def cells(by_row: dict[str, Scores] | None, report: Report, *names: str) -> list[float | str | None]:
        """Return scores of a report, from its scores by row; None if they are missing."""
        return [(by_row or {}).get(report.row, {}).get(name) for name in names]

    rows: dict[str, list[float | str | None]] = {}
    for part in dict.fromkeys(part for report in reports for part in report.parts):
        rows[part] = [c for report in reports for c in cells(report.parts.get(part), report, "abs_rel", "too_far")]
    rows["mean of classes"] = [c for report in reports for c in cells(report.class_means, report, "abs_rel", "none")]
    for name in BoundaryErrors._fields:
        rows[f"{name}, pixels"] = [c for report in reports for c in cells(report.boundaries, report, name, "none")]
    known = {title: values for title, values in rows.items() if values != [None] * len(values)}
    columns = [
        f"{number}{name}"
        for report, number in zip(reports, _numbers(reports), strict=True)
        for name in (f"abs_rel, {report.row}", "share too far")
    ]
    filled = [place for place in range(len(columns)) if any(row[place] is not None for row in known.values())]
    shown: dict[str, list[float | str | None]] = {title: [row[at] for at in filled] for title, row in known.items()}
    return table("scores of parts", [columns[place] for place in filled], shown)


def _parts_note(reports: Sequence[Report]) -> str:
    """Return sentences about the rows of the table of parts, of those alone that it has."""
    parts = {part for report in reports for part in report.parts}
    sentences = {
        "The numbers are abs_rel. An image with less than 30 pixels of a part does not count in it.": True,
        "Edges are pixels around which depth jumps by a quarter or more.": "edges" in parts,
        "Share too far is the share of pixels that are predicted more than 1.5 times as far as they are.": not (
            parts.isdisjoint(MOTION_PARTS)
        ),
        "dbe_acc is the mean distance from predicted depth boundaries to true ones, dbe_comp that from true ones to "
        "predicted ones.": any(report.boundaries is not None for report in reports),
    }
    return " ".join(sentence for sentence, there in sentences.items() if there)


def _confidence(report: Report, number: str) -> list[Section]:
    """Return the sparsification curves of a report, and a table of their areas; nothing without confidence."""
    found = report.sparsification
    if found is None:
        return []
    removed = np.linspace(0, 100, STEPS + 1)[:-1]  # where nothing remains, there is no error
    curves = {**found.curves, "oracle": found.oracle}
    lines = [
        Line(np.stack([removed, curve[0, :-1]], axis=1), COLORS[place % len(COLORS)], name)
        for place, (name, curve) in enumerate(curves.items())
    ]
    rows: dict[str, list[float | str | None]] = {name: list(row.values()) for name, row in found.rows().items()}
    words = note(
        "The error of the pixels that remain when the least sure ones of each image are removed. The oracle knows the "
        "errors. AURG is the area over the random order, AUSE that to the oracle. Last: abs_rel of all and of the "
        f"surest {percent(KEPT)}."
    )
    areas = table("areas of the confidence", list(next(iter(found.rows().values()))), rows)
    chart = charts([svg(lines, "removed, %", "abs_rel")])
    return [Section(f"Confidence: {number}{report.checkpoint}, {report.row}", words + note(key(lines)) + chart + areas)]


def _curves(reports: Sequence[Report], metric: str) -> list[Line]:
    """Return a line for each report: a metric over distance, with a point in the middle of each range with images."""
    bounds = np.array(reports[0].protocol.ranges)
    middles = dict(zip(range_names(bounds.tolist()), (bounds[1:] + bounds[:-1]) / 2, strict=True))
    lines = []
    for place, (report, number) in enumerate(zip(reports, _numbers(reports), strict=True)):
        parts = report.parts
        points = [(middle, parts[name][report.row][metric]) for name, middle in middles.items() if name in parts]
        name = f"{number}{report.checkpoint}, {report.row}"
        lines.append(Line(np.array(points).reshape(-1, 2), COLORS[place % len(COLORS)], name))
    return lines


def _examples(report: Report, examples: Sequence[ExampleMaps]) -> Markup:
    """Return pictures of the best, median and worst image of a checkpoint; depth is scaled if its own row is."""
    known = [1 / maps.truth[~np.isnan(maps.truth)] for maps in examples]
    low, high = color_range(known)
    parts = [Markup("<h3>{}, {}</h3>").format(report.checkpoint, report.row)]
    for title, maps in zip(("best", "median", "worst"), examples, strict=False):
        abs_rel = maps.scores.rows[report.row]["all"][0]
        factor = (
            1.0 if report.metric else float(np.nanmedian(maps.truth) / np.median(maps.depth[~np.isnan(maps.truth)]))
        )
        parts.append(note(f"{title}: {maps.name}, abs_rel {abs_rel:.3f}"))
        parts.append(depth_panels(maps.name, maps.image, factor * maps.depth, maps.truth, low, high))
    return joined(parts)
