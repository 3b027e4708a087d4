"""Collapse of a training: depth that becomes the same everywhere."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from packdepth.checkpoint import MIN_CHECKED, agrees
from packdepth.config import Run
from packdepth.inference.predictor import Predictor, load
from packdepth.optimization.muon import BOUNDING_DECAY
from packdepth.progress import counted
from packdepth.records import Clip
from packdepth.scale.measure import motion_lengths
from packdepth.training.scale_check import scale_checks

WINDOWS = 10  # parts of a training whose mean losses are compared
MIN_STEPS = 70  # of a training that is judged: good ones seemed to rise (`has_risen`) after up to 63 steps, by noise
RISE = 1.2  # factor from the lowest to the last of these means from which a loss has risen; collapses had 1.8 and 4
MOVED = 2.0  # factor from the depth that a training starts from, above which flat depth was not left at the start
FLAT = 1.05  # ratio of the 95th to the 5th percentile of depth below which it is the same everywhere; streets have 10
HOLD_MOTION = frozenset({"velocity", "poses", "stereo", "camera_height"})  # terms beside which no ego-motion vanishes
PAIRS = 10  # number of pairs of frames whose motion is looked at
MIN_PAIRS = 5  # the smallest number of them that tells how the camera moves; chosen
# part of a motion along the optical axis up to which a camera moves along a flat scene. With flat depth it was at most
# 0.08 for a rendered camera that looks straight down, and 0.26 to 0.99 on rendered and real roads
AHEAD = 0.2
IMAGES = 3  # number of images of the longest clip that are looked at


@dataclass(frozen=True)
class Flat:
    """Depth that is the same everywhere."""

    sentence: str  # what was found, and what to do
    collapsed: bool  # whether the training has collapsed; if not, the scene may be flat, or the steps are too few


def flat_depth(folder: Path, run: Run, clips: Sequence[Clip], device: str) -> Flat | None:
    """Return what is wrong, or may be, with a checkpoint whose depth is the same everywhere; None if it is not.

    Flat depth is where a training starts, too; so it is a collapse only if the loss has risen as well, or if depth is
    far from where it started. Neither tells anything in the first `MIN_STEPS` steps. Depth far from its start may be
    right, though, for a camera that looks straight down: see `_may_be_flat`.

    Args:
        folder: the checkpoint, beside the `metrics.csv` of its run.
        run: its run.
        clips: the clips that the run trained on.
        device: the device to predict on.
    """
    losses, predictor = _losses(folder), load(folder, device)
    depth = _depth_everywhere(predictor, clips)
    if depth is None:
        return None
    if len(losses) < MIN_STEPS:
        return Flat(
            f"{folder}: depth is {depth:.3g} m everywhere, but {counted(len(losses), 'step')} are too few to tell "
            f"whether the training collapses; {MIN_STEPS} or more tell it",
            collapsed=False,
        )
    start = getattr(run.networks.depth, "initial_depth", None)  # metres, of the untrained network, if it is known
    if has_risen(losses):
        cause = "the loss rose"
    elif start is None or 1 / MOVED < depth / start < MOVED:
        return None
    elif _may_be_flat(predictor, clips):
        return Flat(
            f"{folder}: depth is {depth:.3g} m everywhere: that is right for a flat scene that the camera faces and "
            f"moves along, such as the ground straight below; of any other scene nothing was learned",
            collapsed=False,
        )
    else:
        cause = f"it started at {start:.3g} m"
    return Flat(
        f"{folder}: the training collapsed: {cause}, and depth is {depth:.3g} m everywhere; {_advice(run)}",
        collapsed=True,
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


def _may_be_flat(predictor: Predictor, clips: Sequence[Clip]) -> bool:
    """Return whether a scene may really have flat depth: the camera moves along it, and no measured length denies it.

    Motions are those that flat depth needs to explain the images. On roads they lead toward the flat scene, whose depth
    stays the same nevertheless, so that it cannot be one.
    """
    ahead = [pair.ahead for pair in motion_lengths(predictor, clips, frames=PAIRS)]
    if len(ahead) < MIN_PAIRS or float(np.median(np.abs(ahead))) > AHEAD:
        return False
    meta = predictor.meta
    checks = [] if meta.scale_source == "none" else scale_checks(predictor, clips, held_out=[])
    judged = meta.model_copy(update={"scale_checks": checks}).judged_checks
    return all(agrees(check) for check in judged if check.frames >= MIN_CHECKED)


def _depth_everywhere(predictor: Predictor, clips: Sequence[Clip]) -> float | None:
    """Return the depth, in metres, that networks predict everywhere; None if it differs from place to place."""
    clip = max(clips, key=lambda clip: len(clip.frames))
    chosen = np.linspace(0, len(clip.frames) - 1, IMAGES).round().astype(int)
    images = replace(clip, frames=tuple(clip.frames[i] for i in chosen))
    depths = [prediction.depth for prediction in predictor.predict_clip(images)]
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
