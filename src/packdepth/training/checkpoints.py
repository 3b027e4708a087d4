"""The callback that writes checkpoints and selects the best one."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from packdepth import __version__, checkpoint
from packdepth.config import Run, packages_of
from packdepth.data.label_maps import stated_classes
from packdepth.data.targets import distinct_cameras, frame_interval
from packdepth.disk import check_room, unfinished
from packdepth.geometry.camera import Camera
from packdepth.interruption import heed_again
from packdepth.networks.guidance import NetworkGuidance, guidance_of
from packdepth.records import Clip
from packdepth.training.calibration import FOCAL_DEVIATION
from packdepth.training.cameras import LearnedCameras
from packdepth.training.collapse import MIN_STEPS, flat_depth
from packdepth.training.logs import RunLog, check_scores
from packdepth.training.module import DepthModule
from packdepth.training.sharding import whole

OPTIMIZER_STATES = 2  # tensors that an optimizer keeps for each weight, at most: Adam's two moments


class Checkpoints(pl.Callback):
    """Callback that writes `last` at the end of every epoch, and `best` if its score is the lowest so far.

    The score is abs_rel of the validation (with median scaling unless depth is metric) if there is measured depth and
    the depth network is not frozen and `best_by` is not `loss`. Otherwise it is the validation loss or, without
    validation, the training loss.

    Args:
        output: the folder of the run.
        run: the run.
        clips: the clips to train on.
        scale_source: the source of metric scale, or "none".
        log: the log with the losses of the run.
        assumed: cameras that clips without calibration are assumed to have.
    """

    def __init__(
        self,
        output: Path,
        run: Run,
        clips: Sequence[Clip],
        scale_source: str,
        log: RunLog,
        assumed: Sequence[Camera] = (),
    ) -> None:
        self.assumed = [
            checkpoint.LearnedCamera(**asdict(camera), focal_deviation=FOCAL_DEVIATION, assumed=True)
            for camera in assumed
        ]
        self.output, self.run, self.clips, self.run_log = output, run, clips, log
        self.scale_source = scale_source
        self.best = float("inf")

    def state_dict(self) -> dict[str, Any]:
        """Return the best score, for resuming."""
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the best score.

        Args:
            state: what `state_dict` returned.
        """
        self.best = state["best"]

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Check, before the first step, that there is room for the checkpoints, and heed signals as before.

        Args:
            trainer: the trainer, which has taken over SIGTERM.
            module: the module.

        Raises InputError if the disk is too small.
        """
        heed_again()
        if trainer.is_global_zero:
            there = (self.output / "last" / checkpoint.TRAINER_STATE).exists()
            check_room(self.output, needed_room(module, resumed=there), "free some, or give another --output")

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write `last` and, if the score is the lowest so far, `best`.

        Args:
            trainer: the trainer.
            module: the module.

        Raises InputError if a score or a weight is not finite; the earlier checkpoints are kept.
        """
        weights = weights_of(module)  # in all processes, which may share them
        checkpoint.check_writable(weights, self.output / "last")
        scores = {name: float(value) for name, value in trainer.callback_metrics.items()}
        scores["train/loss"] = self.run_log.mean_loss()
        assert isinstance(module, DepthModule)
        check_scores(scores, module.objective.terms, self.output, trainer.current_epoch + 1)
        score = scores[self.monitored(scores)]
        if trainer.current_epoch < self.run.training.best_after * self.run.training.epochs:
            self.best = float("inf")  # what follows is compared with no earlier score
            better = True
        else:
            better = score < self.best
            self.best = min(self.best, score)
        with unfinished(self.output / checkpoint.TRAINER_STATE) as state:
            trainer.save_checkpoint(state)
            if trainer.is_global_zero:
                content = self._content(trainer, module, weights, scores, trainer.current_epoch + 1)
                if better:
                    checkpoint.write(self.output / "best", content, lambda folder: _add_semantics(module, folder))
                checkpoint.write(self.output / "last", content, lambda folder: _add_state(module, state, folder))
        if trainer.is_global_zero:
            self._warn_of_collapse(trainer, module)
        trainer.strategy.barrier()

    def _warn_of_collapse(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Print a warning if depth has become the same everywhere; the end of the training looks once more."""
        if trainer.global_step >= MIN_STEPS and trainer.current_epoch + 1 < self.run.training.epochs:
            flat = flat_depth(self.output / "last", self.run, self.clips, str(module.device))
            if flat is not None and flat.collapsed:
                print(f"warning: {flat.sentence}", flush=True)

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """Write a checkpoint, which can predict but not be resumed, if a run is interrupted in its first epoch.

        Not if the processes share the weights: they are interrupted at different places, and cannot gather them.

        Args:
            trainer: the trainer.
            module: the module.
            exception: the exception that ends the run; only an interruption by the user is handled.
        """
        assert isinstance(module, DepthModule)
        if not isinstance(exception, KeyboardInterrupt) or not trainer.is_global_zero or module.is_sharded:
            return
        last = self.output / "last"
        if not (last / checkpoint.TRAINER_STATE).exists() and trainer.global_step > 0:
            scores = {"train/loss": self.run_log.mean_loss()}
            content = self._content(trainer, module, weights_of(module), scores, 0)
            checkpoint.write(last, content, lambda folder: _add_semantics(module, folder))
            print(f"interrupted in the first epoch: {last} is good to predict with; training begins anew")

    def monitored(self, scores: dict[str, float]) -> str:
        """Return the name of the score that decides which checkpoint is the best.

        Args:
            scores: the scores of an epoch, by their names.
        """
        names = ["val/abs_rel" if self.scale_source != "none" else "val/abs_rel_scaled", "val/loss", "train/loss"]
        if self.run.networks.depth.frozen or self.run.training.best_by == "loss":
            del names[0]
        return next(name for name in names if name in scores)

    def _content(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        weights: dict[str, Tensor],
        scores: dict[str, float],
        epoch: int,
    ) -> checkpoint.Checkpoint:
        assert isinstance(module, DepthModule)
        meta = checkpoint.Meta(
            packdepth=__version__,
            git_commit=_git_commit(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            epoch=epoch,
            step=trainer.global_step,
            metric=False,  # until the scale is measured, after the training
            scale_source=self.scale_source,
            clips=[clip.name for clip in self.clips],
            frames=sum(len(clip.frames) for clip in self.clips),
            scores=scores,
            trained_cameras=_trained(self.clips) if module.cameras is None else [],
            cameras=self.assumed if module.cameras is None else _learned(module.cameras),
            teacher=None if module.teacher is None else str(module.teacher),
            label_classes=() if self.run.networks.depth.label_classes is None else stated_classes(self.clips),
            frame_interval=_frame_interval(self.clips),
            packages=packages_of(self.run),
        )
        return checkpoint.Checkpoint(self.run, meta, {name: value.cpu() for name, value in weights.items()})


def weights_of(module: pl.LightningModule) -> dict[str, Tensor]:
    """Return the weights of a checkpoint, by name; whole ones, which all processes gather if they share them.

    Args:
        module: the training module.
    """
    state = module.state_dict()
    return {name: whole(value.detach()) for name, value in state.items() if name.startswith(("depth.", "pose."))}


def needed_room(module: pl.LightningModule, resumed: bool) -> int:
    """Return the bytes that the checkpoints of a run take at most, while one takes the place of another.

    Args:
        module: the module.
        resumed: whether `best` and `last` are there already, so that only their successors need room.
    """
    tensors = [*module.parameters(), *module.buffers()]
    weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    trained = sum(each.numel() * each.element_size() for each in module.parameters() if each.requires_grad)
    state = weights + OPTIMIZER_STATES * trained
    return weights + state + (0 if resumed else 2 * weights + state)


def _frame_interval(clips: Sequence[Clip]) -> float | None:
    """Return the median of the seconds between neighboring frames of clips; None if no clip tells them."""
    told = [clip for clip in clips if not clip.times_assumed]
    known = [interval for clip in told if (interval := frame_interval(clip)) is not None]
    return median(known) if known else None


def _trained(clips: Sequence[Clip]) -> list[checkpoint.TrainedCamera]:
    """Return the distinct cameras of clips."""
    stated = distinct_cameras([clip for clip in clips if clip.stated_fov is not None])
    return [
        checkpoint.TrainedCamera(**asdict(camera.map(float)), stated=camera in stated)
        for camera in distinct_cameras(clips)
    ]


def _learned(cameras: LearnedCameras) -> list[checkpoint.LearnedCamera]:
    """Return the learned cameras that were adjusted at least once."""
    return [
        checkpoint.LearnedCamera(**asdict(cameras.camera(index)), focal_deviation=deviation)
        for index, deviation in enumerate(cameras.deviation.tolist())
        if not math.isnan(deviation)
    ]


def _add_semantics(module: pl.LightningModule, folder: Path) -> None:
    """Write a copy of the segmentation network that guides depth into a checkpoint, if its block says `held`."""
    assert isinstance(module, DepthModule)
    block = module.run.networks.depth.guidance
    if block is None or not block.semantics.held:
        return
    guidance = guidance_of(module.depth)
    assert isinstance(guidance, NetworkGuidance)
    (folder / checkpoint.SEMANTICS).mkdir()
    guidance.semantics.save(folder / checkpoint.SEMANTICS)


def _add_state(module: pl.LightningModule, state: Path, folder: Path) -> None:
    """Write the segmentation network, as `_add_semantics` does, and move the trainer's state into the folder."""
    _add_semantics(module, folder)
    state.replace(folder / checkpoint.TRAINER_STATE)


def _git_commit() -> str | None:
    """Return the git commit of the working folder, or None outside of a repository."""
    try:
        result = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return result.stdout.strip() or None if result.returncode == 0 else None
