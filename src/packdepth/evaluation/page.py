"""The page of an evaluation: one HTML file that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np

from packdepth.charts import Line, key, svg
from packdepth.color import color_range
from packdepth.evaluation.boundaries import BoundaryErrors
from packdepth.evaluation.grades import percent
from packdepth.evaluation.parts import MOTION_PARTS, range_names
from packdepth.evaluation.report import Report
from packdepth.evaluation.scores import ImageScores, Scores
from packdepth.evaluation.sparsification import KEPT, STEPS
from packdepth.files import replacing
from packdepth.html import STYLE, depth_panels, table

TEMPLATE = files("packdepth.evaluation") / "page.html"
COLORS = ("#e64963", "#3b0f6b", "#2a7f9e", "#c98a00", "#4c8c3f", "#7a6f8f")  # of the checkpoints, repeated if needed
BRACKETS = "<p class='note'>Brackets hold 95 % confidence intervals, bootstrapped over the clips.</p>"


@dataclass(frozen=True, eq=False)
class ExampleMaps:
    """The image and the depth maps of an evaluated frame."""

    scores: ImageScores  # scores of the image
    image: np.ndarray  # [H, W, 3] uint8
    depth: np.ndarray  # [H, W] metres, predicted, not scaled
    truth: np.ndarray  # [H, W] metres, ground truth, NaN where it is invalid


def write_page(path: Path, reports: Sequence[Report], examples: Sequence[Sequence[ExampleMaps]]) -> None:
    """Write the page. If that fails, the file is as it was.

    Args:
        path: the file.
        reports: the reports on checkpoints under one protocol.
        examples: the best, median and worst image of each report.
    """
    protocol = reports[0].protocol
    curves = {name: _curves(reports, name) for name in ("abs_rel", "a1")}
    content = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        style=STYLE,
        name=escape(protocol.name),
        verdicts="".join(_verdict(report, len(reports)) for report in reports),
        settings="".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in protocol.settings().items()),
        images=_images(reports[0]),
        scores=_scores(reports),
        brackets=BRACKETS if any(report.intervals is not None for report in reports) else "",
        key=key(curves["abs_rel"]),
        abs_rel=svg(curves["abs_rel"], "metres", "abs_rel"),
        a1=svg(curves["a1"], "metres", "a1"),
        parts_note=_parts_note(reports),
        parts=_parts(reports),
        confidence="".join(_confidence(number, report) for number, report in enumerate(reports, 1)),
        examples="".join(_examples(*pair) for pair in zip(reports, examples, strict=True)),
    )
    with replacing(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def _verdict(report: Report, count: int) -> str:
    """Return the verdict as HTML; of several checkpoints, with its name."""
    name = f"{report.checkpoint}: " if count > 1 else ""
    notes = "".join(f"<p class='note'>{escape(note)}</p>" for note in report.notes)
    return f"<p class='verdict'>{escape(name + report.headline)}</p>{notes}"


def _images(report: Report) -> str:
    missing = report.images_without_truth
    left_out = f"; {missing} more have no valid ground truth and are left out" if missing else ""
    return f"{report.image_count} images of {escape(report.data)}, split {report.split}{left_out}"


def _scores(reports: Sequence[Report]) -> str:
    """Return a table of the means of each checkpoint, with their confidence intervals, and of the baselines."""
    metrics = reports[0].protocol.metrics
    rows: dict[str, list[float | str | None]] = {}
    for number, report in enumerate(reports, 1):
        unit = report.scale
        rows[f"{number}. {escape(report.checkpoint)}: depth is {escape(unit)}"] = []
        for row, scores in report.rows.items():
            limits = (report.intervals or {}).get(row)
            rows[f"{number}. {row}"] = [
                f"{scores[name]:.3f}" + (f" [{limits[name][0]:.3f}, {limits[name][1]:.3f}]" if limits else "")
                for name in metrics
            ]
    rows |= {row: [scores[name] for name in metrics] for row, scores in reports[0].baselines.items()}
    return table(metrics, rows)


def _parts(reports: Sequence[Report]) -> str:
    """Return a table of the scores of parts and of boundaries; each checkpoint has a column for its own row."""

    def cells(scores: Sequence[dict[str, Scores] | None], name: str) -> list[float | str | None]:
        """Return a score of each report, from its scores by row; None if it is missing."""
        return [(by_row or {}).get(report.row, {}).get(name) for by_row, report in zip(scores, reports, strict=True)]

    rows: dict[str, list[float | str | None]] = {}
    for part in dict.fromkeys(part for report in reports for part in report.parts):
        of_part = [report.parts.get(part) for report in reports]
        rows[escape(part)] = cells(of_part, "abs_rel")
        rows[f"{escape(part)}: share too far"] = cells(of_part, "too_far")
    rows["mean of classes"] = cells([report.class_means for report in reports], "abs_rel")
    for name in BoundaryErrors._fields:
        rows[f"{name}, pixels"] = cells([report.boundaries for report in reports], name)
    known = {title: values for title, values in rows.items() if values != [None] * len(reports)}
    return table([f"{number}. {report.row}" for number, report in enumerate(reports, 1)], known)


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


def _confidence(number: int, report: Report) -> str:
    """Return a chart of the sparsification curves of a report, and a table of their areas; empty without confidence."""
    found = report.sparsification
    if found is None:
        return ""
    removed = np.linspace(0, 100, STEPS + 1)[:-1]  # where nothing remains, there is no error
    curves = {**found.curves, "oracle": found.oracle}
    lines = [
        Line(np.stack([removed, curve[0, :-1]], axis=1), COLORS[place % len(COLORS)], name)
        for place, (name, curve) in enumerate(curves.items())
    ]
    rows: dict[str, list[float | str | None]] = {name: list(row.values()) for name, row in found.rows().items()}
    return (
        f"<h2>Confidence: {number}. {escape(report.checkpoint)}, {report.row}</h2>"
        "<p class='note'>The error of the pixels that remain when the least sure ones of each image are removed. The "
        "oracle knows the errors. AURG is the area over the random order, AUSE that to the oracle. Last: "
        f"abs_rel of all and of the surest {percent(KEPT)}.</p>"
        f"<p class='note'>{key(lines)}</p>{svg(lines, 'removed, %', 'abs_rel')}"
        f"<div class='scroll'>{table(list(next(iter(found.rows().values()))), rows)}</div>"
    )


def _curves(reports: Sequence[Report], metric: str) -> list[Line]:
    """Return a line for each report: a metric over distance, with a point in the middle of each range with images."""
    bounds = np.array(reports[0].protocol.ranges)
    middles = dict(zip(range_names(bounds.tolist()), (bounds[1:] + bounds[:-1]) / 2, strict=True))
    lines = []
    for number, report in enumerate(reports):
        parts = report.parts
        points = [(middle, parts[name][report.row][metric]) for name, middle in middles.items() if name in parts]
        name = f"{number + 1}. {report.checkpoint}, {report.row}"
        lines.append(Line(np.array(points).reshape(-1, 2), COLORS[number % len(COLORS)], name))
    return lines


def _examples(report: Report, examples: Sequence[ExampleMaps]) -> str:
    """Return pictures of the best, median and worst image of a checkpoint; depth is scaled if its own row is."""
    known = [1 / maps.truth[~np.isnan(maps.truth)] for maps in examples]
    low, high = color_range(known)
    parts = [f"<h3>{escape(report.checkpoint)}, {report.row}</h3>"]
    for title, maps in zip(("best", "median", "worst"), examples, strict=False):
        name = f"{maps.scores.clip} {maps.scores.frame}"
        abs_rel = maps.scores.rows[report.row]["all"][0]
        factor = (
            1.0 if report.metric else float(np.nanmedian(maps.truth) / np.median(maps.depth[~np.isnan(maps.truth)]))
        )
        parts.append(f"<p class='note'>{title}: {escape(name)}, abs_rel {abs_rel:.3f}</p>")
        parts.append(depth_panels(name, maps.image, factor * maps.depth, maps.truth, low, high))
    return "".join(parts)
