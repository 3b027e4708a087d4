"""Reading of the point clouds that packdepth wrote (`packdepth.files`), in PLY and in GLB."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

from packdepth.errors import InputError
from packdepth.files import CAMERA_AXES, GLTF_AXES, PLY_TYPES
from packdepth.geometry.voxels import Cloud
from packdepth.reading import refuse_special, refusing

END = b"end_header\n"
TYPES = {name: layout for layout, name in PLY_TYPES.items()}  # types of numpy by their name in a PLY
SUFFIXES = (".ply", ".glb")
"""The suffixes of the files that `read_cloud` reads."""


def read_cloud(path: Path) -> tuple[Cloud, dict[str, str]]:
    """Return the points and colors of a file that packdepth wrote, and the texts in it by their keyword.

    Args:
        path: a file with one of the `SUFFIXES`.

    Returns:
        The cloud, in the axes of a camera (x right, y down, z forward), and the texts.

    Raises InputError if it is no such file.

    >>> import tempfile
    >>> from packdepth.files import write_cloud, write_glb
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name, write in (("points.ply", write_cloud), ("points.glb", write_glb)):
    ...     write(folder / name, np.ones((1, 3)), np.full((1, 3), 7, np.uint8), {"unit": "metre"})
    ...     cloud, texts = read_cloud(folder / name)
    ...     print(cloud.points.tolist(), cloud.colors.tolist(), texts)
    [[1.0, 1.0, 1.0]] [[7, 7, 7]] {'unit': 'metre'}
    [[1.0, 1.0, 1.0]] [[7, 7, 7]] {'unit': 'metre'}
    """
    with refusing(path, "a point cloud that packdepth wrote", "predict again"):
        refuse_special(path)
        try:
            return _read_glb(path) if path.suffix == ".glb" else _read_ply(path)
        except KeyError:  # a property, a type or an entry that packdepth does not write, or one that is missing
            raise _foreign(path) from None


def _read_ply(path: Path) -> tuple[Cloud, dict[str, str]]:
    """Read what `write_cloud` wrote."""
    head, found, body = path.read_bytes().partition(END)
    lines = head.decode().splitlines()
    if not found or lines[:2] != ["ply", "format binary_little_endian 1.0"]:
        raise _foreign(path)
    comments = [line.removeprefix("comment ") for line in lines if line.startswith("comment ")]
    texts = dict(comment.split(": ", 1) for comment in comments if ": " in comment)
    layout = [(line.split()[2], TYPES[line.split()[1]]) for line in lines if line.startswith("property ")]
    vertices = np.frombuffer(body, dtype=layout)
    points = np.stack([vertices[axis] for axis in ("x", "y", "z")], axis=-1)
    colors = np.stack([vertices[color] for color in ("red", "green", "blue")], axis=-1)
    return Cloud(points, colors), texts


def _read_glb(path: Path) -> tuple[Cloud, dict[str, str]]:
    """Read what `write_glb` wrote: a chunk of JSON, and one of all positions and all linear colors of 16 bits."""
    content = path.read_bytes()
    (size,) = struct.unpack("<I", content[12:16])
    described = json.loads(content[20 : 20 + size])
    count, body = described["accessors"][0]["count"], content[28 + size :]
    if described["asset"].get("generator") != "packdepth" or len(body) != count * (3 * 4 + 4 * 2):
        raise _foreign(path)
    places = np.frombuffer(body[: count * 12], "<f4").reshape(count, 3)
    linear = np.frombuffer(body[count * 12 :], "<u2").reshape(count, 4)[:, :3] / 65535
    share = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    texts = {keyword: text.replace(GLTF_AXES, CAMERA_AXES) for keyword, text in described["asset"]["extras"].items()}
    return Cloud(places * np.array([1, -1, -1], np.float32), (share * 255).round().astype(np.uint8)), texts


def _foreign(path: Path) -> InputError:
    return InputError(f"{path}: is no point cloud that packdepth wrote; name one of packdepth predict or view --save")
