"""Scores of single images, and what follows from them: means, parts, classes, confidence intervals.

Every number of a report is a mean over records of single images, so that it does not depend on how the images were
distributed over batches and processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from packdepth.evaluation.boundaries import BoundaryErrors
from packdepth.evaluation.choices import METRICS
from packdepth.evaluation.metrics import clamped, median_scale, metrics_from_means, pixel_errors
from packdepth.evaluation.protocol import Protocol
from packdepth.evaluation.sparsification import Sparsification, mean_sparsification

DRAWS = 1000  # resamples of the bootstrap; a usual number
SEED = 0  # of the bootstrap's random generator, so that intervals are reproducible
CONFIDENCE = 0.95  # probability that an interval holds the mean; the field's usual value

Scores = dict[str, float]


@dataclass(frozen=True)
class ImageScores:
    """The scores of one image. Without valid ground truth, `rows` is empty."""

    clip: str
    """The name of its clip."""
    frame: str
    """The name of its frame."""
    unit: str
    """The unit that the bootstrap draws: the image's drive or clip, or the image itself if the clip is independent."""
    rows: dict[str, dict[str, list[float]]]
    """The METRICS by row (plain, scaled, ...) and part (all, 0 to 10 m, ...)."""
    boundaries: dict[str, BoundaryErrors] = field(default_factory=dict)
    """Depth boundary errors by row. Only plain and flip, because scaling does not change them; empty if they are not
    evaluated."""
    sparsification: dict[str, Sparsification] = field(default_factory=dict)
    """The sparsification curves in the rows plain and scaled; empty without confidence."""


def scores_by_part(
    protocol: Protocol, depth: Tensor, truth: Tensor, parts: dict[str, Tensor], scaled: bool
) -> dict[str, list[float]]:
    """Return the METRICS of one image by part. The part "all" is the whole image.

    Args:
        protocol: the protocol, with the range, the kind of median and what is scaled by it.
        depth: predicted depth [H, W], metres.
        truth: ground truth [H, W], metres, NaN where it is invalid; at least one pixel is valid.
        parts: masks by name, [H, W] bool, within the valid pixels, none of them empty.
        scaled: whether the depth is multiplied by its median scale before it is clamped.
    """
    valid = ~truth.isnan()
    parts = {"all": valid, **parts}
    own = [name for name in parts if scaled and protocol.scaled_by_class and name in protocol.classes]
    errors = pixel_errors(evaluated_depth(protocol, depth, truth, scaled), truth[valid].double())  # [9, N]
    places = valid.flatten().nonzero()[:, 0]  # found once: to index by a mask finds them in each part again
    masks = torch.stack([mask.flatten()[places] for mask in parts.values()]).double()  # [P, N]
    means = masks @ errors.T / masks.sum(1, keepdim=True)  # [P, 9]
    for name in own:
        factor = median_scale(depth, truth, parts[name], protocol.median)
        d = clamped(depth[parts[name]].double() * factor, protocol.min_depth, protocol.cap)
        means[list(parts).index(name)] = pixel_errors(d, truth[parts[name]].double()).mean(1)
    return dict(zip(parts, metrics_from_means(means).tolist(), strict=True))


def evaluated_depth(protocol: Protocol, depth: Tensor, truth: Tensor, scaled: bool) -> Tensor:
    """Return the depth that is compared with the valid ground truth of an image, [N] float64: scaled and clamped.

    Args:
        protocol: the protocol, with the range and the kind of median.
        depth: predicted depth [H, W], metres.
        truth: ground truth [H, W], metres, NaN where it is invalid; at least one pixel is valid.
        scaled: whether the depth is multiplied by its median scale before it is clamped.
    """
    valid = ~truth.isnan()
    factor = median_scale(depth, truth, valid, protocol.median) if scaled else torch.ones_like(depth[0, 0])
    return clamped(depth[valid].double() * factor, protocol.min_depth, protocol.cap)


# --- over images --------------------------------------------------------------------------------------------------


def mean_scores(images: Sequence[ImageScores], row: str, part: str = "all") -> Scores:
    """Return each of the METRICS, averaged over the images that have a part; NaN if no image has it.

    Args:
        images: scores of images.
        row: the row, such as "plain".
        part: the part, such as "0 to 10 m".
    """
    values = [image.rows[row][part] for image in images if part in image.rows.get(row, {})]
    means = np.mean(values, axis=0) if values else np.full(len(METRICS), np.nan)
    return dict(zip(METRICS, means.tolist(), strict=True))


def mean_boundaries(images: Sequence[ImageScores]) -> dict[str, Scores]:
    """Return the depth boundary errors by row, averaged over the images whose ground truth has boundaries.

    Args:
        images: scores of images. If none of them has boundaries, the result is empty.
    """
    found = [image.boundaries for image in images if image.boundaries]
    known = [errors for errors in found if not np.isnan(errors["plain"]).any()]
    return {
        row: dict(zip(BoundaryErrors._fields, np.mean([errors[row] for errors in known], axis=0).tolist(), strict=True))
        for row in (known[0] if known else ())
    }


def mean_curves(images: Sequence[ImageScores]) -> dict[str, Sparsification]:
    """Return the sparsification curves by row, averaged over images; empty without confidence.

    Args:
        images: scores of images.
    """
    rows = next((image.sparsification for image in images if image.sparsification), {})
    means = {
        row: mean_sparsification([image.sparsification[row] for image in images if image.sparsification])
        for row in rows
    }
    return {row: mean for row, mean in means.items() if mean is not None}


def part_counts(images: Sequence[ImageScores]) -> dict[str, int]:
    """Return the number of images that have each part; "all" is left out.

    Args:
        images: scores of images.
    """
    counts: dict[str, int] = {}
    for image in images:
        for part in next(iter(image.rows.values()), {}):
            counts[part] = counts.get(part, 0) + 1
    return {part: count for part, count in counts.items() if part != "all"}


def class_mean(images: Sequence[ImageScores], row: str, classes: Sequence[str]) -> Scores | None:
    """Return the mean over classes of each class's mean over images; None if no image has a class.

    Args:
        images: scores of images.
        row: the row, such as "plain".
        classes: the names of the classes.
    """
    present = [name for name in classes if name in part_counts(images)]
    scores = [mean_scores(images, row, name) for name in present]
    return {name: float(np.mean([each[name] for each in scores])) for name in METRICS} if scores else None


def interval(images: Sequence[ImageScores], row: str) -> dict[str, tuple[float, float]] | None:
    """Return a bootstrapped 95 % confidence interval of the mean of each of the METRICS, reproducibly.

    The units of the images are drawn 1000 times with replacement; the bounds are percentiles of the means. With fewer
    than two units the result is None, because the frames of one clip say little about other clips.

    Args:
        images: scores of images.
        row: the row, such as "plain".
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
    """Return the images with scores, sorted by ascending abs_rel.

    Args:
        images: scores of images.
        row: the row, such as "plain".
    """
    return sorted((image for image in images if row in image.rows), key=lambda image: image.rows[row]["all"][0])
