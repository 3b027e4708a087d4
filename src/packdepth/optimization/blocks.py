"""Bases of the blocks of optimizers and schedules in a run file. Importing this module takes no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Any

from packdepth.blocks import Block, ByKind, Family

if TYPE_CHECKING:
    from torch.optim import Optimizer

Groups = list[dict[str, Any]]
"""Parameter groups of an optimizer, as torch takes them.

Each is a dictionary `{"name": ..., "params": [...], "lr": ...}`: the name of its network ("depth" or "pose"), which for
pretrained parts goes on as in "depth, pretrained x 0.1"; a list of parameters; and their learning rate.
"""


class OptimizerBlock(Block, ABC):
    """The block of an optimizer: its options in a run file, and the function that makes the optimizer."""

    @property
    def bounds_weights(self) -> bool:
        """Whether the optimizer keeps the weights from growing without bound."""
        return False

    @abstractmethod
    def build(self, groups: Groups, fused: bool) -> Optimizer:
        """Return the optimizer, any of `torch.optim.Optimizer`.

        Args:
            groups: the parameters to train, a list of dictionaries with `name`, `params` and `lr`, as torch's
                optimizers take them. The schedule multiplies the learning rates.
            fused: whether to use torch's fused implementation; an optimizer without one ignores it.
        """


class Schedule(Block, ABC):
    """A schedule of the learning rate: its options in a run file, and the multiplier at each step."""

    @abstractmethod
    def multiplier(self, step: int, steps: int, epochs: int) -> float:
        """Return the number that the learning rates are multiplied by.

        Args:
            step: number of finished steps, from 0 to `steps`.
            steps: number of steps of the whole training.
            epochs: number of epochs of the whole training.

        Returns:
            A finite number, at least 0.
        """


_HOME = ("packdepth.optimization",)
OPTIMIZERS = Family(OptimizerBlock, "packdepth.optimizers", _HOME)  # type: ignore[type-abstract]
SCHEDULES = Family(Schedule, "packdepth.schedules", _HOME)  # type: ignore[type-abstract]
AnyOptimizer = Annotated[OptimizerBlock, ByKind(OPTIMIZERS, keep_unknown=True)]
AnySchedule = Annotated[Schedule, ByKind(SCHEDULES, keep_unknown=True)]
