"""`packdepth train`: a run file in, checkpoints out."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import TensorBoardLogger

from packdepth import checkpoint
from packdepth.config import Run, load_run
from packdepth.data.targets import check_offers
from packdepth.errors import InputError
from packdepth.files import make_folder
from packdepth.objectives.objective import Objective
from packdepth.records import Clip
from packdepth.training.checkpoints import TRAINER_STATE, Checkpoints
from packdepth.training.data import RunData
from packdepth.training.logs import RunLog
from packdepth.training.module import DepthModule
from packdepth.training.progress import RunProgress
from packdepth.training.scale import scale_source

LIGHTNING_CHATTER = (
    ".*does not have many workers.*",
    ".*isinstance.treespec, LeafSpec.*",
    ".*Total length of .* across ranks is zero.*",
)
FREE_ON_RESUME = {"epochs", "accelerator", "devices", "nodes"}  # of the training block


def train(run_file: Path, output: Path, overrides: tuple[str, ...] = (), resume: bool = False) -> None:
    """Train the networks of a run file.

    Args:
        run_file: YAML, see packdepth.config.Run.
        output: folder for `best/`, `last/`, `metrics.csv` and TensorBoard's files.
        overrides: such as "training.epochs=5".
        resume: go on from `output/last`, exactly as if the run had not been interrupted.

    Raises:
        InputError: before the first step and before anything is written, if the run file, its data or the output
            cannot be used.
    """
    run = load_run(run_file, overrides)
    processes = run.training.devices * run.training.nodes
    if run.training.batch_size % processes:
        raise InputError(
            f"{run_file}: training.batch_size: {run.training.batch_size} samples cannot be shared evenly by "
            f"{processes} processes; give a multiple of {processes}"
        )
    state = _resumable(output, run) if resume else None
    if not resume and (output / "last").exists():
        raise InputError(f"{output}: holds a run already; go on with --resume, or give another --output")
    clips = [clip for source in run.data.train for clip in source.clips()]
    validation = [clip for source in run.data.val for clip in source.clips()]
    check_offers(clips, Objective.build(run.objective).needs())
    data = RunData(run, clips, validation)
    module = DepthModule(run)
    make_folder(output)
    trainer = _trainer(run, output, clips)
    if trainer.is_global_zero:
        print(summary(run, clips, data, module), flush=True)
    trainer.fit(module, datamodule=data, ckpt_path=state, weights_only=True)
    if trainer.is_global_zero:
        print(f"checkpoints: {output / 'best'} and {output / 'last'}")


def summary(run: Run, clips: Sequence[Clip], data: RunData, module: DepthModule) -> str:
    """What is about to be trained on what, in a few lines."""

    def millions(network: torch.nn.Module) -> str:
        return f"{sum(parameter.numel() for parameter in network.parameters()) / 1e6:.2f} M parameters"

    training = run.training
    frames = sum(len(clip.frames) for clip in clips)
    steps = training.epoch_steps or -(-len(data.train) // training.batch_size)
    lines = [
        f"clips      {len(clips)} ({', '.join(clip.name for clip in clips[:4])}{', ...' if len(clips) > 4 else ''})",
        f"frames     {frames}, {len(data.train)} of them targets with context {list(run.data.context)}"
        + (f"; {len(data.val)} to validate on" if data.val else ""),
        f"images     {run.data.image_size[0]}x{run.data.image_size[1]} (height x width)",
        f"depth      {run.networks.depth.kind}, {millions(module.depth)}",
        f"pose       {run.networks.pose.kind}, {millions(module.pose)}",
        f"objective  {', '.join(f'{term.weight:g} {term.kind}' for term in run.objective)}",
        f"training   {training.epochs} epochs of {steps} steps of {training.batch_size} samples",
        f"scale      {_scale(scale_source(run, clips))}",
    ]
    return "\n".join(lines)


def _scale(source: str) -> str:
    return "unknown: depth up to a factor" if source == "none" else f"metric, from {source}"


def _trainer(run: Run, output: Path, clips: Sequence[Clip]) -> pl.Trainer:
    training = run.training
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in LIGHTNING_CHATTER:
        warnings.filterwarnings("ignore", message=message)
    return pl.Trainer(
        accelerator=training.accelerator,
        devices=training.devices,
        num_nodes=training.nodes,
        strategy="ddp" if training.devices * training.nodes > 1 else "auto",
        precision="bf16-mixed" if training.precision == "bf16" else "32-true",
        max_epochs=training.epochs,
        gradient_clip_val=training.clip_norm,
        logger=TensorBoardLogger(output, name=None, version="tensorboard"),
        callbacks=[RunLog(output), Checkpoints(output, run, clips), RunProgress(run)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _resumable(output: Path, run: Run) -> Path:
    """The trainer state to go on from, if `output/last` is a checkpoint of the same run."""
    for name in ("best", "last"):
        checkpoint.recover(output / name)
    state = output / "last" / TRAINER_STATE
    if not state.is_file():
        raise InputError(f"{output / 'last'}: holds no run to go on with; train without --resume")
    before, _ = checkpoint.read_description(output / "last")
    changed = _changes(before.model_dump(mode="json"), run.model_dump(mode="json"))
    changed = [name for name in changed if name.removeprefix("training.") not in FREE_ON_RESUME]
    if changed:
        raise InputError(
            f"{output}: was trained with other values of {', '.join(changed)}; "
            f"resume with the same run file, or train into another --output"
        )
    return state


def _changes(before: object, after: object, name: str = "") -> list[str]:
    """Dotted names of the values that differ."""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        return [change for key in before for change in _changes(before[key], after[key], f"{name}.{key}".lstrip("."))]
    return [] if before == after else [name]
