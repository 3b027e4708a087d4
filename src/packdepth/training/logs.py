"""The logs of a run: `metrics.csv`, and the curves and image panels of TensorBoard."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from packdepth.color import color_range, colorize
from packdepth.errors import InputError
from packdepth.files import replacing
from packdepth.geometry.depth import depth_from_inverse
from packdepth.geometry.warp import synthesize
from packdepth.objectives.objective import KEEP_FINITE, of_others, remedy
from packdepth.objectives.term import Term
from packdepth.records import Batch, Outputs
from packdepth.training.module import FINITE, DepthModule


class RunLog(pl.Callback):
    """Callback that collects the losses of an epoch and writes `metrics.csv` and TensorBoard's curves and panels.

    Rows are written at the end of an epoch, together with its checkpoint, so that the file of a resumed run holds each
    step once. Losses are averaged over all processes. A loss that is not finite ends the run in every process.

    Args:
        output: the folder of the run.

    Attributes:
        rows: losses of the steps of the current epoch, by name.
        last: the latest batch.
    """

    def __init__(self, output: Path) -> None:
        self.path = output / "metrics.csv"
        self.rows: list[dict[str, float]] = []
        self.last: Batch | None = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Keep the rows of the steps before the checkpoint that the run resumes from.

        Args:
            trainer: the trainer.
            module: the module.
        """
        if not trainer.is_global_zero:
            return
        rows = []
        if trainer.global_step > 0 and self.path.exists():
            rows = [row for row in _read_rows(self.path) if int(row["step"]) <= trainer.global_step]
        _write_rows(self.path, rows)

    def mean_loss(self) -> float:
        """Return the mean loss of the current epoch so far, or 0 before its first step.

        >>> RunLog(Path("run")).mean_loss()
        0.0
        """
        return sum(row["loss"] for row in self.rows) / max(len(self.rows), 1)

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Forget the losses of the epoch before.

        Args:
            trainer: the trainer.
            module: the module.
        """
        self.rows = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        """Record the losses of a step. Raises InputError if the loss is not finite.

        Args:
            trainer: the trainer.
            module: the module.
            outputs: the loss and its terms by name, and more, see `DepthModule.training_step`.
            batch: the batch.
            index: number of the batch in the epoch.
        """
        names = list(outputs)
        values = trainer.strategy.reduce(torch.stack([outputs[name].detach() for name in names]), reduce_op="mean")
        assert isinstance(values, Tensor)
        found = dict(zip(names, values.tolist(), strict=True))
        are_finite = found.pop(FINITE) == 1
        self.rows.append({"step": float(trainer.global_step), "epoch": float(trainer.current_epoch)} | found)
        self.last = batch
        assert isinstance(module, DepthModule)
        check_loss(self.rows[-1], module.objective.terms, are_finite, self.path.parent)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write the rows and the panel of an epoch.

        Args:
            trainer: the trainer.
            module: the module.

        Raises InputError for a term that was 0 in all steps, if that means that nothing it compares was valid.
        """
        assert isinstance(module, DepthModule)
        check_compared(module.objective.terms, self.rows, self.path.parent)
        assert self.last is not None
        module.eval()
        with torch.no_grad():  # in all processes, which may share the weights
            picture = panel(module.calibrated(self.last), module(self.last))
        module.train()
        if not trainer.is_global_zero:
            return
        _write_rows(self.path, [*_read_rows(self.path), *map(_texts, self.rows)])
        writer = _tensorboard(trainer)
        for row in self.rows:
            for name, value in row.items():
                if name not in ("step", "epoch"):
                    writer.add_scalar(f"train/{name}", value, int(row["step"]))
        for group in trainer.optimizers[0].param_groups:
            writer.add_scalar(f"learning_rate/{group['name']}", group["lr"], trainer.global_step)
        writer.add_image("train/panel", picture, trainer.global_step, dataformats="HWC")


