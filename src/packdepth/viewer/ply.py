"""Reading of the point clouds that packdepth wrote (`packdepth.files.write_cloud`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from packdepth.errors import InputError
from packdepth.files import PLY_TYPES
from packdepth.geometry.voxels import Cloud
from packdepth.reading import refusing

END = b"end_header\n"
TYPES = {name: layout for layout, name in PLY_TYPES.items()}  # types of numpy by their name in a PLY


def read_ply(path: Path) -> tuple[Cloud, dict[str, str]]:
    """Return the points and colors of a PLY that packdepth wrote, and the texts of its header by their keyword.

    Args:
        path: the file.

    Raises InputError if it is no such file.

    >>> import tempfile
    >>> from packdepth.files import write_cloud
    >>> path = Path(tempfile.mkdtemp()) / "points.ply"
    >>> write_cloud(path, np.ones((2, 3)), np.zeros((2, 3), np.uint8), {"unit": "metre"})
    >>> cloud, texts = read_ply(path)
    >>> cloud.points.tolist(), texts
    ([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]], {'unit': 'metre'})
    """
    with refusing(path, "a point cloud that packdepth wrote", "predict again"):
        head, found, body = path.read_bytes().partition(END)
        lines = head.decode().splitlines()
        if not found or lines[:2] != ["ply", "format binary_little_endian 1.0"]:
            raise InputError(f"{path}: is no point cloud that packdepth wrote; name one of packdepth predict")
        texts = dict(line.removeprefix("comment ").split(": ", 1) for line in lines if line.startswith("comment "))
        layout = [(line.split()[2], TYPES[line.split()[1]]) for line in lines if line.startswith("property ")]
        vertices = np.frombuffer(body, dtype=layout)
        points = np.stack([vertices[axis] for axis in ("x", "y", "z")], axis=-1)
        colors = np.stack([vertices[color] for color in ("red", "green", "blue")], axis=-1)
        return Cloud(points, colors), texts
