"""Label maps that guide a depth network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from packdepth.classes import UNLABELED
from packdepth.errors import InputError
from packdepth.records import Clip, Readable


def check_labeled(clips: Sequence[Clip]) -> None:
    """Raise InputError, naming the image, unless each frame has a label map."""
    for clip in clips:
        for frame in clip.frames:
            label_map(frame.image, frame.semantic)


def label_map(image: Readable, semantic: Readable | None) -> Readable:
    """The label map that belongs to an image. Raises InputError, naming the image, if there is none."""
    if semantic is None:
        raise InputError(
            f"{image.path}: has no label map, but label maps guide the depth network; "
            f"write the semantic/ of its clip with packdepth semantics label"
        )
    return semantic


def read_label_map(file: Readable, classes: int) -> np.ndarray:
    """Class ids [H, W] uint8. Raises InputError if they are of more classes than the depth network is guided by."""
    ids = file.read()
    check_ids(ids, classes, str(file.path))
    return ids


def check_ids(ids: np.ndarray, classes: int, name: str) -> None:
    """Raise InputError, which begins with `name`, for class ids beyond those that guide, but for unlabeled pixels."""
    found = int(ids.max(where=ids != UNLABELED, initial=0))
    if found >= classes:
        raise InputError(
            f"{name}: holds class {found}, but the depth network is guided by {classes} classes, 0 to {classes - 1} "
            f"(guidance.semantics.classes); give label maps of these classes, with {UNLABELED} where there is none"
        )
