"""Command `packdepth data filter --ground`: writes a split file of the frames without infinite depth."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor

from packdepth.checkpoint import Meta
from packdepth.color import color_range, colorize
from packdepth.data.ground import THRESHOLD, pixels_below_ground
from packdepth.data.targets import check_calibrated, target_indices
from packdepth.errors import InputError
from packdepth.files import make_folder, replacing, write_image
from packdepth.geometry.camera import Camera
from packdepth.geometry.resize import resize_image
from packdepth.inference.predictor import MIN_INV_DEPTH, image_tensor, label_tensor, load
from packdepth.inference.run import progress
from packdepth.records import Clip, Frame, Readable
from packdepth.sources.split import own_line, write_split

KEPT, COUNTS, SHEET = "kept.txt", "counts.csv", "dropped.jpg"  # files that the filter writes
MAX_SHEET_FRAMES = 12  # dropped frames on the contact sheet, those with the most pixels below the ground
RED = (255, 0, 0)  # RGB


class DepthPredictor(Protocol):
    """Part of `packdepth.inference.predictor.Predictor` that the filter uses."""

    @property
    def meta(self) -> Meta:
        """Description of the checkpoint."""

    def labels(self, image: Readable, semantic: Readable | None) -> np.ndarray | None:
        """Return the class ids that guide the network for an image on disk, if any do."""

    def inv_depth(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return inverse depth [B, 1, h, w] of images [B, 3, H, W]."""


@dataclass(frozen=True)
class Counted:
    """Number of pixels below the ground in a frame."""

    clip: Clip
    frame: Frame
    below: int | None  # pixels below the ground; None if no ground was found

    def kept(self, threshold: int) -> bool:
        """Return whether training may use the frame. A frame without a ground is kept.

        Args:
            threshold: pixels that may lie below the ground.
        """
        return self.below is None or self.below <= threshold


def filter_ground(
    checkpoint: Path,
    clips: Sequence[Clip],
    output: Path,
    threshold: int = THRESHOLD,
    context: Sequence[int] = (),
    load_predictor: Callable[[Path], DepthPredictor] = load,
) -> tuple[list[Counted], list[Counted]]:
    """Predict each target frame, and drop the frames with more than `threshold` pixels below the ground.

    Writes three files: `kept.txt`, a split file of the kept frames (dropped frames remain context); `counts.csv`, the
    number of pixels below the ground in each frame; and, if a frame is dropped, `dropped.jpg`, which shows the worst of
    them: the image, and its depth with the pixels below the ground in red.

    Args:
        checkpoint: checkpoint of a depth network. Pixels are counted at its image size.
        clips: clips to filter.
        output: folder to write to.
        threshold: pixels of a frame that may lie below the ground.
        context: offsets of the context frames, in frames. A frame of a video without all of them is no target.
        load_predictor: function that loads the checkpoint.

    Returns:
        The kept and the dropped frames. Raises InputError if there is no target, if no frame would be kept, and for a
        clip whose camera is unknown.
    """
    indices = [target_indices(clip, () if clip.independent else context) for clip in clips]
    targets = [(clip, clip.frames[index]) for clip, found in zip(clips, indices, strict=True) for index in found]
    if not targets:
        raise InputError(
            f"{clips[0].path}: no frame has context frames at {list(context)}; give longer clips of consecutive frames"
        )
    predictor = load_predictor(checkpoint)
    counted = [count(predictor, clip, frame) for clip, frame in progress(targets, "ground", len(targets))]
    kept = [found for found in counted if found.kept(threshold)]
    dropped = [found for found in counted if not found.kept(threshold)]
    if not kept:
        raise InputError(
            f"{checkpoint}: finds more than {threshold} pixels below the ground in every frame; train it longer"
        )
    make_folder(output)
    with replacing(output / COUNTS) as temporary, temporary.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["clip", "frame", "pixels_below_ground", "kept"])
        for found in counted:
            below = "" if found.below is None else found.below
            table.writerow([found.clip.name, found.frame.name, below, int(found.kept(threshold))])
    (output / SHEET).unlink(missing_ok=True)
    if dropped:
        worst = sorted(dropped, key=lambda found: -(found.below or 0))[:MAX_SHEET_FRAMES]
        write_image(output / SHEET, sheet(predictor, worst))
    lines = [own_line(found.clip.name, found.frame.name) for found in kept]
    write_split(output / KEPT, lines, f"{len(kept)} of {len(counted)} frames, without pixels below the ground")
    return kept, dropped


def camera_of(predictor: DepthPredictor, clip: Clip) -> Camera:
    """Return the camera of a clip; if it is unknown, the camera of this size that was learned with the checkpoint.

    Args:
        predictor: predictor of the checkpoint.
        clip: the clip. Raises InputError if its camera is unknown and was not learned either.
    """
    learned = predictor.meta.camera_for(clip.camera.height, clip.camera.width)
    if clip.missing_camera is not None and learned is not None:
        return learned.camera
    check_calibrated([clip])
    return clip.camera


def count(predictor: DepthPredictor, clip: Clip, frame: Frame) -> Counted:
    """Count the pixels of a frame that are predicted below the ground.

    Args:
        predictor: predictor of the checkpoint.
        clip: the frame's clip.
        frame: the frame.
    """
    _, below = _predicted(predictor, clip, frame)
    return Counted(clip, frame, None if below is None else int(below.sum()))


def sheet(predictor: DepthPredictor, frames: Sequence[Counted]) -> np.ndarray:
    """Draw a row for each frame, its image beside its depth with pixels below the ground in red: [h, w, 3] uint8.

    Args:
        predictor: predictor of the checkpoint.
        frames: frames to draw, at least one.
    """
    rows = []
    for found in frames:
        inv_depth, below = _predicted(predictor, found.clip, found.frame)
        colors = colorize(inv_depth, *color_range([inv_depth]))
        if below is not None:
            colors[below] = RED
        image = resize_image(image_tensor(found.frame.image.read()), *inv_depth.shape)[0]
        rows.append(np.concatenate([(image.permute(1, 2, 0) * 255).round().byte().numpy(), colors], axis=1))
    return np.concatenate(rows)


def _predicted(predictor: DepthPredictor, clip: Clip, frame: Frame) -> tuple[np.ndarray, np.ndarray | None]:
    """Predict inverse depth [h, w] of a frame at the network's size, and which pixels [h, w] lie below the ground."""
    labels = label_tensor(predictor.labels(frame.image, frame.semantic))
    inv_depth = predictor.inv_depth(image_tensor(frame.image.read()), labels)[0, 0].cpu()
    camera = camera_of(predictor, clip).resized(*inv_depth.shape)
    below = pixels_below_ground(1 / inv_depth.clamp(min=MIN_INV_DEPTH), camera)
    return inv_depth.numpy(), None if below is None else below.numpy()
