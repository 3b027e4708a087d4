"""The callback that skips optimizer steps whose gradient is not finite, and names the frames of their batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch.distributed
from torch.optim import Optimizer

from packdepth.errors import InputError
from packdepth.objectives.objective import remedy
from packdepth.optimization.guard import MAX_SKIPPED, GradientGuard
from packdepth.records import Batch
from packdepth.training.module import DepthModule

NAMED = 8  # maximum number of frames that a line names


class Steps(pl.Callback):
    """Callback that clips gradients, and skips the steps of those that are not finite.

    A skipped step changes neither the weights nor the state of the optimizer. It counts as a step of the schedule and
    of the order of the samples, so that all processes, and a resumed run, go on alike.

    Args:
        output: the folder of the run.
        clip_norm: maximum 2-norm of the gradient; None does not clip.
    """

    def __init__(self, output: Path, clip_norm: float | None) -> None:
        self.output, self.guard, self.taken = output, GradientGuard(clip_norm), True

    def state_dict(self) -> dict[str, Any]:
        """Return the numbers of skipped steps, for resuming."""
        return {"skipped": self.guard.skipped, "in_a_row": self.guard.in_a_row}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the numbers of skipped steps.

        Args:
            state: what `state_dict` returned.
        """
        self.guard.skipped, self.guard.in_a_row = state["skipped"], state["in_a_row"]

    def on_before_optimizer_step(self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: Optimizer) -> None:
        """Clip the gradient, or drop it.

        Args:
            trainer: the trainer.
            module: the module.
            optimizer: the optimizer.
        """
        self.taken = self.guard.check(optimizer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        """Print which frames made the step be skipped, if it was.

        Args:
            trainer: the trainer.
            module: the module.
            outputs: the loss and its terms; not used.
            batch: the batch.
            index: number of the batch in the epoch; not used.

        Raises InputError, which ends the run, if `MAX_SKIPPED` steps in a row were skipped.
        """
        if self.taken:
            return
        names = _names_of_all(trainer, batch.names)
        frames = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        if self.guard.in_a_row >= MAX_SKIPPED:
            assert isinstance(module, DepthModule)
            raise InputError(
                f"{self.output}: the gradient was not finite in {MAX_SKIPPED} steps in a row, the last one of the "
                f"frames {frames}; look at these frames; {remedy(module.objective.terms)}"
            )
        if trainer.is_global_zero:
            print(f"skipped    step {trainer.global_step}: its gradient is not finite; frames {frames}", flush=True)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Print how many steps were skipped, if any.

        Args:
            trainer: the trainer.
            module: the module.
        """
        if self.guard.skipped and trainer.is_global_zero:
            print(f"skipped    {self.guard.skipped} of {trainer.global_step} steps, whose gradients were not finite")


def _names_of_all(trainer: pl.Trainer, names: list[str]) -> list[str]:
    """Return the names of the frames of the batch of every process."""
    if trainer.world_size == 1:
        return names
    parts: list[list[str]] = [[] for _ in range(trainer.world_size)]
    torch.distributed.all_gather_object(parts, names)
    return [name for part in parts for name in part]
