"""Options that several networks share: types, defaults, the block of sparse inputs. Importing this takes no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from packdepth.blocks import Closed

Unit = Annotated[float, Field(ge=0, le=1)]
Pattern = Literal["random", "grid", "blocks"]
Layers = Literal[18, 34, 50]
"""Number of layers of a ResNet encoder."""
LAYERS: Layers = 18  # default number of layers of an encoder: that of monodepth2
INITIAL_DEPTH = 12.0  # metres: a typical depth of streets, from which short trainings converge


class Sparsity(Closed):
    """Pixels that the ego-motion network does not get in training (docs/explanation/ego_motion.md).

    For each pair of frames a share of dropped pixels is drawn between 0 and a limit. The limit changes from `start` to
    `end` in the course of the training.

    >>> Sparsity(pattern="grid").start
    0.8
    """

    pattern: Pattern = "random"
    """Dropped pixels: single ones; all but the crossings of a grid of lines; squares of 16 pixels."""
    start: Unit = 0.8
    """The limit at the beginning of the training."""
    end: Unit = 0.0
    """The limit at the end of the training."""
    same: bool = False
    """Drop the same pixels in both frames of a pair; otherwise each frame has its own."""
