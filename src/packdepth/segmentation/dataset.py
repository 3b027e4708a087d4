"""Images with label maps, for training and evaluating a segmentation network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from packdepth.data.label_maps import check_ids
from packdepth.data.resized import resized_labels
from packdepth.data.transforms import ColorJitter, Window
from packdepth.errors import InputError
from packdepth.geometry.resize import resize_image
from packdepth.records import Clip, Frame
from packdepth.segmentation.run_file import SemanticData
from packdepth.sources import AnySource


def labeled_frames(sources: Sequence[AnySource]) -> list[tuple[Clip, Frame]]:
    """Return the target frames that have a label map. Raises InputError for a source that has none.

    Args:
        sources: the sources of the frames.
    """
    frames = []
    for source in sources:
        targets = [(clip, frame) for clip in source.clips() for frame in clip.frames if clip.is_target(frame)]
        found = [(clip, frame) for clip, frame in targets if frame.semantic is not None]
        if not found:
            raise InputError(
                f"{getattr(source, source.place)}: no frame of this {source.kind} data has classes; "
                f"add them, or leave it out"
            )
        frames += found
    return frames


def read_ids(frame: Frame, classes: int) -> np.ndarray:
    """Return the class ids [H, W] uint8 of a frame, 255 where there is none. Raises InputError for one too large.

    Args:
        frame: a frame with a label map.
        classes: number of classes.
    """
    assert frame.semantic is not None
    ids = frame.semantic.read()
    check_ids(ids, classes, str(frame.semantic.path), "semantic.yaml of its clip, or else Cityscapes' train ids")
    return ids


def read_labeled(frame: Frame, classes: int) -> tuple[Tensor, Tensor]:
    """Return the image [3, H, W], RGB in [0, 1], and the class ids [H, W] int64 of a frame.

    Args:
        frame: a frame with a label map.
        classes: number of classes.

    Raises InputError if image and label map differ in size, and for an id that is too large.
    """
    assert frame.semantic is not None
    pixels, ids = frame.image.read(), read_ids(frame, classes)
    if pixels.shape[:2] != ids.shape:
        raise InputError(
            f"{frame.semantic.path}: is {ids.shape[1]}x{ids.shape[0]} pixels, but its image is "
            f"{pixels.shape[1]}x{pixels.shape[0]}; resize it back"
        )
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
    return image, torch.from_numpy(ids.astype(np.int64))


class LabeledImages(Dataset[tuple[Tensor, Tensor]]):
    """Random crops of images with their class ids, mirrored and color-jittered.

    The index of an item is a draw: `index + n * len(frames)` is the n-th repetition of image `index`. Its random crop
    and augmentation depend only on the seed and the draw.

    Args:
        frames: frames with label maps.
        classes: number of classes.
        data: size of the items, and the augmentation.
        seed: seed of the augmentation.
    """

    def __init__(self, frames: Sequence[tuple[Clip, Frame]], classes: int, data: SemanticData, seed: int) -> None:
        self.frames, self.classes, self.data, self.seed = frames, classes, data, seed

    def __getitem__(self, draw: int) -> tuple[Tensor, Tensor]:
        """Return an image [3, H, W], RGB in [0, 1], and its class ids [H, W] int64."""
        repeat, index = divmod(draw, len(self.frames))
        rng = np.random.default_rng([self.seed, repeat, index])
        image, labels = read_labeled(self.frames[index][1], self.classes)
        window = Window.draw(self.data.zoom, (labels.shape[0], labels.shape[1]), rng)
        image = resize_image(window.cut(image)[None], *self.data.image_size)[0]
        labels = torch.from_numpy(resized_labels(window.cut(labels).numpy(), *self.data.image_size))
        if self.data.augmentation.jitter is not None:
            image = ColorJitter.draw(self.data.augmentation.jitter, rng)(image)
        if rng.random() < self.data.augmentation.flip:
            image, labels = image.flip(-1), labels.flip(-1)
        return image, labels
