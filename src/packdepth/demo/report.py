"""The demo's report: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import io
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np
from PIL import Image

from packdepth.charts import OURS, TRUE, Line, svg
from packdepth.colour import colourise
from packdepth.demo.findings import Example, Findings
from packdepth.demo.scores import CAP, DISTANCES, Scores
from packdepth.files import replacing
from packdepth.geometry.camera import Camera
from packdepth.inference.writers import cloud_points

TEMPLATE = files("packdepth.demo") / "report.html"
RANGE = (0.0, 0.16)  # inverse depth, 1/metres, that colours span
ERROR_SPAN = 0.5  # relative error that is shown as full red or blue
CLOUD_REACH = 45.0  # metres


def write_report(path: Path, findings: Findings, quick: bool) -> None:
    """Write the report; it appears whole or not at all."""
    numbers = findings.numbers
    best = numbers.constants[numbers.best_constant]["all"]
    own = numbers.network["all"]
    text = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
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
    numbers = findings.numbers
    rows = [("<b>packdepth</b>, no depth seen", numbers.network)]
    rows += [(f"{name} of the training depth", scores) for name, scores in numbers.constants.items()]
    names = ("abs_rel", "sq_rel", "rmse", "rmse_log", "a1", "a2", "a3")
    head = "".join(f"<th>{name}</th>" for name in names)
    body = ""
    for title, scores in rows:
        cells = "".join(f"<td>{scores['all'][name]:.3f}</td>" for name in names)
        body += f"<tr><td>{title}</td>{cells}</tr>"
    return f"<table><tr><th></th>{head}</tr>{body}</table>"


def _parts(findings: Findings) -> str:
    """abs_rel and a1 of moving objects and of ranges of distance, next to the best constant."""
    numbers = findings.numbers
    constant = numbers.constants[numbers.best_constant]
    head = f"<tr><th></th><th>abs_rel</th><th>a1</th><th>abs_rel, {numbers.best_constant}</th><th>a1</th></tr>"
    titles = {"moving": "moving objects"} | {f"{a} to {b} m": f"{a} to {b} m" for a, b in DISTANCES}

    def cells(scores: dict[str, Scores], part: str) -> str:
        return "".join(f"<td>{scores[part][name]:.3f}</td>" for name in ("abs_rel", "a1"))

    rows = "".join(
        f"<tr><td>{title}</td>{cells(numbers.network, part)}{cells(constant, part)}</tr>"
        for part, title in titles.items()
        if part in numbers.network
    )
    return f"<table>{head}{rows}</table>"


# --- pictures -----------------------------------------------------------------------------------------------------


def _example(example: Example) -> str:
    """Input, prediction, truth and error of a frame."""
    known = (example.truth > 0) & (example.truth < CAP)
    error = np.where(known, example.depth / np.where(known, example.truth, 1) - 1, np.nan)
    truth = np.where(example.truth > 0, 1 / np.maximum(example.truth, 0.1), 0)
    panels = (
        ("input", example.image),
        ("predicted", colourise(1 / example.depth, *RANGE)),
        ("true", colourise(truth, *RANGE)),
        ("error", error_colours(error)),
    )
    pictures = "".join(
        f"<figure><img src='{_data(image)}' alt='{name}, {example.name}'><figcaption>{name}</figcaption></figure>"
        for name, image in panels
    )
    return f"<div class='example'>{pictures}</div>"


def error_colours(error: np.ndarray) -> np.ndarray:
    """Relative error [H, W] as colours [H, W, 3] uint8: red too far, blue too near, white right, grey unknown."""
    share = np.nan_to_num(error / ERROR_SPAN).clip(-1, 1)[..., None]
    red, blue, white = np.array([200, 40, 40]), np.array([40, 80, 200]), np.array([250, 250, 250])
    colours = np.where(share > 0, white + share * (red - white), white - share * (blue - white))
    return np.where(np.isnan(error)[..., None], 170, colours).round().astype(np.uint8)


def _data(image: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _cloud(example: Example, camera: Camera) -> str:
    """Points of a prediction for the viewer: x, y, z as int16 centimetres, then red, green, blue, in base64."""
    near = np.where(example.depth < CLOUD_REACH, example.depth, 0)
    points, colours = cloud_points(near, example.image, camera)
    record = np.zeros(len(points), [("p", "<i2", 3), ("c", "u1", 3), ("_", "u1")])
    record["p"], record["c"] = (points * 100).round().clip(-32768, 32767), colours
    return base64.b64encode(record.tobytes()).decode()


# --- charts -------------------------------------------------------------------------------------------------------


def _path(findings: Findings) -> str:
    lines = [Line(findings.true_path, TRUE, "true"), Line(findings.predicted_path, OURS, "predicted")]
    return svg(lines, "metres to the right", "metres ahead", equal=True)
