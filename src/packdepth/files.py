"""Writers of files. If one fails, no partly written file is left."""

from __future__ import annotations

import json
import math
import re
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from packdepth.disk import disk_error, put, unfinished
from packdepth.errors import InputError

PLY_TYPES = {"<f4": "float", "u1": "uchar", "<u2": "ushort"}  # names of numpy's types in a PLY
CAMERA_AXES, GLTF_AXES = "x right, y down, z forward", "x right, y up, z backward"  # in the texts of clouds
GLTF_POINTS, GLTF_UINT16, GLTF_FLOAT = 0, 5123, 5126  # of glTF: a primitive of points, and types of numbers
UNLIT = "KHR_materials_unlit"  # extension of glTF: colors are shown as they are, without any light
JPEG: dict[str, Any] = {"quality": 95, "subsampling": 0}  # no visible loss; full resolution of color


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, of the same suffix. The file there takes the place of `path` at the end.

    If the block fails, `path` is as before and the temporary file is removed. Missing folders are made.

    Args:
        path: the file to write.

    Raises InputError, which names `path`, if the disk is full or the folder is not to be written to.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with replacing(path) as temporary:
    ...     _ = temporary.write_text("hello")
    >>> path.read_text()
    'hello'
    """
    make_folder(path.parent)
    with unfinished(path) as temporary:
        yield temporary
        put(temporary, path)


def check_local(path: Path) -> None:
    """Raise InputError for an output whose name libraries take for the address of other storage, such as s3://bucket.

    Args:
        path: the file or folder to write.

    >>> check_local(Path("runs/mine"))
    >>> check_local(Path("s3://bucket/run"))
    Traceback (most recent call last):
    packdepth.errors.InputError: s3:/bucket/run: is an address, not a path; name a folder of this machine, without ':'
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", str(path)) or "::" in str(path):
        raise InputError(f"{path}: is an address, not a path; name a folder of this machine, without ':'")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Args:
        folder: the folder. It may exist.

    Raises InputError if that is impossible, such as when a file has its name.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "runs" / "first"
    >>> make_folder(folder)
    >>> folder.is_dir()
    True
    """
    check_local(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = disk_error(error, folder)
        if said is not None:
            raise said from None
        raise InputError(f"{folder}: cannot be made a folder ({error.strerror}); name another output") from None


def say_replaced(paths: Iterable[Path]) -> None:
    """Print which files and folders of an earlier command will be replaced, as a line on standard error.

    Results that are quickly computed again are replaced; run files, runs, checkpoints and imports never are.

    Args:
        paths: what will be written.
    """
    found = [str(path) for path in paths if path.exists()]
    if found:
        print(f"replaced: {', '.join(found)}", file=sys.stderr)


def write_cloud(
    path: Path,
    points: np.ndarray,
    colors: np.ndarray,
    texts: Mapping[str, str] | None = None,
    views: np.ndarray | None = None,
    confidence: np.ndarray | None = None,
) -> None:
    """Write a colored point cloud as binary PLY, one vertex for each point.

    Args:
        path: the file.
        points: points [N, 3]; written as float32.
        colors: colors [N, 3] uint8, RGB.
        texts: texts by their keyword, which become comments of the header; None for none.
        views: for each point, the number of frames that it was averaged over, [N]; None leaves this property out.
        confidence: for each point, its confidence in [0, 1], [N]; None leaves this property out.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "points.ply"
    >>> write_cloud(path, np.zeros((5, 3)), np.zeros((5, 3), np.uint8), {"unit": "metre"})
    >>> path.read_bytes().splitlines()[2:4]
    [b'comment unit: metre', b'element vertex 5']
    """
    layout = [(axis, "<f4") for axis in ("x", "y", "z")] + [(color, "u1") for color in ("red", "green", "blue")]
    columns = [*points.T, *colors.T]
    if views is not None:
        layout, columns = [*layout, ("views", "<u2")], [*columns, views]
    if confidence is not None:
        layout, columns = [*layout, ("confidence", "<f4")], [*columns, confidence]
    vertices = np.empty(len(points), dtype=layout)
    for (name, _), column in zip(layout, columns, strict=True):
        vertices[name] = column
    comments = [f"comment {keyword}: {text}" for keyword, text in (texts or {}).items()]
    properties = [f"property {PLY_TYPES[kind]} {name}" for name, kind in layout]
    header = ["ply", "format binary_little_endian 1.0", *comments, f"element vertex {len(vertices)}", *properties]
    with replacing(path) as temporary:
        temporary.write_bytes("\n".join([*header, "end_header", ""]).encode() + vertices.tobytes())


def write_glb(path: Path, points: np.ndarray, colors: np.ndarray, texts: Mapping[str, str] | None = None) -> None:
    """Write a colored point cloud as binary glTF 2.0, whose y axis points up.

    Args:
        path: the file.
        points: points [N, 3] in the axes of a camera (x right, y down, z forward); they are turned to those of glTF
            (x right, y up, z backward) and written as float32.
        colors: colors [N, 3] uint8, RGB, in sRGB. glTF keeps them linear, in 16 bits.
        texts: texts by their keyword, which become `extras` of the asset; None for none. Where they name the axes
            of a camera, those of glTF take their place.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "points.glb"
    >>> write_glb(path, np.zeros((5, 3)), np.zeros((5, 3), np.uint8))
    >>> path.read_bytes()[:4]
    b'glTF'
    """
    places = (points * [1, -1, -1]).astype("<f4")
    extras = {keyword: text.replace(CAMERA_AXES, GLTF_AXES) for keyword, text in (texts or {}).items()}
    share = np.concatenate([colors, np.full((len(colors), 1), 255, np.uint8)], axis=1) / 255
    share[:, :3] = np.where(share[:, :3] <= 0.04045, share[:, :3] / 12.92, ((share[:, :3] + 0.055) / 1.055) ** 2.4)
    blocks = [places.tobytes(), (share * 65535).round().astype("<u2").tobytes()]
    low, high = (places.min(0), places.max(0)) if len(places) else (np.zeros(3), np.zeros(3))
    content = {
        "asset": {"version": "2.0", "generator": "packdepth", "extras": extras},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "points"}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 1}, "mode": GLTF_POINTS, "material": 0}]}],
        "materials": [{"extensions": {UNLIT: {}}, "pbrMetallicRoughness": {"metallicFactor": 0}}],
        "extensionsUsed": [UNLIT],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": GLTF_FLOAT,
                "count": len(places),
                "type": "VEC3",
                "min": low.tolist(),
                "max": high.tolist(),
            },
            {
                "bufferView": 1,
                "componentType": GLTF_UINT16,
                "normalized": True,
                "count": len(places),
                "type": "VEC4",
            },
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": len(blocks[0])},
            {"buffer": 0, "byteOffset": len(blocks[0]), "byteLength": len(blocks[1])},
        ],
        "buffers": [{"byteLength": sum(map(len, blocks))}],
    }
    text = json.dumps(content).encode()
    chunks = [(b"JSON", text + b" " * (-len(text) % 4)), (b"BIN\0", b"".join(blocks))]
    body = b"".join(struct.pack("<I", len(chunk)) + kind + chunk for kind, chunk in chunks)
    with replacing(path) as temporary:
        temporary.write_bytes(b"glTF" + struct.pack("<II", 2, 12 + len(body)) + body)


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image in the format of its file's suffix. JPEG is written with little loss.

    Args:
        path: the file.
        image: [H, W, 3] uint8, RGB, or [H, W] uint8 or uint16.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "image.png"
    >>> write_image(path, np.zeros((4, 6, 3), np.uint8))
    >>> Image.open(path).size
    (6, 4)
    """
    with replacing(path) as temporary:
        Image.fromarray(image).save(temporary, **(JPEG if path.suffix == ".jpg" else {}))


