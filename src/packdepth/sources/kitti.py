"""Common parts of KITTI's two formats: calibration files, projection matrices, frame numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from packdepth.errors import InputError
from packdepth.sources.files import read_text

Side = Literal["left", "right"]  # camera of a stereo pair


def read_matrices(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Read matrices from a calibration file of lines `name: numbers`: float64, by name.

    Args:
        path: the calibration file. Raises InputError if a matrix is missing or damaged.
        shapes: shape of each matrix to read, by its name.
    """
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
    """Return the translation from KITTI's first rectified camera to another one: [3] metres.

    A point in the first camera's frame plus this offset is the point in the other camera's frame. The offset is K^-1
    times the last column of the projection matrix.

    Args:
        projection: [3, 4] projection matrix P of the other camera.

    >>> camera_offset(np.array([[700.0, 0, 600, -378], [0, 700, 180, 0], [0, 0, 1, 0]])).round(2)[0]
    np.float64(-0.54)
    """
    return np.linalg.solve(projection[:, :3], projection[:, 3])


def baseline(left: np.ndarray, right: np.ndarray) -> float:
    """Return the distance from the left camera to the right one along x, in metres.

    Args:
        left: [3, 4] projection matrix of the left camera.
        right: [3, 4] projection matrix of the right camera.
    """
    return float(camera_offset(left)[0] - camera_offset(right)[0])


def frame_number(image: Path) -> int:
    """Return the frame number in the name of an image.

    Args:
        image: path of the image. Raises InputError if its name is no number.

    >>> frame_number(Path("image_02/data/0000000012.png"))
    12
    """
    if not image.stem.isdecimal():
        raise InputError(f"{image}: is not named by its frame number, such as 0000000000.png; rename it")
    return int(image.stem)


def check_covered(image: Path, rows: int, table: Path) -> None:
    """Raise InputError if a table with one line for each frame has no line for an image.

    Args:
        image: path of the image, named by its frame number.
        rows: number of lines of the table.
        table: path of the table, for the message.
    """
    if frame_number(image) >= rows:
        raise InputError(f"{image}: {table} has only {rows} lines, none for this frame; copy the file again")
