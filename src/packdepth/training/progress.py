"""The progress of a training run: a bar on a terminal, lines elsewhere, and a line for each epoch."""

from __future__ import annotations

import sys
import time
from typing import Any

import lightning.pytorch as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from packdepth.config import Run
from packdepth.progress import MIN_SECONDS, Pace, clock
from packdepth.terminal import raw
from packdepth.training.logs import RunLog


class RunProgress(pl.Callback):
    """Callback that prints epoch, loss, images per second and the remaining time of the whole run.

    Args:
        run: the run.
        log: the log with the losses of the run.
    """

    def __init__(self, run: Run, log: RunLog) -> None:
        self.run, self.run_log = run, log
        self.console = Console(file=raw(sys.stdout))
        self.pace = Pace(total=0)
        self.epoch_started = 0.0
        self.bar: Progress | None = None
        self.task = TaskID(0)

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Start the clock and, on a terminal, the bar.

        Args:
            trainer: the trainer.
            module: the module.
        """
        self.pace = Pace(int(trainer.estimated_stepping_batches), trainer.global_step)
        if trainer.is_global_zero and self.console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[status]}"),
                TimeRemainingColumn(compact=True),
                console=self.console,
            )
            self.task = self.bar.add_task("training", total=self.pace.total, completed=trainer.global_step, status="")
            self.bar.start()

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Start the clock of the epoch, for its images per second.

        Args:
            trainer: the trainer.
            module: the module.
        """
        self.epoch_started = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Advance the bar or, without a terminal, print a line from time to time.

        Args:
            trainer: the trainer.
            module: the module.
            outputs: the loss and its terms.
            batch: the batch.
            index: number of the batch in the epoch.
        """
        if self.bar is not None:
            self.bar.update(
                self.task,
                completed=trainer.global_step,
                description=f"epoch {trainer.current_epoch + 1}/{self.run.training.epochs}",
                status=f"loss {self.run_log.mean_loss():.4f}  {self._rate():.1f} images/s",
            )
        elif trainer.is_global_zero and self.pace.is_due():
            self._print_line(trainer, f"  step {trainer.global_step}/{self.pace.total}")

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        index: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Print a line from time to time without a terminal, so that a long validation is no silence.

        Args:
            trainer: the trainer.
            module: the module.
            outputs: the loss.
            batch: the batch.
            index: number of the batch in the validation.
            dataloader_idx: number of the loader.
        """
        if self.bar is None and trainer.is_global_zero and self.pace.is_due():
            batches = trainer.num_val_batches[dataloader_idx]
            self._print_line(
                trainer, f"  step {trainer.global_step}/{self.pace.total}  validation {index + 1}/{batches}"
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Print a line about the epoch.

        Args:
            trainer: the trainer.
            module: the module.
        """
        if not trainer.is_global_zero:
            return
        scores = "".join(f"  {name} {float(value):.4f}" for name, value in _validation(trainer))
        self._print_line(trainer, scores=scores)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Remove the bar.

        Args:
            trainer: the trainer.
            module: the module.
        """
        self._stop()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """Remove the bar.

        Args:
            trainer: the trainer.
            module: the module.
            exception: the exception that ends the run.
        """
        self._stop()

    def _print_line(self, trainer: pl.Trainer, step: str = "", scores: str = "") -> None:
        """Print epoch, step, loss, scores, images per second and the remaining time."""
        remaining = self.pace.seconds_left(trainer.global_step)
        self.console.print(
            f"epoch {trainer.current_epoch + 1}/{self.run.training.epochs}{step}  "
            f"loss {self.run_log.mean_loss():.4f}{scores}  {self._rate():.1f} images/s  {clock(remaining)} left",
            highlight=False,
            soft_wrap=True,
        )

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _rate(self) -> float:
        seconds = max(time.monotonic() - self.epoch_started, MIN_SECONDS)
        return len(self.run_log.rows) * self.run.training.batch_size / seconds


def _validation(trainer: pl.Trainer) -> list[tuple[str, Any]]:
    printed = ("val/loss", "val/abs_rel", "val/a1", "val/abs_rel_scaled", "val/a1_scaled")
    return [(name, trainer.callback_metrics[name]) for name in printed if name in trainer.callback_metrics]
