"""How good depth is on test drives: overall, on what moves and by distance, next to constants of training depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from packdepth.evaluation.metrics import DepthMetrics
from packdepth.records import Clip, Frame

CAP = 80.0  # metres
DISTANCES = ((0, 10), (10, 20), (20, 40), (40, 80))  # metres
LEAST_PIXELS = 30  # of an image, for it to count in a part

Scores = dict[str, float]


@dataclass
class Parts:
    """The metrics of one kind of prediction over all pixels, over what moves, and over ranges of distance."""

    metrics: dict[str, DepthMetrics] = field(
        default_factory=lambda: {
            name: DepthMetrics(cap=CAP) for name in ("all", "moving", *(f"{a} to {b} m" for a, b in DISTANCES))
        }
    )

    def update(self, depth: np.ndarray, truth: np.ndarray, moving: np.ndarray) -> None:
        """Add an image: depth and truth [H, W] in metres, moving [H, W] bool. Nothing is scaled."""
        masks = {"all": np.ones_like(moving), "moving": moving}
        masks |= {f"{a} to {b} m": (truth >= a) & (truth < b) for a, b in DISTANCES}
        for name, mask in masks.items():
            counts = mask & (truth > 0) & (truth < CAP)
            if counts.sum() >= LEAST_PIXELS:
                self.metrics[name].update(_batch(depth), _batch(np.where(counts, truth, 0)))

    def scores(self) -> dict[str, Scores]:
        """Each part's metrics by name; parts that no image has are left out."""
        computed = {name: metrics.compute() for name, metrics in self.metrics.items() if metrics.images}
        return {name: {key: value.item() for key, value in scores.items()} for name, scores in computed.items()}


def _batch(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None, None]


def judge(frames: Iterable[Frame], predict: Callable[[Frame], np.ndarray]) -> dict[str, Scores]:
    """The scores of depth [H, W] (metres) that `predict` gives for each frame with exact depth."""
    parts = Parts()
    for frame in frames:
        assert frame.depth is not None
        assert frame.moving is not None
        parts.update(predict(frame), frame.depth.read(), frame.moving.read())
    return parts.scores()


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