def check_loss(row: Mapping[str, float], terms: Sequence[Term], are_finite: bool, output: Path) -> None:
    """Raise InputError, which ends the run and names the terms that are not finite, if the loss of a step is not.

    Args:
        row: the step, the loss and the values of the terms, by their names in `metrics.csv`.
        terms: the terms of the objective.
        are_finite: whether all predictions are finite. Then a term of another project is at fault by itself.
        output: folder of the run.

    >>> check_loss({"step": 3.0, "loss": 0.5}, [], True, Path("run"))
    """
    wrong = [term for term in terms if not math.isfinite(row[term.kind])]
    what = f"the loss of step {row['step']:.0f}"
    if wrong and are_finite and of_others(wrong) == wrong:
        kinds = " and ".join(f"'{term.kind}'" for term in wrong)
        raise InputError(f"{output}: {what} is {row['loss']} by its term {kinds}; {KEEP_FINITE}, and train again")
    found = f" (not finite: {', '.join(term.kind for term in wrong)})" if wrong else ""
    if not math.isfinite(row["loss"]):
        raise InputError(f"{output}: {what} is {row['loss']}{found}; {remedy(())}")


def check_scores(scores: Mapping[str, float], terms: Sequence[Term], output: Path, epoch: int) -> None:
    """Raise InputError, which ends the run, if a score of an epoch is not finite.

    Args:
        scores: the scores by name.
        terms: the terms of the objective.
        output: folder of the run.
        epoch: number of the epoch, from 1.

    >>> check_scores({"val/loss": 0.5}, [], Path("run"), 1)
    """
    for name, value in scores.items():
        if not math.isfinite(value):
            raise InputError(f"{output}: {name} of epoch {epoch} is {value}; {remedy(terms)}")


def check_compared(terms: Sequence[Term], rows: Sequence[Mapping[str, float]], output: Path) -> None:
    """Raise InputError, which ends the run, for a term that compared nothing in all steps of an epoch.

    Args:
        terms: the terms of the objective.
        rows: the values of the terms in each step, by their kind.
        output: folder of the run.

    >>> from packdepth.objectives import Photometric
    >>> check_compared([Photometric()], [{"photometric": 0.0}, {"photometric": 0.2}], Path("run"))
    """
    for term in terms:
        if term.zero_means and term.weight > 0 and rows and not any(row[term.kind] for row in rows):
            raise InputError(
                f"{output}: the term {term.kind} was 0 in all {len(rows)} steps of an epoch, so that it taught "
                f"nothing: {term.zero_means}; see packdepth data check of the training data, or remove the term"
            )


def _texts(row: dict[str, float]) -> dict[str, str]:
    """Convert a row to text: counts as integers, values with all their digits."""
    return {name: str(int(value)) if name in ("step", "epoch") else repr(value) for name, value in row.items()}


def _read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of metrics.csv."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    """Write all rows of metrics.csv: a row that is added to a file may be cut off by a kill, one of a new file not."""
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        if rows:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)


def _tensorboard(trainer: pl.Trainer) -> Any:
    logger = next(logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger))
    return logger.experiment


def panel(batch: Batch, outputs: Outputs) -> np.ndarray:
    """Return a picture of the first sample of a batch: image, inverse depth and warped context frames: [h, W, 3] uint8.

    They stand one above the other. Pixels that are not visible in a context frame are black.

    Args:
        batch: the batch.
        outputs: the outputs of the networks for it.
    """
    depth = depth_from_inverse(outputs.inv_depths[0].float())
    rows = [_pixels(batch.image[0])]
    inv_depth = outputs.inv_depths[0][0, 0].float().cpu().numpy()
    rows.append(colorize(inv_depth, *color_range([inv_depth])))
    for i in range(batch.context.shape[1]):
        warped = synthesize(batch.context[:, i], depth, outputs.T_context_target[:, i], batch.camera)
        rows.append(_pixels((warped.image * warped.valid)[0]))
    return np.concatenate(rows)


def _pixels(image: Tensor) -> np.ndarray:
    """Convert an image [3, H, W] in [0, 1] to [H, W, 3] uint8."""
    return (image.permute(1, 2, 0).clamp(0, 1) * 255).round().byte().cpu().numpy()
