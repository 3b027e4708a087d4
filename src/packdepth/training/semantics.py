"""`packdepth semantics train`: images with classes in, a segmentation network out."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from packdepth import __version__
from packdepth.data.dataset import DrawSampler
from packdepth.data.labeled import LabeledImages, read_labeled
from packdepth.errors import InputError
from packdepth.evaluation.segmentation import class_iou, confusion, mean_iou
from packdepth.geometry.resize import resize_image
from packdepth.networks.semantics import FPN, SemanticNetwork
from packdepth.records import Clip, Frame
from packdepth.semantic_run import (
    UNLABELED,
    SemanticMeta,
    SemanticRun,
    classes_of,
    labeled,
    load_semantic_run,
    write_semantic,
)

REPORTS = 10  # lines on the way
WEIGHT_DECAY = 1e-4


def train_semantics(run_file: Path, output: Path, overrides: tuple[str, ...] = ()) -> SemanticMeta:
    """Train a segmentation network and write it as a checkpoint.

    Args:
        run_file: YAML, see packdepth.semantic_run.SemanticRun.
        output: folder of the checkpoint; must not be there yet.
        overrides: such as "training.steps=100".

    Raises InputError before the first step if the run file, its data or the output cannot be used.
    """
    run = load_semantic_run(run_file, overrides)
    if output.exists():
        raise InputError(f"{output}: exists already; name another --output, or remove it")
    classes = classes_of([*run.data.train, *run.data.val])
    frames, validation = labeled(run.data.train), labeled(run.data.val)
    device = torch.device("cuda" if run.training.accelerator == "auto" and torch.cuda.is_available() else "cpu")
    torch.manual_seed(run.training.seed)
    network = FPN(classes, run.network.layers, run.network.width).to(device)
    print(f"{len(frames)} images, {len(validation)} to validate on, {len(classes)} classes", flush=True)
    _train(network, run, batches(run, frames, len(classes)), device)
    iou = judge(network, validation, run.data.image_size, device) if validation else {}
    meta = SemanticMeta(
        packdepth=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        steps=run.training.steps,
        classes=list(classes),
        images=len(frames),
        mean_iou=mean_iou(iou) if iou else None,
        iou=iou,
    )
    write_semantic(output, run, meta, {name: tensor.cpu() for name, tensor in network.state_dict().items()})
    for name, value in iou.items():
        print(f"  {name:<14} {value:.3f}")
    print(f"{output}" if meta.mean_iou is None else f"mIoU {meta.mean_iou:.3f} over {len(iou)} classes: {output}")
    return meta


def batches(run: SemanticRun, frames: Sequence[tuple[Clip, Frame]], classes: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Images [B, 3, H, W] and class ids [B, H, W] of each step."""
    training = run.training
    sampler = DrawSampler(len(frames), training.batch_size, training.steps, training.seed)
    images = LabeledImages(frames, classes, run.data, training.seed)
    return iter(DataLoader(images, batch_sampler=sampler, num_workers=run.data.workers))


def _train(
    network: SemanticNetwork, run: SemanticRun, stream: Iterator[tuple[Tensor, Tensor]], device: torch.device
) -> None:
    training = run.training
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=training.learning_rate, weight_decay=WEIGHT_DECAY, fused=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.steps)
    network.train()
    start, losses = time.monotonic(), []
    for step, (image, labels) in enumerate(stream, start=1):
        logits = network(image.to(device)).logits
        logits = F.interpolate(logits, labels.shape[-2:], mode="bilinear", align_corners=False)
        loss = F.cross_entropy(logits, labels.to(device), ignore_index=UNLABELED)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if not losses[-1] < float("inf"):
            raise InputError(f"the loss of step {step} is {losses[-1]}; lower training.learning_rate and train again")
        if step * REPORTS // training.steps > (step - 1) * REPORTS // training.steps:
            mean = sum(losses) / len(losses)
            print(
                f"step {step} of {training.steps}, loss {mean:.3f}, {time.monotonic() - start:.0f} s", file=sys.stderr
            )
            losses = []


@torch.inference_mode()
def judge(
    network: SemanticNetwork,
    frames: Sequence[tuple[Clip, Frame]],
    image_size: tuple[int, int],
    device: torch.device,
) -> dict[str, float]:
    """Intersection over union of each class that occurs, over all pixels of the frames, at their own resolution."""
    network.eval()
    classes = len(network.classes)
    matrix = torch.zeros(classes, classes, dtype=torch.int64)
    for _, frame in frames:
        image, truth = read_labeled(frame, classes)
        logits = network(resize_image(image[None].to(device), *image_size)).logits
        predicted = F.interpolate(logits, truth.shape, mode="bilinear", align_corners=False)[0].argmax(0)
        matrix += confusion(predicted.cpu(), truth, classes)
    return class_iou(matrix, network.classes)
