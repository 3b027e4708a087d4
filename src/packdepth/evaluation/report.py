"""The report of an evaluation, as an object, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from packdepth.evaluation.baseline import baseline_scores
from packdepth.evaluation.boundaries import BoundaryErrors
from packdepth.evaluation.choices import Baseline
from packdepth.evaluation.ego_motion import EgoMotionErrors
from packdepth.evaluation.grades import CLEARLY_BETTER, UNSURE, grade_of, percent, percents
from packdepth.evaluation.held_out_scores import HeldOutScores, held_out_scores, only
from packdepth.evaluation.parts import MOTION_PARTS, part_names, range_names
from packdepth.evaluation.protocol import Protocol, split_hash
from packdepth.evaluation.scores import (
    DRAWS,
    SEED,
    ImageScores,
    Scores,
    class_mean,
    interval,
    mean_boundaries,
    mean_curves,
    mean_scores,
    part_counts,
    ranked,
)
from packdepth.evaluation.sparsification import KEPT, Sparsification
from packdepth.files import write_json
from packdepth.progress import counted

EGO_MOTION = {
    "translation": "error as a share of the distance traveled",
    "translation_scaled": "the same after one factor for all motions",
    "scale": "that factor",
    "length_ratio": "mean length, predicted over measured",
    "rotation": "error, degrees a frame",
}
"""The meanings of the errors of ego-motion in a report."""


@dataclass(frozen=True, repr=False)
class Report:
    """The scores of one checkpoint under one protocol.

    `report["abs_rel"]` is a score in the checkpoint's own row (see `row`), `report.rows["flip"]["abs_rel"]` one in
    another row.
    """

    protocol: Protocol
    """The protocol of the evaluation."""
    data: str
    """The folder of the only clip, or the folder that holds the first of several clips."""
    checkpoint: str
    """The path of the checkpoint or of the saved depth; for a predictor, its `repr`."""
    metric: bool
    """Whether the checkpoint's depth is in metres."""
    scale_source: str
    """The origin of the scale, such as "velocity (speed)"."""
    scale: str
    """The scale in words, with the lengths that it was compared with."""
    images: Sequence[ImageScores]
    """The scores of each image with ground truth. They are empty if none of the ground truth is valid."""
    baseline_images: Mapping[str, Sequence[ImageScores]]
    """The scores of the baselines on each of their images, by row (`evaluation.baseline.baseline_images`)."""
    ego_motion: EgoMotionErrors | None
    """The errors of the predicted ego-motion; None if it was not evaluated, such as without poses or a pose network."""
    ego_motion_baseline: EgoMotionErrors | None
    """The errors of a baseline that uses no image: the measured mean translation without rotation, for each motion."""
    flip_note: str | None = None
    """A sentence on why the flip rows are no gain for this network; None if nothing is known."""
    untrained: frozenset[tuple[str, str]] | None = None
    """The clip and the name of each frame that the networks were not trained on; None if that is not known."""

    def __repr__(self) -> str:
        score = f"abs_rel {self['abs_rel']:.3f} ({self.row})"
        return f"<Report {self.protocol.name}: {self.checkpoint}, {counted(self.image_count, 'image')}, {score}>"

    def __getitem__(self, metric: str) -> float:
        """Return a score of the checkpoint's own row.

        Args:
            metric: the name of the metric, such as "abs_rel".

        Raises KeyError, which lists the metrics, if there is none of this name.
        """
        scores = self.scores
        if metric not in scores:
            raise KeyError(f"there is no metric '{metric}'; the metrics are {', '.join(scores)}")
        return scores[metric]

    @property
    def row(self) -> str:
        """The checkpoint's own row: plain if its depth is metric, else scaled."""
        return "plain" if self.metric else "scaled"

    @property
    def scores(self) -> Scores:
        """The means over images in the checkpoint's own row, by metric."""
        return self.rows[self.row]

    @cached_property
    def rows(self) -> dict[str, Scores]:
        """The means over images, by row and metric.

        The rows of a network are plain, scaled, flip and flip_scaled; those of saved depth are plain and scaled.
        """
        return {row: self._selected(mean_scores(self.images, row)) for row in self._row_names}

    @cached_property
    def _row_names(self) -> list[str]:
        return list(next(image.rows for image in self.images if image.rows))

    @cached_property
    def baselines(self) -> dict[str, Scores]:
        """The means of the baselines over images, by row."""
        return baseline_scores(self.baseline_images)

    @cached_property
    def held_out(self) -> HeldOutScores | None:
        """The errors on the frames that were trained on and on the others; None if these are not known."""
        return None if self.untrained is None else held_out_scores(self.images, self.untrained, self.row)

    @property
    def headline(self) -> str:
        """The verdict as one line: the error in words, next to that of the baseline.

        It is about the frames that were not trained on, if there are `MIN_UNTRAINED` of them; otherwise about all.
        """
        found, kind = self.held_out, self.protocol.baseline
        if found is None or self.untrained is None or not found.judged:
            words = verdict_in_words(self.scores, self.metric, self.baselines, kind)
            return words if found is None else f"{words}{found.warning}"
        images = only(self.images, self.untrained)
        chosen = {row: only(scores, self.untrained) for row, scores in self.baseline_images.items()}
        baselines = baseline_scores({row: scores or self.baseline_images[row] for row, scores in chosen.items()})
        where = f"on the {found.untrained} frames that were not trained on, "
        return verdict_in_words(mean_scores(images, self.row), self.metric, baselines, kind, where)

    @property
    def notes(self) -> list[str]:
        """The second line of the verdict, if there is one: which frames were trained on."""
        if self.held_out is None:
            return ["whether the network was trained on these frames is not known: its checkpoint does not say"]
        return [self.held_out.words] if self.held_out.trained else []

    @property
    def image_count(self) -> int:
        """The number of evaluated images."""
        return sum(bool(image.rows) for image in self.images)

    @property
    def images_without_truth(self) -> int:
        """The number of images that were left out because no pixel has valid ground truth."""
        return len(self.images) - self.image_count

    @property
    def split(self) -> str:
        """The hash of the names of the images, as computed by `split_hash`."""
        return split_hash([f"{image.clip} {image.frame}" for image in self.images])

    @cached_property
    def part_images(self) -> dict[str, int]:
        """The number of images in which a part of the image occurs, by part, in the order of the protocol."""
        counts = part_counts(self.images)
        return {
            part: counts[part] for part in part_names(self.protocol.ranges, self.protocol.classes) if part in counts
        }

    @cached_property
    def parts(self) -> dict[str, dict[str, Scores]]:
        """The means over images by part, row and metric. Parts about dynamic objects also have the metric too_far."""

        def selected(part: str, row: str) -> Scores:
            scores = mean_scores(self.images, row, part)
            return self._selected(scores) | ({"too_far": scores["too_far"]} if part in MOTION_PARTS else {})

        return {part: {row: selected(part, row) for row in self._row_names} for part in self.part_images}

    @property
    def boundaries(self) -> dict[str, Scores] | None:
        """The depth boundary errors by row, in pixels; None if they are not evaluated or there are no boundaries."""
        return mean_boundaries(self.images) or None

    @cached_property
    def sparsification(self) -> Sparsification | None:
        """The sparsification curves in the checkpoint's own row, averaged over images; None without confidence."""
        return mean_curves(self.images).get(self.row)

    @property
    def class_means(self) -> dict[str, Scores] | None:
        """The means over classes by row and metric; None without label maps."""
        means = {row: class_mean(self.images, row, self.protocol.classes) for row in self._row_names}
        return {row: self._selected(scores) for row, scores in means.items() if scores is not None} or None

    @cached_property
    def intervals(self) -> dict[str, dict[str, tuple[float, float]]] | None:
        """The 95 % confidence intervals by row and metric; None if `units` is 1."""
        found = {row: interval(self.images, row) for row in self._row_names}
        return {row: self._selected(limits) for row, limits in found.items() if limits is not None} or None

    @property
    def units(self) -> int:
        """The number of clips, drives or unrelated images from which the bootstrap draws."""
        return len({image.unit for image in self.images if image.rows})

    def examples(self) -> list[ImageScores]:
        """Return the best, the median and the worst image by abs_rel; fewer if there are fewer images."""
        images = ranked(self.images, self.row)
        return [images[i] for i in dict.fromkeys((0, len(images) // 2, len(images) - 1))]

    def _selected(self, scores: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the scores that the protocol reports."""
        return {name: scores[name] for name in self.protocol.metrics}

    def to_json(self) -> dict[str, Any]:
        """Return the report as dictionaries, lists and values for JSON."""
        return {
            "protocol": self.protocol.name,
            "verdict": self.headline,
            "held_out": None if self.held_out is None else self.held_out.to_json(),
            "images": self.image_count,
            "images_without_truth": self.images_without_truth,
            "split": self.split,
            "metrics": self.rows,
            **{row: self._selected(scores) for row, scores in self.baselines.items()},
            "parts": self.parts,
            "part_images": self.part_images,
            "class_mean": self.class_means,
            "boundaries": self.boundaries,
            "sparsification": self.sparsification and self.sparsification.to_json(),
            "intervals": self.intervals
            and {
                row: {name: list(limits) for name, limits in scores.items()} for row, scores in self.intervals.items()
            },
            "ego_motion": asdict(self.ego_motion) if self.ego_motion else None,
            "ego_motion_baseline": asdict(self.ego_motion_baseline) if self.ego_motion_baseline else None,
            "settings": self.protocol.settings(),
            "data": self.data,
            "checkpoint": {
                "path": self.checkpoint,
                "metric": self.metric,
                "scale_source": self.scale_source,
                "scale": self.scale,
            },
        }

    def text(self) -> str:
        """Return the report as text: the verdict, the settings of the protocol, the scores, parts, ego-motion."""
        verdict = "\n".join([self.headline, *self.notes])
        return f"{verdict}\n\n{self.protocol.describe()}\n\n{self.results_text()}"

    def results_text(self) -> str:
        """Return the text without the settings of the protocol."""
        missing = self.images_without_truth
        left_out = f" ({missing} more have no valid ground truth)" if missing else ""
        rows = self.rows | {row: self._selected(scores) for row, scores in self.baselines.items()}
        return "\n".join(
            [
                f"{counted(self.image_count, 'image')} of {self.data}{left_out}, split {self.split}",
                f"checkpoint {self.checkpoint}: depth is {self.scale}",
                "",
                *columns(self.protocol.metrics, rows),
                *([] if self.flip_note is None else ["", f"flip: {self.flip_note}"]),
                *self._interval_lines(),
                *self._part_lines(),
                *self._too_far_lines(),
                *self._boundary_lines(),
                *self._sparsification_lines(),
                *self._ego_motion_lines(),
            ]
        )

    def _interval_lines(self) -> list[str]:
        if self.intervals is None:
            return []
        bounds = {
            f"{row}, {side}": {name: limits[end] for name, limits in scores.items()}
            for row, scores in self.intervals.items()
            for end, side in enumerate(("from", "to"))
        }
        title = f"95 % intervals: {DRAWS} draws (seed {SEED}) of the {self.units} clips or unrelated images"
        return ["", title, "", *columns(self.protocol.metrics, bounds)[1:]]

    def _too_far_lines(self) -> list[str]:
        parts = {
            part: {row: scores["too_far"] for row, scores in self.parts[part].items()}
            for part in MOTION_PARTS
            if part in self.parts
        }
        title = "share of pixels predicted more than 1.5 times too far, on moving objects and on the rest"
        return ["", title, "", *columns(self._row_names, parts)] if parts else []

    def _boundary_lines(self) -> list[str]:
        if self.boundaries is None:
            return []
        title = "depth boundaries: distance to the true ones and from them, pixels"
        return ["", title, "", *columns(BoundaryErrors._fields, self.boundaries)]

    def _sparsification_lines(self) -> list[str]:
        if self.sparsification is None:
            return []
        title = (
            f"confidence ({self.row}): area over the random order (AURG, more is better) and to the perfect one "
            f"(AUSE, less is better), and abs_rel of all pixels and of the surest {percent(KEPT)} of each image"
        )
        rows = self.sparsification.rows()
        return ["", title, "", *columns(list(next(iter(rows.values()))), rows)]

    def _part_lines(self) -> list[str]:
        parts = {part: {row: scores["abs_rel"] for row, scores in rows.items()} for part, rows in self.parts.items()}
        if self.class_means is not None:
            parts["mean of classes"] = {row: scores["abs_rel"] for row, scores in self.class_means.items()}
        if not parts:
            return []
        header, *lines = columns(self._row_names, parts)
        named = [
            f"{line}{self.part_images.get(part, self.image_count):>8}" for part, line in zip(parts, lines, strict=True)
        ]
        kinds = {
            "by distance": any(part in parts for part in range_names(self.protocol.ranges)),
            "at depth edges": "edges" in parts,
            "of moving objects": any(part in parts for part in MOTION_PARTS),
            "of classes": self.class_means is not None,
        }
        return [
            "",
            f"abs_rel {in_words([kind for kind, there in kinds.items() if there])}, with the number of images",
            "",
            f"{header}{'images':>8}",
            *named,
        ]

    def _ego_motion_lines(self) -> list[str]:
        if self.ego_motion is None or self.ego_motion_baseline is None:
            return []
        both = {"network": self.ego_motion, "baseline": self.ego_motion_baseline}
        rows = {row: {n: getattr(e, row) for n, e in both.items()} for row in EGO_MOTION}
        header, *lines = columns(list(both), rows)
        return [
            "",
            f"ego-motion over {self.ego_motion.motions} motions, {self.ego_motion.distance:.1f} m; "
            "the baseline is their mean translation without rotation",
            "",
            header,
            *(f"{line}  {meaning}" for line, meaning in zip(lines, EGO_MOTION.values(), strict=True)),
        ]


def verdict_in_words(
    scores: Scores, metric: bool, baselines: Mapping[str, Scores], kind: Baseline = "none", where: str = ""
) -> str:
    """Return a verdict on measured errors as one line that needs no knowledge of the field.

    A network is clearly better than the baseline if its error is smaller by `CLEARLY_BETTER` of the baseline's; if it
    is not, its grade is `UNSURE` at best.

    Args:
        scores: the scores of the checkpoint's own row.
        metric: whether its depth is metric; otherwise the scores are those after one factor for each image.
        baselines: the scores of the baselines by row, if there are any.
        kind: the kind of the row "baseline".
        where: the frames, such as "on the 8 frames that were not trained on, "; by default they are not named.

    >>> verdict_in_words({"abs_rel": 0.11, "a1": 0.9}, True, {})
    'Good: depth in metres is off by 11 % on average, and 90 % of pixels are within 25 %'
    """
    error, unit = scores["abs_rel"], "in metres" if metric else "after one factor for each image"
    share = percent(scores["a1"])
    row = "baseline" if metric else "baseline_scaled"
    if row not in baselines:
        return (
            f"{grade_of(error)}: {where}depth {unit} is off by {percent(error)} on average, and {share} of pixels are "
            "within 25 %"
        )
    guess = baselines[row]["abs_rel"]
    is_clear = error <= (1 - CLEARLY_BETTER) * guess
    compared = "better" if is_clear else "not clearly better" if error < guess else "not better"
    grade = grade_of(error) if is_clear else grade_of(error, at_best=UNSURE)
    lowered = "" if grade == grade_of(error) else f", which makes it {grade} at best"
    frames = "the other frames" if kind == "others_median" else "all frames"
    network, baseline = percents(error, guess)
    return (
        f"{grade}: {where}depth {unit} is off by {network} on average, and {share} of pixels are within 25 %; guessing "
        f"by position in the image, without looking at it (by the median depth measured there in {frames}), is off by "
        f"{baseline}: the network is {compared}{lowered}"
    )


def in_words(items: Sequence[str]) -> str:
    """Return a list of words as part of a sentence.

    Args:
        items: the words.

    >>> in_words(["by distance", "at depth edges", "of classes"])
    'by distance, at depth edges and of classes'
    """
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def columns(names: Sequence[str], rows: Mapping[str, Scores]) -> list[str]:
    """Return a table as lines: the names of the columns, then the numbers of each row.

    Args:
        names: the names of the columns.
        rows: the numbers by row and column.

    >>> columns(["a1"], {"plain": {"a1": 0.5}})
    ['                            a1', 'plain                   0.5000']
    """
    width = max(10, *(len(name) + 2 for name in names))
    header = f"{'':<20}" + "".join(f"{name:>{width}}" for name in names)
    return [header, *(f"{row:<20}" + "".join(f"{rows[row][n]:>{width}.4f}" for n in names) for row in rows)]


def reports_text(reports: Sequence[Report]) -> str:
    """Return several reports as text: the protocol, the scores side by side, then the results of each report.

    Args:
        reports: reports under one protocol. For a single one, the result is `Report.text`.
    """
    if len(reports) == 1:
        return reports[0].text()
    metrics = reports[0].protocol.metrics
    lines = []
    for row in reports[0].rows:
        having = [report for report in reports if row in report.rows]
        numbers = columns(metrics, {str(i): report.rows[row] for i, report in enumerate(having, 1)})[1:]
        side_by_side = [f"{line}  {report.checkpoint}" for line, report in zip(numbers, having, strict=True)]
        lines += ["", row, columns(metrics, {})[0], *side_by_side]
    verdicts = [line for report in reports for line in (f"{report.checkpoint}: {report.headline}", *report.notes)]
    return "\n".join(
        [*verdicts, "", reports[0].protocol.describe(), *lines, *(f"\n{report.results_text()}" for report in reports)]
    )


def write_reports(path: Path, reports: Sequence[Report]) -> None:
    """Write reports as JSON. If writing fails, an existing file is not changed.

    Args:
        path: the file.
        reports: reports under one protocol. A single one is written without the enclosing `{"reports": [...]}`.
    """
    if len(reports) == 1:
        write_json(path, reports[0].to_json())
    else:
        write_json(path, {"protocol": reports[0].protocol.name, "reports": [report.to_json() for report in reports]})
