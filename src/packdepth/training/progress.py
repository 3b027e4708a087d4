"""What a person sees of a training run: one bar on a terminal, one line an epoch in a log file."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from packdepth.clock import clock
from packdepth.config import Run
from packdepth.training.logs import RunLog


class RunProgress(pl.Callback):
    """Epoch, loss, images per second and remaining time of the whole run."""

    def __init__(self, run: Run, log: RunLog) -> None:
        self.run, self.run_log = run, log
        self.console = Console()
        self.started, self.first_step = 0.0, 0
        self.epoch_started = 0.0
        self.bar: Progress | None = None
        self.task = TaskID(0)

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Start the clock and, on a terminal, the bar."""
        self.started, self.first_step = time.monotonic(), trainer.global_step
        if trainer.is_global_zero and self.console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[status]}"),
                TimeRemainingColumn(compact=True),
                console=self.console,
            )
            total = int(trainer.estimated_stepping_batches)
            self.task = self.bar.add_task("training", total=total, completed=trainer.global_step, status="")
            self.bar.start()

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Begin an epoch's average."""
        self.epoch_started = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Move the bar."""
        if self.bar is not None:
            self.bar.update(
                self.task,
                completed=trainer.global_step,
                description=f"epoch {trainer.current_epoch + 1}/{self.run.training.epochs}",
                status=f"loss {self.run_log.mean_loss():.4f}  {self._rate():.1f} images/s",
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Say how the epoch went."""
        if not trainer.is_global_zero:
            return
        done = trainer.global_step - self.first_step
        left = int(trainer.estimated_stepping_batches) - trainer.global_step
        remaining = (time.monotonic() - self.started) / max(done, 1) * left
        scores = "".join(f"  {name} {float(value):.4f}" for name, value in _validation(trainer))
        self.console.print(
            f"epoch {trainer.current_epoch + 1}/{self.run.training.epochs}  "
            f"loss {self.run_log.mean_loss():.4f}{scores}  {self._rate():.1f} images/s  {clock(remaining)} left",
            highlight=False,
            soft_wrap=True,
        )

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Take the bar down."""
        self._stop()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """Take the bar down."""
        self._stop()

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _rate(self) -> float:
        return len(self.run_log.rows) * self.run.training.batch_size / max(time.monotonic() - self.epoch_started, 1e-9)


def _validation(trainer: pl.Trainer) -> list[tuple[str, Any]]:
    shown = ("val/loss", "val/abs_rel", "val/a1", "val/abs_rel_scaled", "val/a1_scaled")
    return [(name, trainer.callback_metrics[name]) for name in shown if name in trainer.callback_metrics]
