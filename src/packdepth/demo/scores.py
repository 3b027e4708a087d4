"""How good depth is on test drives: overall, on what moves and by distance, next to constants of training depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import torch

from packdepth.evaluation.parts import part_masks
from packdepth.evaluation.protocols import find_protocol
from packdepth.evaluation.scores import ImageScores, Scores, mean_scores, parts_of, scores_by_part
from packdepth.records import Clip, Frame

CAP = 80.0  # metres
DISTANCES = (0, 10, 20, 40, 80)  # metres
PROTOCOL = replace(find_protocol("city"), cap=CAP, ranges=DISTANCES, classes=())


def judge(frames: Iterable[Frame], predict: Callable[[Frame], np.ndarray]) -> dict[str, Scores]:
    """The scores by part of depth [H, W] (metres) that `predict` gives for each frame with exact depth, not scaled."""
    images = []
    for frame in frames:
        assert frame.depth is not None
        truth = torch.from_numpy(frame.depth.read())
        truth = torch.where((truth > 0) & (truth < CAP), truth, torch.nan)
        depth = torch.from_numpy(np.ascontiguousarray(predict(frame)))
        parts = part_masks(truth, frame, PROTOCOL.ranges, PROTOCOL.classes)
        scores = {"plain": scores_by_part(PROTOCOL, depth, truth, parts, scaled=False)}
        images.append(ImageScores("", frame.name, "", scores))
    return {part: mean_scores(images, "plain", part) for part in ("all", *parts_of(images))}


def constants(clips: Iterable[Clip]) -> dict[str, np.ndarray]:
    """What looks at no image: each pixel's mean, inverse mean and median [H, W] of the training depth, metres.

    They use the truth of the training drives, which self-supervised training does not.
    """
    depths = np.stack([frame.depth.read() for clip in clips for frame in clip.frames if frame.depth is not None])
    known = np.where((depths > 0) & (depths < CAP), depths, np.nan)
    known[:, np.isnan(known).all(0)] = CAP  # pixels that only ever saw the sky
    return {
        "mean": np.nanmean(known, axis=0),
        "inverse mean": 1 / np.nanmean(1 / known, axis=0),
        "median": np.nanmedian(known, axis=0),
    }
