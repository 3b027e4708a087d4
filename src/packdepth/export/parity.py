"""Comparison of an exported network with its checkpoint on real images, and the images for it and for calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from packdepth.checkpoint import OtherSize
from packdepth.config import Imported, Run
from packdepth.data.resized import resized_labels, resized_pixels
from packdepth.errors import InputError
from packdepth.export.graph import Graph
from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.geometry.resize import resize_image, resize_inv_depth
from packdepth.inference.base import image_pixels
from packdepth.inference.exported import (
    IMAGE,
    INV_DEPTH,
    LABELS,
    ExportedPredictor,
    ExportPrecision,
    Parity,
)
from packdepth.inference.predictor import Predictor, image_tensor
from packdepth.records import Clip, Frame
from packdepth.sources.base import Source
from packdepth.sources.open import open_clips

COMPARED = 4  # images that an exported network is compared on
CALIBRATION = 32  # images for calibration; chosen: more changed nothing
TOLERANCES: dict[ExportPrecision, float] = {"32": 1e-4, "16": 0.01, "bf16": 0.03, "int8": 0.05}
"""Largest abs_rel between an exported network and its checkpoint. Measured on trained networks: 6e-6, 0.001, 0.008 and
0.009 for PackNet `tiny` at 192x640; depth itself is wrong by about 0.1."""


def known_clips(run: Run | Imported, source: Path | None) -> list[Clip]:
    """Return the clips whose images are compared: those of a source or, without one, those of the training.

    Args:
        run: the run of the checkpoint.
        source: an image, a folder of images, a video or a data set; None for the clips of the training.

    Raises InputError if there is no source and the training's data is not there.
    """
    if source is not None:
        return open_clips(source)
    try:
        sources = [each for each in run.data.train if isinstance(each, Source)] if isinstance(run, Run) else []
        clips = [clip for each in sources for clip in each.clips(one_size=False)]
    except InputError:
        clips = []
    if not clips:
        raise InputError(
            "the images that the checkpoint was trained on are not here, and export compares the file with the "
            "checkpoint on real images; name some with --images, such as a folder or a video"
        )
    return clips


def chosen_frames(clips: Sequence[Clip], count: int, phase: float = 0.5) -> list[Frame]:
    """Return frames that are spread evenly over clips.

    Args:
        clips: the clips.
        count: number of frames, at most.
        phase: place of each frame in its share of all frames, from 0 to 1.
    """
    frames = [frame for clip in clips for frame in clip.frames]
    count = min(count, len(frames))
    return [frames[int((index + phase) * len(frames) / count)] for index in range(count)]


def inputs_of(predictor: Predictor, frames: Sequence[Frame], graph: Graph) -> Iterator[dict[str, np.ndarray]]:
    """Yield the inputs of an exported depth network for frames, each repeated to fill a batch.

    Args:
        predictor: the checkpoint.
        frames: the frames. They must have label maps if label maps guide the depth network.
        graph: the exported network.
    """
    height, width = graph.inputs[IMAGE].shape[-2:]
    for frame in frames:
        pixels = resized_pixels(image_pixels(frame.image.read()), height, width).transpose(2, 0, 1)
        if graph.inputs[IMAGE].dtype == torch.uint8:
            pixels = np.rint(pixels * 255).astype(np.uint8)
        inputs = {IMAGE: pixels}
        labels = predictor.labels(frame.image, frame.semantic)
        if labels is not None:
            inputs[LABELS] = resized_labels(labels, height, width)[None]
        yield {name: np.stack([values] * (graph.batch or 1)) for name, values in inputs.items()}


@torch.inference_mode()
def compared(predictor: Predictor, exported: ExportedPredictor, frames: Sequence[Frame], graph: Graph) -> Parity:
    """Return the difference between an exported depth network and its checkpoint, which is computed by torch.

    Args:
        predictor: the checkpoint, in float32.
        exported: the exported network, from the file that was written.
        frames: the frames.
        graph: the exported network.
    """
    differences, errors = [], []
    for inputs in inputs_of(predictor, frames, graph):
        found = exported.compute(inputs)[INV_DEPTH]
        image = torch.from_numpy(inputs[IMAGE])
        image = image.float() / 255 if image.dtype == torch.uint8 else image
        labels = [torch.from_numpy(inputs[LABELS])] if LABELS in inputs else []
        inv_depth = predictor.depth(resize_image(image, *graph.size), *labels)[0]
        expected = resize_inv_depth(inv_depth, *image.shape[-2:]).numpy()
        differences.append(np.abs(found - expected) / expected.mean())
        errors.append(np.mean(np.abs(expected / found - 1)))
    every = np.stack(differences)
    return Parity(
        images=len(frames), median=float(np.median(every)), largest=float(every.max()), abs_rel=float(np.mean(errors))
    )


@torch.inference_mode()
def compared_sizes(predictor: Predictor, frames: Sequence[Frame], size: tuple[int, int]) -> OtherSize:
    """Return the difference of a checkpoint's depth at another size of its network from that at its own.

    Args:
        predictor: the checkpoint, in float32.
        frames: the frames. They must have label maps if label maps guide the depth network.
        size: the other height and width, in pixels.
    """
    errors = []
    for frame in frames:
        image, labels = image_tensor(frame.image.read()), predictor.labels(frame.image, frame.semantic)
        own, other = (
            resize_inv_depth(_inv_depth(predictor, image, labels, each), *image.shape[-2:])
            for each in (predictor.image_size, size)
        )
        errors.append(float((own / other - 1).abs().mean()))
    return OtherSize(size=size, trained=predictor.image_size, abs_rel=float(np.mean(errors)))


def _inv_depth(predictor: Predictor, image: Tensor, labels: np.ndarray | None, size: tuple[int, int]) -> Tensor:
    """Return the inverse depth [1, 1, h, w] that a checkpoint predicts for an image at a size of its network."""
    ids = [] if labels is None else [torch.from_numpy(resized_labels(labels, *size))[None, None]]
    inv_depth: Tensor = predictor.depth(resize_image(image, *size), *ids)[0]
    return inv_depth.clamp(min=MIN_INV_DEPTH)


def check_parity(parity: Parity, precision: ExportPrecision, path: Path) -> None:
    """Raise InputError if a file differs from its checkpoint by more than its precision explains.

    Args:
        parity: the comparison.
        precision: the precision of the file.
        path: the file, for the message.
    """
    if not parity.abs_rel <= TOLERANCES[precision]:  # NaN is refused, too
        advice = "use a wider --precision" if precision != "32" else "write it in another --format"
        raise InputError(
            f"{path}: was not written, because it differs too much from the checkpoint ({parity}; the largest abs_rel "
            f"for precision {precision} is {TOLERANCES[precision]:g}); {advice}"
        )
