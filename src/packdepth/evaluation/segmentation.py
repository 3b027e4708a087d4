"""How well classes are told: intersection over union."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def confusion(predicted: Tensor, truth: Tensor, classes: int) -> Tensor:
    """How many pixels of each true class (row) were called what (column): [K, K] int64.

    Args:
        predicted: class ids of any shape, all below `classes`.
        truth: the same; pixels with another id do not count.
        classes: K.
    """
    counts = truth < classes
    pairs = truth[counts] * classes + predicted[counts]
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def class_iou(matrix: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Intersection over union, TP / (TP + FP + FN), of each class that the truth holds, by name."""
    hits = matrix.diagonal()
    union = matrix.sum(0) + matrix.sum(1) - hits
    return {name: float(hits[i] / union[i]) for i, name in enumerate(names) if matrix[i].sum() > 0}


def mean_iou(iou: dict[str, float]) -> float:
    """Over classes; each counts the same."""
    return sum(iou.values()) / len(iou)
