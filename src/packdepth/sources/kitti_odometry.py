"""KITTI odometry: `sequences/NN/{calib.txt, times.txt, image_0..3/}` and `poses/NN.txt`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.records import Clip, Frame
from packdepth.sources.base import Source
from packdepth.sources.files import DepthPng, ImageFile, check_sizes, common_size, found, read_text, require, required
from packdepth.sources.kitti import (
    Side,
    baseline,
    camera_offset,
    check_covered,
    frame_number,
    read_matrices,
)
from packdepth.sources.rigid import rigid
from packdepth.sources.stills import IMAGES

RATE = 10.0  # nominal frames per second
CENTER_COLUMNS = (0.25, 0.75)  # of the width: limits of a plausible principal point; chosen by eye
CENTER_ROWS = (0.1, 0.9)  # of the height: limits of a plausible principal point; chosen by eye


class KittiOdometry(Source):
    """Sequences of the KITTI odometry benchmark.

    Times, images and calibration are required; poses are used where they exist. Measured depth is read from a folder
    `depth_<i>` beside `image_<i>` (16-bit PNG, metres x 256), if there is one; it is not part of the benchmark.
    """

    renamed: ClassVar[Mapping[str, str]] = {"colour": "color"}
    kind: Literal["kitti_odometry"] = "kitti_odometry"
    root: Path
    """Folder that holds `sequences/` and `poses/`."""
    sequences: Annotated[list[str], Field(min_length=1)] | None = None
    """Sequences to use, such as ["06"]; all that exist if left out."""
    cameras: Annotated[tuple[Side, ...], Field(min_length=1)] = ("left",)
    """Cameras to use; each becomes a clip. A left clip also holds the right images."""
    color: bool = False
    """Use the color cameras (image_2, image_3) instead of the gray ones (image_0, image_1)."""

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a folder holds sequences, or is one.

        Args:
            path: file or folder.
        """
        return path.is_dir() and bool(_sequences_at(path))

    @classmethod
    def block(cls, path: Path) -> dict[str, Any]:
        """Return root and sequences of the data at a path, and the color cameras if there are any.

        Args:
            path: root, the folder above it, or one sequence.
        """
        sequences = _sequences_at(path)
        if not sequences:
            return super().block(path)
        color = any((sequence / "image_2").is_dir() for sequence in sequences)
        names = [sequence.name for sequence in sequences]
        return {"root": str(sequences[0].parents[1]), "sequences": names, "color": color}

    def find(self) -> list[Clip]:
        """Find one clip for each sequence and camera."""
        sequences = self.sequences or sorted(path.parent.name for path in self.root.glob("sequences/*/times.txt"))
        if not sequences:
            raise InputError(f"{self.root}: holds no sequences/NN/times.txt; give the folder that holds sequences/")
        return [self._clip(sequence, side) for sequence in sequences for side in self.cameras]

    def _clip(self, sequence: str, side: Side) -> Clip:
        """Make the clip of a sequence and camera."""
        folder = require(self.root / "sequences" / sequence, f"KITTI odometry sequence {sequence}")
        left, right = (2, 3) if self.color else (0, 1)
        index = left if side == "left" else right
        images = required(folder / f"image_{index}", IMAGES, ImageFile, f"the images of the {side} camera")
        rights = found(folder / f"image_{right}", IMAGES, ImageFile) if side == "left" else {}
        depths = found(folder / f"depth_{index}", (".png",), DepthPng)
        calibration = folder / "calib.txt"
        projections = read_matrices(calibration, {f"P{left}": (3, 4), f"P{right}": (3, 4)})
        projection = projections[f"P{index}"]
        height, width = common_size(images.values())
        _check_center(calibration, projection, height, width)
        check_sizes([*rights.values(), *depths.values()], height, width, calibration)
        times = read_table(folder / "times.txt", 1)[:, 0]
        poses = self._poses(sequence, projection)
        frames = []
        for name, image in images.items():
            check_covered(image.path, len(times), folder / "times.txt")
            if poses is not None:
                check_covered(image.path, len(poses), self._pose_file(sequence))
            number = frame_number(image.path)
            frames.append(
                Frame(
                    name=name,
                    time=float(times[number]),
                    image=image,
                    right=rights.get(name),
                    depth=depths.get(name),
                    pose=None if poses is None else poses[number],
                )
            )
        return Clip(
            name=f"kitti_odometry/{sequence}/{side}",
            drive=sequence,
            interval=1 / RATE,
            path=folder,
            camera=Camera.from_matrix(projection[:, :3], width, height),
            frames=tuple(frames),
            baseline=baseline(projections[f"P{left}"], projections[f"P{right}"]) if side == "left" else None,
        )

    def _pose_file(self, sequence: str) -> Path:
        """Return the path of a sequence's poses."""
        return self.root / "poses" / f"{sequence}.txt"

    def _poses(self, sequence: str, projection: np.ndarray) -> np.ndarray | None:
        """Compute T_world_camera [N, 4, 4] of a camera from the left gray camera's poses; None if there is no file."""
        if not self._pose_file(sequence).exists():
            return None
        rows = read_table(self._pose_file(sequence), 12)
        poses = np.tile(np.eye(4), (len(rows), 1, 1))
        poses[:, :3] = rows.reshape(-1, 3, 4)
        poses @= rigid(translation=-camera_offset(projection))  # T_gray_camera
        return poses


def _sequences_at(path: Path) -> list[Path]:
    """Return the sequences of a root or of the folder above it; of a path that is a sequence, this one."""
    path = path.absolute()
    single = path.parent.name == "sequences"
    folders = [path] if single else [*path.glob("sequences/*"), *path.glob("dataset/sequences/*")]
    return sorted(folder for folder in folders if (folder / "times.txt").exists() or (folder / "calib.txt").exists())


def _check_center(calibration: Path, projection: np.ndarray, height: int, width: int) -> None:
    """Raise InputError if the calibration is clearly for another image size; its file does not hold the size."""
    cx, cy = projection[0, 2], projection[1, 2]
    (left, right), (top, bottom) = CENTER_COLUMNS, CENTER_ROWS
    if not (left * width < cx < right * width and top * height < cy < bottom * height):
        raise InputError(
            f"{calibration}: its principal point ({cx:.1f}, {cy:.1f}) is far from the center of images of "
            f"{width}x{height} pixels; give the calibration of these images, or resize them back"
        )


def read_table(path: Path, columns: int) -> np.ndarray:
    """Read a text table of numbers: [N, columns] float64.

    Args:
        path: the table. Raises InputError if it is empty, or holds something else than finite numbers.
        columns: numbers in each line.
    """
    text = read_text(path, f"a text file with {columns} numbers a line")
    if not text.strip():
        raise InputError(f"{path}: is empty; copy the file again")
    try:
        table = np.loadtxt(text.splitlines(), dtype=np.float64, ndmin=2, comments=None)
    except ValueError as error:
        raise InputError(f"{path}: is no table of numbers ({error}); copy the file again") from None
    if not np.isfinite(table).all():
        row = int(np.argmin(np.isfinite(table).all(axis=1)))
        raise InputError(f"{path}: row {row + 1} holds a number that is not finite; copy the file again")
    if table.shape[1] != columns:
        raise InputError(f"{path}: has {table.shape[1]} numbers a line where {columns} are needed; copy the file again")
    return table
