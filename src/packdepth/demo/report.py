"""The report of the demo: one HTML file that needs no other file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from markupsafe import Markup

from packdepth.charts import OURS, TRUE, Line, charts, key, svg
from packdepth.demo.results import Example, Results
from packdepth.demo.scores import DISTANCES, PROTOCOL
from packdepth.evaluation.choices import STANDARD_METRICS
from packdepth.evaluation.cloud import depth_cloud
from packdepth.evaluation.grades import percents
from packdepth.evaluation.parts import range_names
from packdepth.evaluation.report import verdict_in_words
from packdepth.html import depth_panels, figures, joined, note, settings, table
from packdepth.html.page import Page, Section, Verdict

COLOR_RANGE = (0.0, 0.16)  # 1/metres, inverse depth of the darkest and the brightest color; chosen by eye
MIN_EPOCHS = 4  # validations that make a curve; fewer stand in words
QUICK = "This is the quick demo (--quick, QUICK=1): less data, less training, and worse results."
PICTURES = (
    "Near is bright and far is dark; all pictures share one scale of colors. In the error, red is too far and blue is "
    "too near; gray has no ground truth below 80 m."
)
COMMANDS = (  # those of the README
    "packdepth data import drive.mp4 mine speeds=log.csv offset=auto",
    "packdepth init mine -o run.yaml --minutes 6",
    "packdepth train run.yaml --output runs/mine",
    "packdepth evaluate runs/mine/best --protocol own --data mine --html own.html",
    "packdepth predict runs/mine/best drive.mp4 -o out/drive --save depth,color,video",
)
NEXT = Markup(
    "<p>Put the calibration of the camera beside <code>drive.mp4</code>, as <code>drive.yaml</code>, and give a log of "
    "its speed, such as a CSV. docs/tutorials/own_video.md goes through the steps, and says what to do without a log "
    "or a calibration.</p><pre>{}</pre>"
).format(Markup("").join(Markup("<code>{}</code>").format(command) for command in COMMANDS))


def write_report(path: Path, results: Results, quick: bool) -> None:
    """Write the report. If that fails, the file is as it was.

    Args:
        path: the file.
        results: the results of the demo.
        quick: whether the demo was the quick one.
    """
    middle = results.examples[len(results.examples) // 2]
    cloud = depth_cloud(middle.name, middle.image, middle.depth, results.camera)
    Page(
        title="Metric depth from video and speed alone",
        verdicts=[Verdict(verdict(results), [QUICK] if quick else [])],
        pictures=[
            Section("What it predicts", note(PICTURES) + joined([_example(example) for example in results.examples])),
            Section("A point cloud", note("The middle example as points in space, from the predicted depth.") + cloud),
            Section("Where it drove", _path(results)),
        ],
        numbers=[
            Section("The numbers", _headline_figures(results) + _overall(results) + _parts(results)),
            Section("Training", _training(results)),
        ],
        protocol=[
            Section("How it was trained and evaluated", settings(_settings(results))),
            Section("Now with your own video", NEXT),
        ],
    ).write(path)


def verdict(results: Results) -> str:
    """Return the verdict on the network of a demo, in plain words.

    Args:
        results: the results of the demo.
    """
    numbers = results.numbers
    own, best = numbers.network["all"], numbers.constants[numbers.best_constant]["all"]
    error, guess = percents(own["abs_rel"], best["abs_rel"])
    compared = "better" if own["abs_rel"] < best["abs_rel"] else "not better"
    return (
        f"{verdict_in_words(own, True, {})}, on {numbers.images} images of streets that it has never seen. Guessing by "
        f"position in the image, without looking at it (by the {numbers.best_constant} of the depth of the training "
        f"drives, which the network does not know), is off by {guess}: the network, with {error}, is {compared}."
    )


# --- numbers ------------------------------------------------------------------------------------------------------


def _headline_figures(results: Results) -> Markup:
    """Return the three numbers of the demo in large type."""
    numbers = results.numbers
    own, best = numbers.network["all"], numbers.constants[numbers.best_constant]["all"]
    return figures(
        {
            "mean relative error (abs_rel), unscaled": f"{own['abs_rel']:.3f}",
            "of pixels within 25 % of the ground truth (a1)": f"{100 * own['a1']:.0f} %",
            f"of the error of the best constant ({numbers.best_constant} of the training depth, which uses ground "
            "truth)": f"{own['abs_rel'] / best['abs_rel']:.2f}",
        }
    )


def _overall(results: Results) -> Markup:
    """Return a table of the overall scores of the network and of the constants."""
    rows = {title: [scores["all"][name] for name in STANDARD_METRICS] for title, scores in results.numbers.rows.items()}
    words = (
        "The metrics are computed for each image, over pixels with a true depth below 80 m, and then averaged. The "
        "three constants are statistics of each pixel over the depth of the training drives."
    )
    return table("means over test images", STANDARD_METRICS, rows) + note(words)


def _parts(results: Results) -> Markup:
    """Return a table of the network and the best constant on moving objects and in ranges of distance."""
    best = results.numbers.best_constant
    both = results.numbers.network, results.numbers.constants[best]
    parts = {"moving objects": "moving"} | {name: name for name in range_names(DISTANCES)}
    rows = {
        title: [scores[part][name] for scores in both for name in ("abs_rel", "a1")]
        for title, part in parts.items()
        if part in both[0]
    }
    columns = [f"{name}, {who}" for who in ("network", best) for name in ("abs_rel", "a1")]
    return table("scores of parts", columns, rows)


def _settings(results: Results) -> dict[str, str]:
    """Return how the network of the demo was trained and evaluated, by keyword."""
    numbers = results.numbers
    return {
        "network": f"{numbers.described}, {numbers.parameters:.1f} million parameters",
        "training": f"{numbers.steps} steps on {numbers.train_frames} frames of {numbers.train_drives} rendered "
        "drives: images and the car's speed, without depth and without poses",
        "priors": f"at the start, depth is {numbers.initial_depth:g} m everywhere, and ego-motion is "
        f"{numbers.initial_forward:.2f} m ahead per frame, the mean that the speed of the training drives gives; "
        "during training, the measured speed gives the length of each step between frames",
        "checkpoint": "the last one; it was not chosen by measured depth",
        "evaluation": f"{numbers.images} images of {numbers.test_drives} drives with streets, surfaces and car models "
        "that are not in the training data, in metres, without any scaling",
    }


# --- pictures and charts ------------------------------------------------------------------------------------------


def _example(example: Example) -> Markup:
    """Return the pictures of a frame: input, prediction, ground truth and error."""
    truth = np.where((example.truth > 0) & (example.truth < PROTOCOL.cap), example.truth, np.nan)
    return depth_panels(example.name, example.image, example.depth, truth, *COLOR_RANGE)


def _path(results: Results) -> Markup:
    """Return a map of the true and the predicted path."""
    numbers = results.numbers
    lines = [Line(results.true_path, TRUE, "true"), Line(results.predicted_path, OURS, "predicted frame by frame")]
    words = (
        "The prediction is aligned with the predicted depth. The error of its last position is "
        f"{100 * numbers.drift:.1f} % of the {numbers.distance:.0f} metres driven."
    )
    chart = svg(lines, "metres to the right", "metres ahead", equal=True)
    return charts([chart]) + note(key(lines)) + note(words)


def _training(results: Results) -> Markup:
    """Return the curves of the loss and, if there were enough validations, of their errors."""
    drawn = [svg([Line(results.loss, OURS)], "training step", "training loss")]
    found = results.validation
    words = note(f"Each point of the loss is the mean of {results.loss_steps} steps.")
    if len(found) >= MIN_EPOCHS:
        drawn.append(svg([Line(found, OURS)], "training step", "abs_rel, validation drives", dots=True))
    else:
        errors = ", then ".join(f"{error:.3f} after step {step:.0f}" for step, error in found)
        words += note(f"abs_rel on the validation drives: {errors}.")
    return charts(drawn) + words
