"""Collapse of a training: depth that becomes the same everywhere."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from packdepth.config import Run
from packdepth.inference.predictor import load
from packdepth.optimization.muon import BOUNDING_DECAY
from packdepth.progress import counted
from packdepth.records import Clip

WINDOWS = 10  # parts of a training whose mean losses are compared
MIN_STEPS = 70  # of a training that is judged: good ones seemed to rise (`has_risen`) after up to 63 steps, by noise
RISE = 1.2  # factor from the lowest to the last of these means from which a loss has risen; collapses had 1.8 and 4
MOVED = 2.0  # factor from the depth that a training starts from, above which flat depth was not left at the start
FLAT = 1.05  # ratio of the 95th to the 5th percentile of depth below which it is the same everywhere; streets have 10
HOLD_MOTION = frozenset({"velocity", "poses", "stereo", "camera_height"})  # terms beside which no ego-motion vanishes
IMAGES = 3  # number of images of the longest clip that are looked at


def collapsed(folder: Path, run: Run, clips: Sequence[Clip], device: str) -> str | None:
    """Return one sentence if the training that wrote a checkpoint has collapsed, else None.

    Depth that is the same everywhere is where a training starts, too; so the loss must have risen as well, or depth
    must be far from where it started. Neither tells anything in the first `MIN_STEPS` steps.

    Args:
        folder: the checkpoint, beside the `metrics.csv` of its run.
        run: its run.
        clips: the clips that the run trained on.
        device: the device to predict on.
    """
    losses = _losses(folder)
    if len(losses) < MIN_STEPS or (depth := _flat_depth(folder, clips, device)) is None:
        return None
    start = getattr(run.networks.depth, "initial_depth", None)
    if has_risen(losses):
        cause = "the loss rose, and "
    elif start is not None and not 1 / MOVED < depth / start < MOVED:
        cause = f"it started at {start:.3g} m, and "
    else:
        return None
    return f"{folder}: the training collapsed: {cause}depth is {depth:.3g} m everywhere; {_advice(run)}"


def too_few_steps(folder: Path, clips: Sequence[Clip], device: str) -> str | None:
    """Return one sentence if depth is the same everywhere after too few steps to tell a collapse, else None.

    Args:
        folder: the checkpoint, beside the `metrics.csv` of its run.
        clips: the clips that the run trained on.
        device: the device to predict on.
    """
    steps = len(_losses(folder))
    if steps >= MIN_STEPS or (depth := _flat_depth(folder, clips, device)) is None:
        return None
    return (
        f"{folder}: depth is {depth:.3g} m everywhere, but {counted(steps, 'step')} are too few to tell whether the "
        f"training collapses; {MIN_STEPS} or more tell it"
    )


def _advice(run: Run) -> str:
    """Return what to change in a run that has collapsed, without what it has already."""
    kinds = {term.kind for term in run.objective if term.weight}
    changes = ["with lower learning rates"]
    if "reprojected" in kinds and not kinds & HOLD_MOTION:
        changes.insert(0, "with the term `abs_rel` in place of `reprojected`")
    if not run.training.optimizer.bounds_weights:
        changes.append(f"with weight_decay: {BOUNDING_DECAY:g} of the optimizer muon")
    poses = "" if "poses" in kinds else "measured poses (term `poses`), or "
    return (
        f"train again {', or '.join(changes)}; a camera that is carried or turns fast needs {poses}smaller steps "
        f"between frames"
    )


def _flat_depth(folder: Path, clips: Sequence[Clip], device: str) -> float | None:
    """Return the depth, in metres, that a checkpoint predicts everywhere; None if it differs from place to place."""
    clip = max(clips, key=lambda clip: len(clip.frames))
    chosen = np.linspace(0, len(clip.frames) - 1, IMAGES).round().astype(int)
    images = replace(clip, frames=tuple(clip.frames[i] for i in chosen))
    depths = [prediction.depth for prediction in load(folder, device).predict_clip(images)]
    return float(np.median(depths[0])) if all(is_flat(depth) for depth in depths) else None


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


def _losses(folder: Path) -> np.ndarray:
    """Return the loss [S] of each step of the run of a checkpoint."""
    with (folder.parent / "metrics.csv").open(newline="") as file:
        return np.array([float(row["loss"]) for row in csv.DictReader(file)])