def claim(path: Path, text: str, what: str) -> None:
    """Mark a folder with a text file that identifies its content, or check that it is already marked with this text.

    Args:
        path: the text file, in the folder.
        text: the text.
        what: description of the folder's content if the text differs, for the error message.

    Raises InputError if the file exists with a different text.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "features.txt"
    >>> claim(path, "fpn", "features of another network")
    >>> claim(path, "fpn", "features of another network")  # the same again is no error
    """
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(text)
    elif path.read_text() != text:
        raise InputError(f"{path}: this folder holds {what}; name another folder, or remove it")


def finite(content: Any) -> Any:
    """Return content for JSON: with None in place of numbers that are NaN or infinite, which JSON does not have.

    Args:
        content: dictionaries, lists, tuples and values, nested.

    >>> finite({"scores": [0.5, math.nan]})
    {'scores': [0.5, None]}
    """
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def write_json(path: Path, content: Any) -> None:
    """Write JSON that any reader accepts: with null in place of numbers that are NaN or infinite.

    Args:
        path: the file.
        content: dictionaries, lists, tuples and values, nested.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "scores.json"
    >>> write_json(path, {"score": math.nan})
    >>> json.loads(path.read_text())
    {'score': None}
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(finite(content), indent=2, allow_nan=False) + "\n", encoding="utf-8")
