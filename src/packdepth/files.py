"""Files written so that a failure leaves nothing half-written."""

from __future__ import annotations

import json
import math
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from packdepth.errors import InputError

PNG_STEPS = 256  # of a 16-bit depth PNG, per metre
JPEG: dict[str, Any] = {"quality": 95, "subsampling": 0}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, of the same suffix; what the block writes there takes `path`'s place at its end.

    If the block fails, `path` is as it was and the temporary file is gone. Folders on the way are made.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it. Raises InputError if that is impossible, such as where a file has its name."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made a folder ({error.strerror}); name another output") from None


def check_room(folder: Path, needed: float, advice: str) -> None:
    """Raise InputError, which ends with `advice`, if the disk of a folder has not as many bytes free as are needed."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{folder}: its disk has {size_in_words(free)} free, but about {size_in_words(needed)} are needed; {advice}"
        )


def size_in_words(count: float) -> str:
    """Bytes as people read them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def write_depth_png(path: Path, depth: np.ndarray) -> None:
    """Depth [H, W] as KITTI keeps it: a 16-bit PNG of metres x 256, 0 where there is none; saturates at 255.996 m."""
    known = np.isfinite(depth) & (depth > 0)
    steps = (np.where(known, depth, 0) * PNG_STEPS).round().clip(1, 65535)
    with replacing(path) as temporary:
        Image.fromarray(np.where(known, steps, 0).astype(np.uint16)).save(temporary)


def write_cloud(path: Path, points: np.ndarray, colors: np.ndarray) -> None:
    """Write a colored point cloud as binary PLY, one vertex for each point.

    Args:
        path: the file.
        points: points [N, 3]; written as float32.
        colors: colors [N, 3] uint8, RGB.
    """
    layout = [(axis, "<f4") for axis in ("x", "y", "z")] + [(color, "u1") for color in ("red", "green", "blue")]
    vertices = np.empty(len(points), dtype=layout)
    for (name, _), column in zip(layout, [*points.T, *colors.T], strict=True):
        vertices[name] = column
    properties = [f"property {'float' if kind == '<f4' else 'uchar'} {name}" for name, kind in layout]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}", *properties, "end_header"]
    with replacing(path) as temporary:
        temporary.write_bytes("\n".join([*header, ""]).encode() + vertices.tobytes())


def write_image(path: Path, image: np.ndarray) -> None:
    """Image [H, W, 3] uint8, RGB, or [H, W] uint8 or uint16, in the format of the path's suffix; JPEG barely lossy."""
    with replacing(path) as temporary:
        Image.fromarray(image).save(temporary, **(JPEG if path.suffix == ".jpg" else {}))


def claim(path: Path, text: str, what: str) -> None:
    """Write into a folder's file what the folder is to hold, or compare with what the file says.

    Raises InputError, which says that the folder holds `what`, if that is something else.
    """
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(text)
    elif path.read_text() != text:
        raise InputError(f"{path}: this folder holds {what}; name another folder, or remove it")


def finite(content: Any) -> Any:
    """What JSON is to hold: the same with None for numbers that are NaN or infinite, which JSON does not know."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def write_json(path: Path, content: Any) -> None:
    """JSON that any reader takes: of numbers that are NaN or infinite it holds null."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(finite(content), indent=2, allow_nan=False) + "\n", encoding="utf-8")
