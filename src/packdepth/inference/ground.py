"""`packdepth data filter --ground`: frames without infinite depth, as a split file to train on."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from packdepth.color import color_range, colorize
from packdepth.data.ground import THRESHOLD, pixels_below_ground
from packdepth.data.targets import check_calibrated, target_indices
from packdepth.errors import InputError
from packdepth.files import make_folder, replacing, write_image
from packdepth.geometry.camera import Camera
from packdepth.geometry.resize import resize_image
from packdepth.inference.predictor import MIN_INV_DEPTH, Predictor, image_tensor, label_tensor, load
from packdepth.inference.run import progress
from packdepth.records import Clip, Frame
from packdepth.sources.split import own_line, write_split

KEPT, COUNTS, SHEET = "kept.txt", "counts.csv", "dropped.jpg"
SHOWN = 12  # dropped frames on the contact sheet, those with the most pixels below the ground
RED = (255, 0, 0)


@dataclass(frozen=True)
class Counted:
    """What the filter found in a frame."""

    clip: Clip
    frame: Frame
    below: int | None  # pixels below the ground; None where no ground was found

    def kept(self, threshold: int) -> bool:
        """Whether training may use it; a frame without ground says nothing and is kept."""
        return self.below is None or self.below <= threshold


def filter_ground(
    checkpoint: Path,
    clips: Sequence[Clip],
    output: Path,
    threshold: int = THRESHOLD,
    context: Sequence[int] = (),
) -> tuple[list[Counted], list[Counted]]:
    """Predict each target frame, and drop those with more than `threshold` pixels below the ground.

    Writes `kept.txt`, a split file of the frames that are kept (the dropped ones remain context); `counts.csv`, with
    the pixels below the ground of each frame; `dropped.jpg`, the worst of the dropped ones, if any: the image, and
    its depth with these pixels in red.

    Args:
        checkpoint: of a depth network; its image size is the one at which pixels are counted.
        clips: to filter.
        output: folder to write to.
        threshold: pixels.
        context: offsets of context frames, without which a frame of a video is no target.

    Returns:
        The kept and the dropped frames. Raises InputError if there is no target, none would be kept, or no camera of a
        clip is known.
    """
    indices = [target_indices(clip, () if clip.independent else context) for clip in clips]
    targets = [(clip, clip.frames[index]) for clip, found in zip(clips, indices, strict=True) for index in found]
    if not targets:
        raise InputError(
            f"{clips[0].path}: no frame has context frames at {list(context)}; give longer clips of consecutive frames"
        )
    predictor = load(checkpoint)
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
        worst = sorted(dropped, key=lambda found: -(found.below or 0))[:SHOWN]
        write_image(output / SHEET, sheet(predictor, worst))
    lines = [own_line(found.clip.name, found.frame.name) for found in kept]
    write_split(output / KEPT, lines, f"{len(kept)} of {len(counted)} frames, without pixels below the ground")
    return kept, dropped


def camera_of(predictor: Predictor, clip: Clip) -> Camera:
    """The camera of a clip, or where nobody knows it the one learned with the checkpoint. Raises InputError if none."""
    learned = predictor.meta.camera_for(clip.camera.height, clip.camera.width)
    if clip.missing_camera is not None and learned is not None:
        return learned.camera
    check_calibrated([clip])
    return clip.camera


def count(predictor: Predictor, clip: Clip, frame: Frame) -> Counted:
    """The pixels of a frame that are predicted below the ground."""
    _, below = _judged(predictor, clip, frame)
    return Counted(clip, frame, None if below is None else int(below.sum()))


def sheet(predictor: Predictor, frames: Sequence[Counted]) -> np.ndarray:
    """Image and depth, pixels below the ground in red, side by side, a row for each frame: [h, w, 3] uint8."""
    rows = []
    for found in frames:
        inv_depth, below = _judged(predictor, found.clip, found.frame)
        colors = colorize(inv_depth, *color_range([inv_depth]))
        if below is not None:
            colors[below] = RED
        image = resize_image(image_tensor(found.frame.image.read()), *inv_depth.shape)[0]
        rows.append(np.concatenate([(image.permute(1, 2, 0) * 255).round().byte().numpy(), colors], axis=1))
    return np.concatenate(rows)


def _judged(predictor: Predictor, clip: Clip, frame: Frame) -> tuple[np.ndarray, np.ndarray | None]:
    """Inverse depth [h, w] of a frame at the network's size, and where it lies below the ground."""
    labels = label_tensor(predictor.labels(frame.image, frame.semantic))
    inv_depth = predictor.inv_depth(image_tensor(frame.image.read()), labels)[0, 0].cpu()
    camera = camera_of(predictor, clip).resized(*inv_depth.shape)
    below = pixels_below_ground(1 / inv_depth.clamp(min=MIN_INV_DEPTH), camera)
    return inv_depth.numpy(), None if below is None else below.numpy()
