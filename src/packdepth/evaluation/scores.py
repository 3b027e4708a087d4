"""Scores of single images, and what they come to: means, parts, classes, intervals.

Every number of a report is a mean of the same records, one an image, so that it does not depend on how the images
were shared out over batches and processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from packdepth.evaluation.boundaries import BoundaryErrors
from packdepth.evaluation.metrics import METRICS, clamped, from_means, median_scale, pixel_errors
from packdepth.evaluation.protocols import Protocol

DRAWS, SEED = 1000, 0  # of the bootstrap
CONFIDENCE = 0.95

Scores = dict[str, float]


@dataclass(frozen=True)
class ImageScores:
    """One judged image. Without truth that counts, `rows` is empty."""

    clip: str
    frame: str
    unit: str
    """What it was drawn with: its drive or clip, or itself where a clip's images are unrelated."""
    rows: dict[str, dict[str, list[float]]]
    """The METRICS by row (plain, scaled, ...) and part (all, 0 to 10 m, ...)."""
    boundaries: dict[str, BoundaryErrors] = field(default_factory=dict)
    """By row, plain and flip alone: the scale does not change them. Empty where boundaries are not judged."""


def scores_by_part(
    protocol: Protocol, depth: Tensor, truth: Tensor, parts: dict[str, Tensor], scaled: bool
) -> dict[str, list[float]]:
    """The METRICS of one image by part; "all" is the whole of it.

    Args:
        protocol: with the range, the median and what is scaled by it.
        depth: [H, W] metres, predicted.
        truth: [H, W] metres, NaN where it does not count; at least one pixel does.
        parts: by name, [H, W] bool, within the truth that counts, none of them empty.
        scaled: multiply the depth by its median scale, before the clamp.
    """
    valid = ~truth.isnan()
    parts = {"all": valid, **parts}
    own = [name for name in parts if scaled and protocol.scaled_by_class and name in protocol.classes]
    factor = median_scale(depth, truth, valid, protocol.median) if scaled else torch.ones_like(depth[0, 0])
    t = truth[valid].double()
    errors = pixel_errors(clamped(depth[valid].double() * factor, protocol.min_depth, protocol.cap), t)  # [9, N]
    masks = torch.stack([mask[valid] for mask in parts.values()]).double()  # [P, N]
    means = masks @ errors.T / masks.sum(1, keepdim=True)
    for name in own:
        factor = median_scale(depth, truth, parts[name], protocol.median)
        d = clamped(depth[parts[name]].double() * factor, protocol.min_depth, protocol.cap)
        means[list(parts).index(name)] = pixel_errors(d, truth[parts[name]].double()).mean(1)
    return dict(zip(parts, from_means(means).tolist(), strict=True))


# --- over images --------------------------------------------------------------------------------------------------


def mean_scores(images: Sequence[ImageScores], row: str, part: str = "all") -> Scores:
    """Each of the METRICS, averaged over the images that have the part; NaN if none has."""
    values = [image.rows[row][part] for image in images if part in image.rows.get(row, {})]
    means = np.mean(values, axis=0) if values else np.full(len(METRICS), np.nan)
    return dict(zip(METRICS, means.tolist(), strict=True))


def mean_boundaries(images: Sequence[ImageScores]) -> dict[str, Scores]:
    """Both boundary errors by row, averaged over the images whose truth has boundaries; empty if none has."""
    found = [image.boundaries for image in images if image.boundaries]
    judged = [errors for errors in found if not np.isnan(errors["plain"]).any()]
    return {
        row: dict(
            zip(BoundaryErrors._fields, np.mean([errors[row] for errors in judged], axis=0).tolist(), strict=True)
        )
        for row in (judged[0] if judged else ())
    }


def parts_of(images: Sequence[ImageScores]) -> dict[str, int]:
    """The parts but "all", each with the number of images that have it."""
    counts: dict[str, int] = {}
    for image in images:
        for part in next(iter(image.rows.values()), {}):
            counts[part] = counts.get(part, 0) + 1
    return {part: count for part, count in counts.items() if part != "all"}


def class_mean(images: Sequence[ImageScores], row: str, classes: Sequence[str]) -> Scores | None:
    """The mean over classes of each class's mean over images; None without labels."""
    there = [name for name in classes if name in parts_of(images)]
    scores = [mean_scores(images, row, name) for name in there]
    return {name: float(np.mean([each[name] for each in scores])) for name in METRICS} if scores else None


def interval(images: Sequence[ImageScores], row: str) -> dict[str, tuple[float, float]] | None:
    """A 95 % interval of each mean: its percentiles over 1000 draws of the units with replacement, always the same.

    None with fewer than two units: the frames of one clip say little of other clips.
    """
    counted = [image for image in images if row in image.rows]
    units = sorted({image.unit for image in counted})
    if len(units) < 2:
        return None
    values = np.array([image.rows[row]["all"] for image in counted])  # [N, 9]
    member = np.array([[image.unit == unit for image in counted] for unit in units], dtype=np.float64)  # [U, N]
    draws = np.random.default_rng(SEED).multinomial(len(units), np.full(len(units), 1 / len(units)), DRAWS)
    means = draws @ (member @ values) / (draws @ member.sum(1))[:, None]  # [DRAWS, 9]
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return {name: (float(a), float(b)) for name, a, b in zip(METRICS, low, high, strict=True)}


def ranked(images: Sequence[ImageScores], row: str) -> list[ImageScores]:
    """The images that counted, the one with the least abs_rel first."""
    return sorted((image for image in images if row in image.rows), key=lambda image: image.rows[row]["all"][0])
