"""The report of the demo: one HTML file that needs no other file."""

from __future__ import annotations

import base64
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np

from packdepth.charts import OURS, TRUE, Line, svg
from packdepth.demo.results import Example, Results
from packdepth.demo.scores import DISTANCES, PROTOCOL
from packdepth.evaluation.choices import STANDARD_METRICS
from packdepth.evaluation.parts import range_names
from packdepth.files import replacing
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import points_from_depth
from packdepth.html import STYLE, depth_panels, table

TEMPLATE = files("packdepth.demo") / "report.html"
COLOR_RANGE = (0.0, 0.16)  # 1/metres, inverse depth of the darkest and the brightest color; chosen by eye
CLOUD_REACH = 45.0  # metres; farther points are left out of the cloud; chosen by eye


def write_report(path: Path, results: Results, quick: bool) -> None:
    """Write the report. If that fails, the file is as it was.

    Args:
        path: the file.
        results: the results of the demo.
        quick: whether the demo was the quick one.
    """
    numbers = results.numbers
    best = numbers.constants[numbers.best_constant]["all"]
    own = numbers.network["all"]
    text = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        style=STYLE,
        quick="<p class='note'>This is the quick demo (QUICK=1): less data, less training, and worse results.</p>"
        if quick
        else "",
        abs_rel=f"{own['abs_rel']:.3f}",
        a1=f"{100 * own['a1']:.0f} %",
        ratio=f"{own['abs_rel'] / best['abs_rel']:.2f}",
        constant=numbers.best_constant,
        train_drives=numbers.train_drives,
        train_frames=numbers.train_frames,
        test_drives=numbers.test_drives,
        images=numbers.images,
        described=numbers.described,
        parameters=f"{numbers.parameters:.1f}",
        steps=numbers.steps,
        initial_depth=f"{numbers.initial_depth:g}",
        initial_forward=f"{numbers.initial_forward:.2f}",
        overall=_overall(results),
        parts=_parts(results),
        examples="".join(map(_example, results.examples)),
        cloud=_cloud(results.examples[len(results.examples) // 2], results.camera),
        path=_path(results),
        drift=f"{100 * numbers.drift:.1f} %",
        distance=f"{numbers.distance:.0f}",
        loss=svg([Line(results.loss, OURS)], "step", "loss"),
        validation=svg([Line(results.validation, OURS)], "step", "abs_rel, validation drives"),
    )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


# --- tables -------------------------------------------------------------------------------------------------------


def _overall(results: Results) -> str:
    """Return a table of the overall scores of the network and of the constants."""
    rows = {title: [scores["all"][name] for name in STANDARD_METRICS] for title, scores in results.numbers.rows.items()}
    return table(STANDARD_METRICS, rows)


def _parts(results: Results) -> str:
    """Return a table of the network and the best constant on moving objects and in ranges of distance."""
    best = results.numbers.best_constant
    both = results.numbers.network, results.numbers.constants[best]
    parts = {"moving objects": "moving"} | {name: name for name in range_names(DISTANCES)}
    rows = {
        title: [scores[part][name] for scores in both for name in ("abs_rel", "a1")]
        for title, part in parts.items()
        if part in both[0]
    }
    return table(("abs_rel", "a1", f"abs_rel, {best}", "a1"), rows)


# --- pictures -----------------------------------------------------------------------------------------------------


def _example(example: Example) -> str:
    """Return the pictures of a frame: input, prediction, ground truth and error."""
    truth = np.where((example.truth > 0) & (example.truth < PROTOCOL.cap), example.truth, np.nan)
    return depth_panels(example.name, example.image, example.depth, truth, *COLOR_RANGE)


def _cloud(example: Example, camera: Camera) -> str:
    """Return the points of a prediction in the viewer's format: base64 of x, y, z (int16 centimetres) and color."""
    near = np.where(example.depth < CLOUD_REACH, example.depth, 0)
    points, known = points_from_depth(near, camera)
    record = np.zeros(len(points), [("p", "<i2", 3), ("c", "u1", 3), ("_", "u1")])
    record["p"] = (points * 100).round().clip(-32768, 32767)  # centimetres as int16
    record["c"] = example.image[known]
    return base64.b64encode(record.tobytes()).decode()


# --- charts -------------------------------------------------------------------------------------------------------


def _path(results: Results) -> str:
    """Return the chart of the true and the predicted path."""
    lines = [Line(results.true_path, TRUE, "true"), Line(results.predicted_path, OURS, "predicted")]
    return svg(lines, "metres to the right", "metres ahead", equal=True)
