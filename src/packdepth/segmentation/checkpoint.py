"""Checkpoints of segmentation networks. Importing this module does not import torch.

A checkpoint is a folder, as for depth networks: `weights.safetensors`, `run.yaml`, `meta.json`. Until the training has
finished, the folder also holds `trainer.ckpt`, the state for resuming the training.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from packdepth.blocks import CheckpointContext, Closed, parse
from packdepth.checkpoint import (
    META,
    RUN,
    TRAINER_STATE,
    WEIGHTS,
    check_finite,
    check_unchanged,
    check_writable,
    description_values,
    fill,
    write_weights_file,
)
from packdepth.disk import recover, replaced
from packdepth.errors import InputError
from packdepth.reading import read_state, read_weights_file
from packdepth.segmentation.run_file import SemanticRun

if TYPE_CHECKING:
    from torch import Tensor, nn

FREE_ON_RESUME = {"training.checkpoint_steps", "training.accelerator", "data.workers"}
"""Values of the run file that may change when a training is resumed, because no step depends on them.

`training.steps` is not one of them: the cosine of the learning rate ends with the last step, so that every step depends
on their number.
"""


class SemanticMeta(Closed):
    """The description of a checkpoint of a segmentation network."""

    packdepth: str
    """Version of packdepth that wrote the checkpoint."""
    created: str
    """Date and time of writing, UTC."""
    steps: int
    """Number of finished optimizer steps."""
    classes: list[str]
    """Names of the classes, by class id."""
    images: int
    """Number of training images."""
    mean_iou: float | None = None
    """Mean of `iou` over its classes; None without validation images and before the training has finished."""
    iou: dict[str, float] = {}
    """Intersection over union of each class that occurs in the validation images, over the pixels of all images."""


def write_checkpoint(
    folder: Path,
    run: SemanticRun,
    meta: SemanticMeta,
    weights: dict[str, Tensor],
    trainer: dict[str, Any] | None = None,
) -> None:
    """Write a checkpoint atomically: `folder` always holds a complete checkpoint, the old or the new one.

    Args:
        folder: the folder of the checkpoint.
        run: the run that trains the network.
        meta: the description of the checkpoint.
        weights: the state dict of the network.
        trainer: the state for resuming the training, which consists of tensors, numbers and texts; None if the
            training has finished.

    Raises InputError, and leaves the folder as it is, if weights are not finite.
    """
    check_writable(weights, folder)
    with replaced(folder) as temporary:
        write_weights_file(temporary / WEIGHTS, weights)
        (temporary / RUN).write_text(yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False))
        (temporary / META).write_text(meta.model_dump_json(indent=2) + "\n")
        if trainer is not None:
            import torch

            with (temporary / TRAINER_STATE).open(
                "wb"
            ) as file:  # its errors say that a disk is full, those of a path do not
                torch.save(trainer, file)


def read_description(folder: Path) -> tuple[SemanticRun, SemanticMeta]:
    """Return the run and the description of a checkpoint. Raises InputError if `folder` is no checkpoint.

    Sources of packages that are not installed are kept as `blocks.Unknown`: only training needs them.

    Args:
        folder: the folder of the checkpoint.
    """
    what, origin = "checkpoint of a segmentation network", "`packdepth semantics train` wrote"
    run_values, meta_values = description_values(folder, what, origin)
    run = parse(SemanticRun, run_values, str(folder / RUN), CheckpointContext(is_checkpoint=True))
    return run, parse(SemanticMeta, meta_values, str(folder / META))


def load_weights(network: nn.Module, folder: Path) -> None:
    """Load the weights of a checkpoint into a network.

    Raises InputError if they cannot be read, do not fit or are not finite.

    Args:
        network: the network, on any device.
        folder: the folder of the checkpoint.
    """
    weights = read_weights_file(folder / WEIGHTS)
    fill(network, weights, folder / WEIGHTS)
    check_finite(weights, folder / WEIGHTS)


def is_unfinished(folder: Path) -> bool:
    """Return whether a folder holds a training that has not finished and can be resumed.

    Args:
        folder: the output of the training; it need not exist.
    """
    recover(folder)
    return (folder / TRAINER_STATE).is_file()


def check_resumable(folder: Path, run: SemanticRun) -> None:
    """Raise InputError unless a folder holds a training of the same run, finished or not.

    Args:
        folder: the output of the training.
        run: the run to resume.
    """
    if not is_unfinished(folder) and not folder.exists():
        raise InputError(f"{folder}: holds no run to go on with; train without --resume")
    before, meta = read_description(folder)
    check_unchanged(folder, before, run, FREE_ON_RESUME)
    if meta.steps < before.training.steps and not is_unfinished(folder):
        raise InputError(f"{folder}: lacks {TRAINER_STATE}, without which it cannot go on; train into another --output")


def read_trainer_state(folder: Path) -> dict[str, Any]:
    """Return the state for resuming a training. Raises InputError if it cannot be read.

    Only tensors, numbers and texts are read; no code in the file is executed.

    Args:
        folder: the output of the training.
    """
    return read_state(folder / TRAINER_STATE)
