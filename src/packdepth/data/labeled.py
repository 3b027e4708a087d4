"""Images with classes, for training a segmentation network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from packdepth.data.resized import resized_labels
from packdepth.data.transforms import ColorJitter
from packdepth.errors import InputError
from packdepth.geometry.resize import resize_image
from packdepth.records import Clip, Frame
from packdepth.semantic_run import UNLABELED, SemanticData


def read_labeled(frame: Frame, classes: int) -> tuple[Tensor, Tensor]:
    """Image [3, H, W] RGB in [0, 1] and class ids [H, W] int64 of a frame; ids beyond the classes are UNLABELED."""
    assert frame.semantic is not None
    pixels, ids = frame.image.read(), frame.semantic.read()
    if pixels.shape[:2] != ids.shape:
        raise InputError(
            f"{frame.semantic.path}: is {ids.shape[1]}x{ids.shape[0]} pixels, but its image is "
            f"{pixels.shape[1]}x{pixels.shape[0]}; resize it back"
        )
    labels = torch.from_numpy(ids.astype(np.int64))
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
    return image, torch.where(labels < classes, labels, UNLABELED)


class LabeledImages(Dataset[tuple[Tensor, Tensor]]):
    """Random crops of images with their classes, mirrored and jittered.

    An item is asked for by a draw: `index + n * len(frames)` is the n-th time that an image is seen. What is random
    in it depends on the seed and the draw alone.

    Args:
        frames: with classes.
        classes: how many there are.
        data: the size of items, and the augmentation.
        seed: of the augmentation.
    """

    def __init__(self, frames: Sequence[tuple[Clip, Frame]], classes: int, data: SemanticData, seed: int) -> None:
        self.frames, self.classes, self.data, self.seed = frames, classes, data, seed

    def __getitem__(self, draw: int) -> tuple[Tensor, Tensor]:
        repeat, index = divmod(draw, len(self.frames))
        rng = np.random.default_rng([self.seed, repeat, index])
        image, labels = read_labeled(self.frames[index][1], self.classes)
        share = rng.uniform(self.data.zoom, 1)
        height, width = (max(round(share * size), 1) for size in labels.shape)
        top, left = rng.integers(0, [labels.shape[0] - height + 1, labels.shape[1] - width + 1])
        image = resize_image(image[None, :, top : top + height, left : left + width], *self.data.image_size)[0]
        labels = labels[top : top + height, left : left + width]
        labels = torch.from_numpy(resized_labels(labels.numpy(), *self.data.image_size))
        if self.data.augmentation.jitter is not None:
            image = ColorJitter.draw(self.data.augmentation.jitter, rng)(image)
        if rng.random() < self.data.augmentation.flip:
            image, labels = image.flip(-1), labels.flip(-1)
        return image, labels
