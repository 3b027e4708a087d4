"""Scores of depth on the demo's test drives: overall, by part of the image, and of constants of the training depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import torch

from packdepth.evaluation.parts import part_masks
from packdepth.evaluation.protocols.city import CITY
from packdepth.evaluation.scores import ImageScores, Scores, mean_scores, part_counts, scores_by_part
from packdepth.records import Clip, Frame

DISTANCES = (0, 10, 20, 40, 80)  # metres, bounds of ranges; fewer than the protocol's, for a short table
PROTOCOL = replace(CITY, ranges=DISTANCES, classes=())


def part_scores(frames: Iterable[Frame], predict: Callable[[Frame], np.ndarray]) -> dict[str, Scores]:
    """Return the scores of predicted depth by part of the image. Predictions are not scaled.

    Args:
        frames: frames with exact depth.
        predict: a function that returns the predicted depth of a frame, [H, W] metres.
    """
    images = []
    for frame in frames:
        assert frame.depth is not None
        truth = torch.from_numpy(frame.depth.read())
        truth = torch.where((truth > 0) & (truth < PROTOCOL.cap), truth, torch.nan)
        depth = torch.from_numpy(np.ascontiguousarray(predict(frame)))
        parts = part_masks(truth, frame, PROTOCOL.ranges, PROTOCOL.classes)
        scores = {"plain": scores_by_part(PROTOCOL, depth, truth, parts, scaled=False)}
        images.append(ImageScores("", frame.name, "", scores))
    return {part: mean_scores(images, "plain", part) for part in ("all", *part_counts(images))}


def constant_depths(clips: Iterable[Clip]) -> dict[str, np.ndarray]:
    """Return each pixel's mean, inverse mean and median of the training depth, [H, W] metres each.

    These baselines use no image. They use the ground truth of the training drives, which the network has not used.

    Args:
        clips: the training drives.
    """
    depths = np.stack([frame.depth.read() for clip in clips for frame in clip.frames if frame.depth is not None])
    known = np.where((depths > 0) & (depths < PROTOCOL.cap), depths, np.nan)
    known[:, np.isnan(known).all(0)] = PROTOCOL.cap  # pixels that show the sky in all frames
    return {
        "mean": np.nanmean(known, axis=0),
        "inverse mean": 1 / np.nanmean(1 / known, axis=0),
        "median": np.nanmedian(known, axis=0),
    }
