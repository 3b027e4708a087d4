"""Frames without infinite depth, as a split file to train on: `packdepth data filter --ground`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from packdepth.color import color_range, colorize
from packdepth.data.ground import THRESHOLD, pixels_below_ground
from packdepth.data.targets import check_calibrated, target_indices
from packdepth.disk import naming, replaced_together
from packdepth.errors import InputError
from packdepth.files import make_folder, replacing, write_image
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import depth_from_inverse
from packdepth.geometry.resize import resize_image
from packdepth.inference.cameras import known_camera
from packdepth.inference.predictor import Predictor, frame_inv_depth, image_tensor, load
from packdepth.progress import progress
from packdepth.records import Clip, Frame
from packdepth.sources.split import own_line, write_split

KEPT, COUNTS, SHEET = "kept.txt", "counts.csv", "dropped.jpg"
SHEET_ROWS = 12  # dropped frames on the contact sheet, those with the most pixels below the ground
RED = (255, 0, 0)


@dataclass(frozen=True)
class FrameCount:
    """The number of a frame's pixels that are predicted below the ground."""

    clip: Clip  # clip that holds the frame
    frame: Frame  # frame whose pixels are counted
    below: int | None  # pixels below the ground; None where no ground was found

    def kept(self, threshold: int) -> bool:
        """Return whether training may use the frame; one without ground is kept.

        Args:
            threshold: the most pixels that may lie below the ground.
        """
        return self.below is None or self.below <= threshold


def filter_ground(
    checkpoint: Path,
    clips: Sequence[Clip],
    output: Path,
    threshold: int = THRESHOLD,
    context: Sequence[int] = (),
    load_predictor: Callable[[Path], Predictor] = load,
) -> tuple[list[FrameCount], list[FrameCount]]:
    """Predict each target frame, and drop those with more than `threshold` pixels below the ground.

    Writes `kept.txt`, a split file of the frames that are kept (the dropped ones remain context); `counts.csv`, with
    the pixels below the ground of each frame; and, if any are dropped, `dropped.jpg`, the worst of them: the image, and
    its depth with these pixels in red.

    Args:
        checkpoint: the checkpoint of a depth network; pixels are counted at its image size.
        clips: the clips to filter.
        output: the folder to write to.
        threshold: the most pixels that may lie below the ground.
        context: offsets of context frames. A frame of a video is a target only if all its context frames exist.
        load_predictor: function that loads the checkpoint.

    Returns:
        The kept and the dropped frames. Raises InputError if there is no target, if no frame would be kept, or if the
        camera of a clip is unknown.
    """
    indices = [target_indices(clip, () if clip.independent else context) for clip in clips]
    targets = [(clip, clip.frames[index]) for clip, found in zip(clips, indices, strict=True) for index in found]
    if not targets:
        raise InputError(
            f"{clips[0].path}: no frame has context frames at {list(context)}; give longer clips of consecutive frames"
        )
    predictor = load_predictor(checkpoint)
    counts = [count(predictor, clip, frame) for clip, frame in progress(targets, "ground", len(targets))]
    kept = [each for each in counts if each.kept(threshold)]
    dropped = [each for each in counts if not each.kept(threshold)]
    if not kept:
        raise InputError(
            f"{checkpoint}: finds more than {threshold} pixels below the ground in every frame; train it longer"
        )
    lines = [own_line(each.clip.name, each.frame.name) for each in kept]
    make_folder(output)
    with naming(output), replaced_together(output) as folder:
        with replacing(folder / COUNTS) as temporary, temporary.open("w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["clip", "frame", "pixels_below_ground", "kept"])
            for each in counts:
                below = "" if each.below is None else each.below
                table.writerow([each.clip.name, each.frame.name, below, int(each.kept(threshold))])
        write_split(folder / KEPT, lines, f"{len(kept)} of {len(counts)} frames, without pixels below the ground")
        if dropped:
            worst = sorted(dropped, key=lambda each: -(each.below or 0))[:SHEET_ROWS]
            write_image(folder / SHEET, sheet(predictor, worst))
        else:
            (output / SHEET).unlink(missing_ok=True)
    return kept, dropped


def camera_of(predictor: Predictor, clip: Clip) -> Camera:
    """Return the camera of a clip: its own, otherwise the one that the checkpoint has learned.

    Args:
        predictor: the predictor of the checkpoint.
        clip: the clip.

    Raises InputError without either.
    """
    camera = known_camera(clip, predictor.meta)
    if camera is None:
        check_calibrated([clip])
    assert camera is not None
    return camera


def count(predictor: Predictor, clip: Clip, frame: Frame) -> FrameCount:
    """Count the pixels of a frame that are predicted below the ground.

    Args:
        predictor: the predictor.
        clip: the clip of the frame.
        frame: the frame.
    """
    _, below = _inv_depth_and_below(predictor, clip, frame)
    return FrameCount(clip, frame, None if below is None else int(below.sum()))


def sheet(predictor: Predictor, frames: Sequence[FrameCount]) -> np.ndarray:
    """Return a contact sheet [h, w, 3] uint8: a row for each frame, image and depth, pixels below the ground in red.

    Args:
        predictor: the predictor.
        frames: the frames, from top to bottom.
    """
    rows = []
    for each in frames:
        inv_depth, below = _inv_depth_and_below(predictor, each.clip, each.frame)
        colors = colorize(inv_depth, *color_range([inv_depth]))
        if below is not None:
            colors[below] = RED
        image = resize_image(image_tensor(each.frame.image.read()), *inv_depth.shape)[0]
        rows.append(np.concatenate([(image.permute(1, 2, 0) * 255).round().byte().numpy(), colors], axis=1))
    return np.concatenate(rows)


def _inv_depth_and_below(predictor: Predictor, clip: Clip, frame: Frame) -> tuple[np.ndarray, np.ndarray | None]:
    """Return inverse depth [h, w] of a frame at the network's size, and the mask [h, w] of pixels below the ground."""
    inv_depth = frame_inv_depth(predictor, frame)[0, 0].cpu()
    camera = camera_of(predictor, clip).resized(*inv_depth.shape)
    below = pixels_below_ground(depth_from_inverse(inv_depth), camera)
    return inv_depth.numpy(), None if below is None else below.numpy()
