"""Collapse of a training: depth that becomes the same everywhere."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from packdepth.config import Run
from packdepth.inference.predictor import load
from packdepth.records import Clip

WINDOWS = 10  # parts of a training whose mean losses are compared
RISE = 1.2  # factor from the lowest to the last of these means from which a loss has risen; collapses had 1.8 and 4
MOVED = 2.0  # factor from the depth that a training starts from, above which flat depth was not left at the start
FLAT = 1.05  # ratio of the 95th to the 5th percentile of depth below which it is the same everywhere; streets have 10
HOLD_MOTION = frozenset({"velocity", "poses", "stereo", "camera_height"})  # terms beside which no ego-motion vanishes
IMAGES = 3  # number of images of the longest clip that are looked at


def collapsed(folder: Path, run: Run, clips: Sequence[Clip], device: str) -> str | None:
    """Return one sentence if the training that wrote a checkpoint has collapsed, else None.

    Depth that is the same everywhere is where a training starts, too; so the loss must have risen as well, or depth
    must be far from where it started.

    Args:
        folder: the checkpoint, beside the `metrics.csv` of its run.
        run: its run.
        clips: the clips that the run trained on.
        device: the device to predict on.
    """
    predictor = load(folder, device)
    clip = max(clips, key=lambda clip: len(clip.frames))
    chosen = np.linspace(0, len(clip.frames) - 1, IMAGES).round().astype(int)
    images = replace(clip, frames=tuple(clip.frames[i] for i in chosen))
    depths = [prediction.depth for prediction in predictor.predict_clip(images)]
    if not all(is_flat(depth) for depth in depths):
        return None
    depth, start = float(np.median(depths[0])), getattr(run.networks.depth, "initial_depth", None)
    if has_risen(_losses(folder.parent / "metrics.csv")):
        cause = "the loss rose, and "
    elif start is not None and not 1 / MOVED < depth / start < MOVED:
        cause = f"it started at {start:.3g} m, and "
    else:
        return None
    kinds = {term.kind for term in run.objective if term.weight}
    other_term = "with the term `abs_rel` in place of `reprojected`, "
    return (
        f"{folder}: the training collapsed: {cause}depth is {depth:.3g} m everywhere; train again "
        f"{other_term if 'reprojected' in kinds and not kinds & HOLD_MOTION else ''}with lower learning rates, or with "
        f"weight_decay: 0.5 of the optimizer muon; a camera that is carried or turns fast needs measured poses (term "
        f"`poses`), or smaller steps between frames"
    )


def has_risen(losses: np.ndarray) -> bool:
    """Return whether a loss has risen again by the end of a training.

    Args:
        losses: the loss [S] of each step.

    >>> has_risen(np.linspace(1, 0.5, 100)), has_risen(np.r_[np.linspace(1, 0.5, 50), np.full(50, 0.9)])
    (False, True)
    """
    means = np.array([part.mean() for part in np.array_split(losses, min(WINDOWS, len(losses)))])
    return bool(means[-1] > RISE * means.min())


def is_flat(depth: np.ndarray) -> bool:
    """Return whether depth is the same everywhere.

    Args:
        depth: depth [H, W], in metres.

    >>> is_flat(np.full((4, 6), 100.0)), is_flat(np.linspace(1, 20, 24).reshape(4, 6))
    (True, False)
    """
    near, far = np.percentile(depth, (5, 95))
    return bool(far < FLAT * near)


def _losses(path: Path) -> np.ndarray:
    """Return the loss [S] of each step of a run."""
    with path.open(newline="") as file:
        return np.array([float(row["loss"]) for row in csv.DictReader(file)])
