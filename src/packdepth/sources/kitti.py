"""What KITTI's formats share: calibration files, projection matrices, frame numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from packdepth.errors import InputError
from packdepth.sources.files import read_text

Side = Literal["left", "right"]


def read_matrices(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The matrices of these names and shapes, float64, from a calibration file of lines `name: numbers`."""
    wanted = f"a calibration file with the lines {', '.join(f'{name}:' for name in shapes)}"
    lines = dict(line.split(":", 1) for line in read_text(path, wanted).splitlines() if ":" in line)
    matrices = {}
    for name, shape in shapes.items():
        if name not in lines:
            raise InputError(f"{path}: has no line '{name}:'; copy the file again")
        try:
            matrix = np.array(lines[name].split(), dtype=np.float64).reshape(shape)
        except ValueError:
            matrix = np.array(np.nan)
        if not np.isfinite(matrix).all():
            raise InputError(f"{path}: line '{name}:' does not hold {int(np.prod(shape))} numbers; copy the file again")
        matrices[name] = matrix
    return matrices


def camera_offset(projection: np.ndarray) -> np.ndarray:
    """Metres [3] from a rectified camera to the first one, which P [3, 4] is relative to: K^-1 times its last column.

    A point of the first camera's rectified frame plus the offset is the point in this camera's.
    """
    return np.linalg.solve(projection[:, :3], projection[:, 3])


def baseline(left: np.ndarray, right: np.ndarray) -> float:
    """Metres from the left camera to the right one, along x, of their projection matrices [3, 4]."""
    return float(camera_offset(left)[0] - camera_offset(right)[0])


def frame_number(image: Path) -> int:
    """The frame number that an image is named by."""
    if not image.stem.isdecimal():
        raise InputError(f"{image}: is not named by its frame number, such as 0000000000.png; rename it")
    return int(image.stem)


def check_covered(image: Path, rows: int, table: Path) -> None:
    """Raise InputError unless a table of `rows` lines, one a frame, has a line for this image."""
    if frame_number(image) >= rows:
        raise InputError(f"{image}: {table} has only {rows} lines, none for this frame; copy the file again")
