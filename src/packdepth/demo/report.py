"""The demo's report: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np

from packdepth.charts import OURS, TRUE, Line, svg
from packdepth.demo.findings import Example, Findings
from packdepth.demo.scores import CAP, DISTANCES
from packdepth.evaluation.parts import range_names
from packdepth.evaluation.protocols import STANDARD
from packdepth.files import replacing
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import points_from_depth
from packdepth.html import STYLE, depth_panels, table

TEMPLATE = files("packdepth.demo") / "report.html"
RANGE = (0.0, 0.16)  # inverse depth, 1/metres, that colors span
CLOUD_REACH = 45.0  # metres


def write_report(path: Path, findings: Findings, quick: bool) -> None:
    """Write the report; it appears whole or not at all."""
    numbers = findings.numbers
    best = numbers.constants[numbers.best_constant]["all"]
    own = numbers.network["all"]
    text = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        style=STYLE,
        quick="<p class='note'>Made with QUICK=1: less data and training, and worse for it.</p>" if quick else "",
        abs_rel=f"{own['abs_rel']:.3f}",
        a1=f"{100 * own['a1']:.0f} %",
        ratio=f"{own['abs_rel'] / best['abs_rel']:.2f}",
        constant=numbers.best_constant,
        train_drives=numbers.train_drives,
        train_frames=numbers.train_frames,
        test_drives=numbers.test_drives,
        images=numbers.images,
        steps=numbers.steps,
        initial_depth=f"{numbers.initial_depth:g}",
        initial_forward=f"{numbers.initial_forward:.2f}",
        overall=_overall(findings),
        parts=_parts(findings),
        examples="".join(map(_example, findings.examples)),
        cloud=_cloud(findings.examples[len(findings.examples) // 2], findings.camera),
        path=_path(findings),
        drift=f"{100 * numbers.drift:.1f} %",
        distance=f"{numbers.distance:.0f}",
        loss=svg([Line(findings.loss, OURS)], "step", "loss"),
        validation=svg([Line(findings.validation, OURS)], "step", "abs_rel, validation drives"),
    )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


# --- tables -------------------------------------------------------------------------------------------------------


def _overall(findings: Findings) -> str:
    """The rows of the network and of the constants."""
    rows = {title: [scores["all"][name] for name in STANDARD] for title, scores in findings.numbers.rows.items()}
    return table(STANDARD, rows)


def _parts(findings: Findings) -> str:
    """abs_rel and a1 of moving objects and of ranges of distance, next to the best constant."""
    best = findings.numbers.best_constant
    both = findings.numbers.network, findings.numbers.constants[best]
    parts = {"moving objects": "moving"} | {name: name for name in range_names(DISTANCES)}
    rows = {
        title: [scores[part][name] for scores in both for name in ("abs_rel", "a1")]
        for title, part in parts.items()
        if part in both[0]
    }
    return table(("abs_rel", "a1", f"abs_rel, {best}", "a1"), rows)


# --- pictures -----------------------------------------------------------------------------------------------------


def _example(example: Example) -> str:
    """Input, prediction, truth and error of a frame."""
    truth = np.where((example.truth > 0) & (example.truth < CAP), example.truth, np.nan)
    return depth_panels(example.name, example.image, example.depth, truth, *RANGE)


def _cloud(example: Example, camera: Camera) -> str:
    """Points of a prediction for the viewer: x, y, z as int16 centimetres, then red, green, blue, in base64."""
    near = np.where(example.depth < CLOUD_REACH, example.depth, 0)
    points, known = points_from_depth(near, camera)
    record = np.zeros(len(points), [("p", "<i2", 3), ("c", "u1", 3), ("_", "u1")])
    record["p"], record["c"] = (points * 100).round().clip(-32768, 32767), example.image[known]
    return base64.b64encode(record.tobytes()).decode()


# --- charts -------------------------------------------------------------------------------------------------------


def _path(findings: Findings) -> str:
    lines = [Line(findings.true_path, TRUE, "true"), Line(findings.predicted_path, OURS, "predicted")]
    return svg(lines, "metres to the right", "metres ahead", equal=True)
