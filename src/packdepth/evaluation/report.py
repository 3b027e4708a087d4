"""What an evaluation found, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from packdepth.evaluation.boundaries import BoundaryErrors
from packdepth.evaluation.ego_motion import EgoMotionErrors
from packdepth.evaluation.parts import OF_MOTION, part_names
from packdepth.evaluation.protocols import Protocol, split_hash
from packdepth.evaluation.scores import (
    DRAWS,
    SEED,
    ImageScores,
    Scores,
    class_mean,
    interval,
    mean_boundaries,
    mean_scores,
    parts_of,
    ranked,
)
from packdepth.files import write_json
from packdepth.inference.info import depth_unit


@dataclass(frozen=True)
class Report:
    """One checkpoint under one protocol."""

    protocol: Protocol
    data: str
    """The clip's folder, or the folder of the clips."""
    checkpoint: str
    """Its path, or that of the saved depth."""
    metric: bool
    """Whether the checkpoint's depth is in metres."""
    scale_source: str
    scores: Sequence[ImageScores]
    """Of each image."""
    baselines: Mapping[str, Scores]
    """What needs no network: baseline, baseline_scaled, and for sparse truth pixel_median, pixel_median_scaled."""
    ego_motion: EgoMotionErrors | None
    """Of the network; None where the clip has no poses or stands."""
    ego_motion_baseline: EgoMotionErrors | None
    """Of the clip's mean translation, without rotation: what the clip gives away."""

    @property
    def images(self) -> int:
        """How many images were judged."""
        return sum(bool(image.rows) for image in self.scores)

    @property
    def without_truth(self) -> int:
        """How many images were left out, because none of their truth counts."""
        return len(self.scores) - self.images

    @property
    def split(self) -> str:
        """Which images these are, see `split_hash`."""
        return split_hash([f"{image.clip} {image.frame}" for image in self.scores])

    @cached_property
    def rows(self) -> list[str]:
        """Of the network: plain, scaled, flip, flip_scaled; of saved depth the first two."""
        return list(next(image.rows for image in self.scores if image.rows))

    @property
    def row(self) -> str:
        """The row that the checkpoint stands for: plain if it is metric, else scaled."""
        return "plain" if self.metric else "scaled"

    @property
    def metrics(self) -> dict[str, Scores]:
        """The means over images, by row."""
        return {row: self._chosen(mean_scores(self.scores, row)) for row in self.rows}

    @cached_property
    def part_images(self) -> dict[str, int]:
        """How many images have each part, in the order of the protocol."""
        counts = parts_of(self.scores)
        return {
            part: counts[part] for part in part_names(self.protocol.ranges, self.protocol.classes) if part in counts
        }

    @cached_property
    def parts(self) -> dict[str, dict[str, Scores]]:
        """The means by part and by row; of what moves and the rest also the share too far."""

        def chosen(part: str, row: str) -> Scores:
            scores = mean_scores(self.scores, row, part)
            return self._chosen(scores) | ({"too_far": scores["too_far"]} if part in OF_MOTION else {})

        return {part: {row: chosen(part, row) for row in self.rows} for part in self.part_images}

    @property
    def boundaries(self) -> dict[str, Scores] | None:
        """Both boundary errors, pixels, by row; None where boundaries are not judged or there are none."""
        return mean_boundaries(self.scores) or None

    @property
    def class_means(self) -> dict[str, Scores] | None:
        """The means over classes, by row; None without labels."""
        means = {row: class_mean(self.scores, row, self.protocol.classes) for row in self.rows}
        return {row: self._chosen(scores) for row, scores in means.items() if scores is not None} or None

    @cached_property
    def intervals(self) -> dict[str, dict[str, tuple[float, float]]] | None:
        """95 % intervals by row and metric; None of a single clip."""
        found = {row: interval(self.scores, row) for row in self.rows}
        return {row: self._chosen(limits) for row, limits in found.items() if limits is not None} or None

    @property
    def units(self) -> int:
        """How many clips, drives or unrelated images there are."""
        return len({image.unit for image in self.scores if image.rows})

    def examples(self) -> list[ImageScores]:
        """The best, the median and the worst image by abs_rel, as far as there are as many."""
        images = ranked(self.scores, self.row)
        return [images[i] for i in dict.fromkeys((0, len(images) // 2, len(images) - 1))]

    def _chosen(self, scores: Mapping[str, Any]) -> dict[str, Any]:
        """The metrics that the protocol gives."""
        return {name: scores[name] for name in self.protocol.metrics}

    def to_json(self) -> dict[str, Any]:
        """The report as JSON holds it."""
        return {
            "protocol": self.protocol.name,
            "images": self.images,
            "images_without_truth": self.without_truth,
            "split": self.split,
            "metrics": self.metrics,
            **{row: self._chosen(scores) for row, scores in self.baselines.items()},
            "parts": self.parts,
            "part_images": self.part_images,
            "class_mean": self.class_means,
            "boundaries": self.boundaries,
            "intervals": self.intervals
            and {
                row: {name: list(limits) for name, limits in scores.items()} for row, scores in self.intervals.items()
            },
            "ego_motion": asdict(self.ego_motion) if self.ego_motion else None,
            "ego_motion_baseline": asdict(self.ego_motion_baseline) if self.ego_motion_baseline else None,
            "settings": self.protocol.settings(),
            "data": self.data,
            "checkpoint": {"path": self.checkpoint, "metric": self.metric, "scale_source": self.scale_source},
        }

    def table(self) -> str:
        """The report as text: what the protocol fixes, the scores, parts, ego-motion."""
        return f"{self.protocol.describe()}\n\n{self.findings()}"

    def findings(self) -> str:
        """The same without the protocol."""
        left_out = f" ({self.without_truth} more have no truth that counts)" if self.without_truth else ""
        rows = self.metrics | {row: self._chosen(scores) for row, scores in self.baselines.items()}
        return "\n".join(
            [
                f"{self.images} images of {self.data}{left_out}, split {self.split}",
                f"checkpoint {self.checkpoint}: depth is {depth_unit(self.metric, self.scale_source)}",
                "",
                *columns(self.protocol.metrics, rows),
                *self._interval_lines(),
                *self._part_lines(),
                *self._too_far_lines(),
                *self._boundary_lines(),
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
            for part in OF_MOTION
            if part in self.parts
        }
        title = "share of pixels predicted more than 1.5 times too far, on what moves and on the rest"
        return ["", title, "", *columns(self.rows, parts)] if parts else []

    def _boundary_lines(self) -> list[str]:
        if self.boundaries is None:
            return []
        title = "depth boundaries: distance to the true ones and from them, pixels"
        return ["", title, "", *columns(BoundaryErrors._fields, self.boundaries)]

    def _part_lines(self) -> list[str]:
        parts = {part: {row: scores["abs_rel"] for row, scores in rows.items()} for part, rows in self.parts.items()}
        if self.class_means is not None:
            parts["mean of classes"] = {row: scores["abs_rel"] for row, scores in self.class_means.items()}
        if not parts:
            return []
        header, *lines = columns(self.rows, parts)
        named = [f"{line}{self.part_images.get(part, self.images):>8}" for part, line in zip(parts, lines, strict=True)]
        return [
            "",
            "abs_rel by distance, at depth edges, of what moves and of classes, with the number of images",
            "",
            f"{header}{'images':>8}",
            *named,
        ]

    def _ego_motion_lines(self) -> list[str]:
        if self.ego_motion is None or self.ego_motion_baseline is None:
            return []
        both = {"network": self.ego_motion, "baseline": self.ego_motion_baseline}
        rows = {
            "translation": "error as a share of the distance traveled",
            "translation_scaled": "the same after one factor for all motions",
            "scale": "that factor",
            "length_ratio": "mean length, predicted over measured",
            "rotation": "error, degrees a frame",
        }
        header, *lines = columns(list(both), {row: {n: getattr(e, row) for n, e in both.items()} for row in rows})
        return [
            "",
            f"ego-motion over {self.ego_motion.motions} motions, {self.ego_motion.distance:.1f} m; "
            "the baseline is their mean translation without rotation",
            "",
            header,
            *(f"{line}  {meaning}" for line, meaning in zip(lines, rows.values(), strict=True)),
        ]


def columns(names: Sequence[str], rows: Mapping[str, Scores]) -> list[str]:
    """A table as lines: the names of the columns, then each row's numbers."""
    width = max(10, *(len(name) + 2 for name in names))
    header = f"{'':<20}" + "".join(f"{name:>{width}}" for name in names)
    return [header, *(f"{row:<20}" + "".join(f"{rows[row][n]:>{width}.4f}" for n in names) for row in rows)]


def text(reports: Sequence[Report]) -> str:
    """The reports as text: the protocol once; of several, first their scores side by side."""
    if len(reports) == 1:
        return reports[0].table()
    metrics = reports[0].protocol.metrics
    lines = []
    for row in reports[0].rows:
        scores = {report.checkpoint: report.metrics[row] for report in reports if row in report.rows}
        side_by_side = [
            f"{line}  {name}"
            for name, line in zip(
                scores, columns(metrics, {str(i): s for i, s in enumerate(scores.values(), 1)})[1:], strict=True
            )
        ]
        lines += ["", row, columns(metrics, {})[0], *side_by_side]
    return "\n".join([reports[0].protocol.describe(), *lines, *(f"\n{report.findings()}" for report in reports)])


def write_reports(path: Path, reports: Sequence[Report]) -> None:
    """Write the JSON: of one report the report itself; a failure leaves what was there."""
    if len(reports) == 1:
        write_json(path, reports[0].to_json())
    else:
        write_json(path, {"protocol": reports[0].protocol.name, "reports": [report.to_json() for report in reports]})
