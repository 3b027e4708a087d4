"""Training of a segmentation network: `packdepth semantics train`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from packdepth import __version__
from packdepth.classes import UNLABELED
from packdepth.data.dataset import DrawSampler
from packdepth.data.label_maps import common_classes, some_of
from packdepth.errors import InputError
from packdepth.optimization.guard import MAX_SKIPPED, GradientGuard
from packdepth.ownership import owned
from packdepth.progress import Pace, clock
from packdepth.records import Clip, Frame
from packdepth.segmentation.checkpoint import (
    SemanticMeta,
    check_resumable,
    is_unfinished,
    load_weights,
    read_description,
    read_trainer_state,
    write_checkpoint,
)
from packdepth.segmentation.dataset import LabeledImages, labeled_frames, read_ids
from packdepth.segmentation.fpn import FPN
from packdepth.segmentation.iou import evaluate_network, mean_iou
from packdepth.segmentation.run_file import SemanticRun, SemanticTraining, load_semantic_run
from packdepth.workers import begin_loading

REPORTS = 10  # number of means of the loss that a training prints, besides lines of progress
WEIGHT_DECAY = 1e-4  # of AdamW; a usual value for segmentation networks


def train_semantics(
    run_file: Path, output: Path, overrides: tuple[str, ...] = (), resume: bool = False
) -> SemanticMeta:
    """Train a segmentation network, write checkpoints, and return the description of the final one.

    Args:
        run_file: the run file (YAML), in the format of packdepth.segmentation.run_file.SemanticRun.
        output: folder of the checkpoint. It must not exist unless the training is resumed.
        overrides: values to change in the run file, such as "training.steps=100".
        resume: continue the training in `output` from its latest checkpoint, exactly as if it had not been
            interrupted. A training that has finished is not changed.

    Raises InputError before the first step if the run file, its data or the output cannot be used.
    """
    with owned(output, beside=True):
        return _train_semantics(run_file, output, overrides, resume)


def _train_semantics(run_file: Path, output: Path, overrides: tuple[str, ...], resume: bool) -> SemanticMeta:
    """Train a segmentation network whose output this process owns."""
    run = load_semantic_run(run_file, overrides)
    if resume:
        check_resumable(output, run)
        if not is_unfinished(output):
            print(f"{output}: has finished already")
            return read_description(output)[1]
    elif output.exists():
        advice = "go on with --resume, name another --output" if is_unfinished(output) else "name another --output"
        raise InputError(f"{output}: exists already; {advice}, or remove it")
    frames, validation = labeled_frames(run.data.train), labeled_frames(run.data.val)
    classes = common_classes([clip for clip, _ in (*frames, *validation)])
    for _, frame in some_of([*frames, *validation]):
        read_ids(frame, len(classes))  # raises InputError for what the training would trip over later
    device = torch.device("cuda" if run.training.accelerator == "auto" and torch.cuda.is_available() else "cpu")
    torch.manual_seed(run.training.seed)
    trainer = SemanticTrainer(FPN(classes, run.network.layers, run.network.width).to(device), run.training)
    if resume:
        load_weights(trainer.network, output)
        trainer.load_state_dict(read_trainer_state(output))
    print(f"{len(frames)} images, {len(validation)} to validate on, {len(classes)} classes", flush=True)

    def write(iou: dict[str, float], finished: bool) -> SemanticMeta:
        meta = SemanticMeta(
            packdepth=__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            steps=trainer.step,
            classes=list(classes),
            images=len(frames),
            mean_iou=mean_iou(iou) if iou else None,
            iou=iou,
        )
        weights = {name: tensor.cpu() for name, tensor in trainer.network.state_dict().items()}
        write_checkpoint(output, run, meta, weights, None if finished else trainer.state_dict())
        return meta

    try:
        trainer.train(batches(run, frames, len(classes), trainer.step), lambda: write({}, finished=False))
        iou = evaluate_network(trainer.network, validation, run.data.image_size, device) if validation else {}
    except KeyboardInterrupt:
        if is_unfinished(output):
            done = read_description(output)[1].steps
            print(f"{output} holds step {done} of {run.training.steps}")
        else:
            print("no checkpoint was written: nothing is kept")
        raise
    meta = write(iou, finished=True)
    for name, value in iou.items():
        print(f"  {name:<14} {value:.3f}")
    print(f"{output}" if meta.mean_iou is None else f"mIoU {meta.mean_iou:.3f} over {len(iou)} classes: {output}")
    return meta


def batches(
    run: SemanticRun, frames: Sequence[tuple[Clip, Frame]], classes: int, done: int = 0
) -> Iterable[tuple[Tensor, Tensor]]:
    """Return the batches of the remaining steps: images [B, 3, H, W] and class ids [B, H, W].

    Args:
        run: the run.
        frames: training images with label maps.
        classes: number of classes.
        done: number of finished steps. Their batches are left out.
    """
    training = run.training
    order = list(DrawSampler(len(frames), training.batch_size, training.steps, training.seed))
    images = LabeledImages(frames, classes, run.data, training.seed)
    return DataLoader(images, batch_sampler=order[done:], num_workers=run.data.workers, worker_init_fn=begin_loading)


class SemanticTrainer:
    """A segmentation network in training, with its optimizer, its learning-rate schedule and its finished steps.

    Args:
        network: the network, on its device.
        training: options of the training.

    Attributes:
        network: the network.
        step: number of finished steps.
    """

    def __init__(self, network: FPN, training: SemanticTraining) -> None:
        self.network, self.training, self.step = network, training, 0
        self.device = next(network.parameters()).device
        self._optimizer = torch.optim.AdamW(
            network.parameters(), lr=training.learning_rate, weight_decay=WEIGHT_DECAY, fused=True
        )
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimizer, training.steps)
        self._guard = GradientGuard()
        self._losses: list[float] = []  # losses of the steps since the latest printed line

    def train(self, stream: Iterable[tuple[Tensor, Tensor]], write: Callable[[], object]) -> None:
        """Take an optimizer step for each batch.

        Raises InputError if the loss is not finite, or if the gradient is not in several steps in a row.

        Args:
            stream: the batches of the remaining steps, as `batches` returns them.
            write: function that writes a checkpoint. It is called after every `training.steps_between_checkpoints`
                steps and after the last step.
        """
        training = self.training
        self.network.train()
        pace = Pace(training.steps, self.step)
        for image, labels in stream:
            loss = self.learn(image.to(self.device), labels.to(self.device))
            self._losses.append(loss)
            if not loss < float("inf"):
                raise InputError(
                    f"the loss of step {self.step} is {loss}; lower training.learning_rate and train again"
                )
            if self._guard.in_a_row:
                print(f"skipped step {self.step}: its gradient is not finite", file=sys.stderr)
            if self._guard.in_a_row >= MAX_SKIPPED:
                raise InputError(
                    f"the gradient was not finite in {MAX_SKIPPED} steps in a row, the last one step {self.step}; "
                    f"lower training.learning_rate and train again"
                )
            reports = self.step * REPORTS // training.steps > (self.step - 1) * REPORTS // training.steps
            if pace.is_due() or reports:
                mean, rate = sum(self._losses) / len(self._losses), pace.rate(self.step) * training.batch_size
                left = clock(pace.seconds_left(self.step))
                line = f"step {self.step} of {training.steps}, loss {mean:.3f}, {rate:.1f} images/s, {left} left"
                print(line, file=sys.stderr, flush=True)
            if reports:
                self._losses = []
            if self.step % training.steps_between_checkpoints == 0 or self.step == training.steps:
                write()

    def learn(self, image: Tensor, labels: Tensor) -> float:
        """Return the loss, the cross-entropy averaged over labeled pixels, and take an optimizer step.

        The step is skipped if the gradient is not finite.

        Args:
            image: [B, 3, H, W], RGB in [0, 1].
            labels: [B, H, W] int64, class ids.
        """
        logits = self.network(image).logits
        logits = F.interpolate(logits, labels.shape[-2:], mode="bilinear", align_corners=False)
        loss = F.cross_entropy(logits, labels, ignore_index=UNLABELED)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._guard.check(self._optimizer)
        self._optimizer.step()
        self._schedule.step()
        self.step += 1
        return loss.item()

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed training needs in addition to the weights of the network.

        It does not contain the order and the augmentation of the images, which depend only on the seed and the step.
        """
        return {
            "step": self.step,
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "losses": self._losses,
            "random": torch.get_rng_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state.

        Args:
            state: the result of `state_dict`.
        """
        self.step, self._losses = state["step"], list(state["losses"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])
