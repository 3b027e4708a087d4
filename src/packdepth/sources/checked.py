"""Files of another project's source, whose content is checked whenever it is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from packdepth.blocks import blaming, package_of
from packdepth.errors import InputError
from packdepth.records import Clip, Frame, Readable, Scan

Shape = tuple[int | None, ...]
"""Shape of an array; None stands for any length."""


@dataclass(frozen=True, eq=False)
class CheckedFile:
    """File that is refused in one sentence if it is read as an array of another shape or dtype than it must have."""

    file: Readable  # the file as the source gave it
    kind: str  # kind of the source
    shape: Shape  # shape that the array must have
    dtype: str  # dtype that the array must have

    @property
    def path(self) -> Path:
        """Path of the file, for messages."""
        return self.file.path

    def read(self) -> np.ndarray:
        """Return the content. Raises InputError if it is not what it must be, or if the code that reads it fails."""
        with blaming(f"{self.path}: source '{self.kind}'", type(self.file)):
            array: object = self.file.read()
        if isinstance(array, np.ndarray) and _fits(array.shape, self.shape) and array.dtype == self.dtype:
            return array
        found = f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
        shape = ", ".join("N" if length is None else str(length) for length in self.shape)
        raise InputError(
            f"source '{self.kind}': {self.path} is read as {found}; return a numpy array of {self.dtype} [{shape}] "
            f"for it"
        )


class CheckedScan(CheckedFile):
    """LiDAR scan that is checked when it is read."""

    file: Scan

    @property
    def origin(self) -> np.ndarray:
        """Position of the scanner in the camera frame, [3], metres."""
        return self.file.origin


def _fits(shape: tuple[int, ...], wanted: Shape) -> bool:
    """Return whether an array has the shape that it must have."""
    return len(shape) == len(wanted) and all(w is None or length == w for length, w in zip(shape, wanted, strict=True))


def checked_image(kind: str, clip: Clip, frame: Frame) -> CheckedFile:
    """Return the image of a frame, checked when it is read.

    Args:
        kind: kind of the source.
        clip: the clip of the frame.
        frame: the frame.
    """
    return CheckedFile(frame.image, kind, (*clip.image_size(frame), 3), "uint8")


def checked_frame(kind: str, clip: Clip, frame: Frame) -> Frame:
    """Return a frame of a source of another project, with files that are checked whenever they are read.

    An image that is one of packdepth's own classes stays what it is: these return images of uint8, and the class tells
    what is known of the file.

    Args:
        kind: kind of the source.
        clip: the clip of the frame.
        frame: the frame.
    """
    size = clip.camera.height, clip.camera.width

    def checked(file: Readable | None, dtype: str, shape: Shape = size) -> CheckedFile | None:
        return None if file is None else CheckedFile(file, kind, shape, dtype)

    return replace(
        frame,
        image=frame.image if package_of(type(frame.image)) is None else checked_image(kind, clip, frame),
        right=checked(frame.right, "uint8", (*clip.image_size(frame), 3)),
        depth=checked(frame.depth, "float32"),
        lidar=None if frame.lidar is None else CheckedScan(frame.lidar, kind, (None, 3), "float32"),
        semantic=checked(frame.semantic, "uint8"),
        instance=checked(frame.instance, "int32"),
        moving=checked(frame.moving, "bool"),
    )
