"""KITTI odometry: `sequences/NN/{calib.txt, times.txt, image_0..3/}` and `poses/NN.txt`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.records import Clip, Frame, Readable
from packdepth.sources.base import Source
from packdepth.sources.files import DepthPng, ImageFile, check_size, image_size, listed, require


class KittiOdometry(Source):
    """Sequences of the KITTI odometry benchmark.

    Times, images and calibration are required, poses are used where they exist. A folder `depth_<i>` beside
    `image_<i>` (16-bit PNG, metres x 256), no part of the benchmark, gives measured depth where it exists.
    """

    kind: Literal["kitti_odometry"]
    root: Path
    """The folder that holds `sequences/` and `poses/`."""
    sequences: list[str]
    """Such as ["06"]."""
    cameras: list[Literal["left", "right"]] = ["left"]
    """One clip each; a left clip carries its right images."""
    colour: bool = False
    """Use the colour cameras (image_2, image_3), not the grey ones (image_0, image_1)."""

    def find(self) -> list[Clip]:
        """One clip for each sequence and camera."""
        return [self._clip(sequence, camera) for sequence in self.sequences for camera in self.cameras]

    def _clip(self, sequence: str, camera: Literal["left", "right"]) -> Clip:
        folder = require(self.root / "sequences" / sequence, f"KITTI odometry sequence {sequence}")
        left, right = (2, 3) if self.colour else (0, 1)
        index = left if camera == "left" else right
        images = listed(folder / f"image_{index}", (".png", ".jpg"), f"the images of the {camera} camera")
        times = _numbers(folder / "times.txt", 1)[:, 0]
        projections = _projections(folder / "calib.txt", (left, right))
        poses = self._poses(sequence, projections[index])
        numbers = [_number(path, len(times), poses) for path in images]
        height, width = image_size(images[0])
        for path in images:
            check_size(path, height, width, images[0])
        self._check_calibration(folder / "calib.txt", projections[index], height, width)
        frames = tuple(
            Frame(
                name=path.stem,
                time=float(times[number]),
                image=ImageFile(path),
                right=_beside(path, f"image_{right}", ImageFile) if camera == "left" else None,
                depth=_beside(path, f"depth_{index}", DepthPng),
                pose=None if poses is None else poses[number],
            )
            for path, number in zip(images, numbers, strict=True)
        )
        return Clip(
            name=f"kitti_odometry/{sequence}/{camera}",
            path=folder,
            camera=Camera.from_matrix(projections[index][:, :3], width, height),
            frames=frames,
            baseline=_offset(projections[left]) - _offset(projections[right]) if camera == "left" else None,
        )

    def _poses(self, sequence: str, projection: np.ndarray) -> np.ndarray | None:
        """T_world_camera [N, 4, 4] of a camera, from the poses of the left grey one; None without a file."""
        path = self.root / "poses" / f"{sequence}.txt"
        if not path.exists():
            return None
        rows = _numbers(path, 12)
        poses = np.tile(np.eye(4), (len(rows), 1, 1))
        poses[:, :3] = rows.reshape(-1, 3, 4)
        T_grey_camera = np.eye(4)
        T_grey_camera[0, 3] = -_offset(projection)
        return poses @ T_grey_camera

    @staticmethod
    def _check_calibration(path: Path, projection: np.ndarray, height: int, width: int) -> None:
        cx, cy = projection[0, 2], projection[1, 2]
        if not (0.25 * width < cx < 0.75 * width and 0.1 * height < cy < 0.9 * height):
            raise InputError(
                f"{path}: its principal point ({cx:.1f}, {cy:.1f}) is far from the centre of images of "
                f"{width}x{height} pixels; give the calibration of these images, or resize them back"
            )


def _projections(path: Path, needed: tuple[int, ...]) -> dict[int, np.ndarray]:
    """The projection matrices P0 to P3 [3, 4] of a calibration file."""
    require(path, "the calibration (lines 'P0: ...' of 12 numbers)")
    found = {}
    for line in path.read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name in ("P0", "P1", "P2", "P3"):
            try:
                found[int(name[1])] = np.array(numbers.split(), dtype=np.float64).reshape(3, 4)
            except ValueError:
                raise InputError(f"{path}: line {name} does not hold 12 numbers; copy the file again") from None
    missing = [f"P{index}" for index in needed if index not in found]
    if missing:
        raise InputError(f"{path}: has no line {' and '.join(missing)}; copy the file again")
    return found


def _offset(projection: np.ndarray) -> float:
    """Metres along x from the camera to the left grey camera: the fourth column of P over its focal length."""
    return float(projection[0, 3] / projection[0, 0])


def _numbers(path: Path, columns: int) -> np.ndarray:
    """A text table [N, columns], float64."""
    require(path, f"a text file of {columns} numbers a line")
    try:
        table = np.loadtxt(path, dtype=np.float64, ndmin=2)
    except ValueError as error:
        raise InputError(f"{path}: is no table of numbers ({error}); copy the file again") from None
    if table.shape[1] != columns:
        raise InputError(f"{path}: has {table.shape[1]} numbers a line where {columns} are needed")
    return table


def _number(image: Path, times: int, poses: np.ndarray | None) -> int:
    """The frame number of an image, which times and poses must cover."""
    if not image.stem.isdigit():
        raise InputError(f"{image}: is not named by its frame number, such as 000000.png; rename it")
    number = int(image.stem)
    if number >= times:
        raise InputError(f"{image}: times.txt beside it has {times} lines only, none for this frame")
    if poses is not None and number >= len(poses):
        raise InputError(f"{image}: the poses of its sequence have {len(poses)} lines only, none for this frame")
    return number


def _beside(image: Path, folder: str, kind: Callable[[Path], Readable]) -> Readable | None:
    """The file of the same name in a sibling folder, if it exists."""
    path = image.parent.parent / folder / image.name
    return kind(path) if path.exists() else None
