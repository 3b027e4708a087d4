"""Depth maps as files of other programs: 16-bit PNG, float TIFF and OpenEXR, with texts that state unit and scale."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from packdepth.files import replacing

PNG_STEPS = 256  # steps per metre of a 16-bit depth PNG, as in KITTI
PNG_MAX = 65535  # largest value of 16 bits
PNG_SURE = 255  # value of confidence 1 in a PNG of 8 bits

EXR_MAGIC, EXR_VERSION = 20000630, 2  # first two numbers of an OpenEXR file of scanlines (OpenEXR File Layout)
EXR_FLOAT, EXR_ZIP = 2, 3  # codes of 32-bit floats and of zlib
EXR_ROWS = 16  # rows in a block of ZIP compression


def write_depth_png(path: Path, depth: np.ndarray, texts: Mapping[str, str] | None = None) -> None:
    """Write depth in KITTI's format: a 16-bit PNG of metres x 256, 0 where depth is unknown, at most 255.996 m.

    Args:
        path: the file.
        depth: depth [H, W], metres; not finite or not positive where unknown.
        texts: texts by their keyword, which the PNG carries; None for none.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "depth.png"
    >>> write_depth_png(path, np.array([[2.5, 0.0]]))
    >>> np.asarray(Image.open(path)).tolist()
    [[640, 0]]
    """
    known = np.isfinite(depth) & (depth > 0)
    steps = (np.where(known, depth, 0) * PNG_STEPS).round().clip(1, PNG_MAX)
    info = PngInfo()
    for keyword, text in (texts or {}).items():
        info.add_text(keyword, text)
    with replacing(path) as temporary:
        Image.fromarray(np.where(known, steps, 0).astype(np.uint16)).save(temporary, pnginfo=info)


def write_confidence_png(path: Path, confidence: np.ndarray) -> None:
    """Write confidence as a gray PNG of 8 bits: black is 0, white is 1.

    Args:
        path: the file.
        confidence: confidence [H, W] in [0, 1].

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "confidence.png"
    >>> write_confidence_png(path, np.array([[1.0, 0.4]]))
    >>> np.asarray(Image.open(path)).tolist()
    [[255, 102]]
    """
    info = PngInfo()
    info.add_text("unit", f"confidence x {PNG_SURE}")
    with replacing(path) as temporary:
        Image.fromarray((confidence * PNG_SURE).round().astype(np.uint8)).save(temporary, pnginfo=info)


def write_depth_tiff(
    path: Path, depth: np.ndarray, texts: Mapping[str, str], confidence: np.ndarray | None = None
) -> None:
    """Write depth as a TIFF of one channel of 32-bit floats, compressed without loss.

    Args:
        path: the file.
        depth: depth [H, W].
        texts: texts by their keyword; the file's ImageDescription holds them.
        confidence: confidence [H, W] in [0, 1], the second page of the file; None for none.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "depth.tiff"
    >>> write_depth_tiff(path, np.array([[2.5, 0.0]]), {"unit": "metre"})
    >>> picture = Image.open(path)
    >>> np.asarray(picture).tolist(), picture.tag_v2[270]
    ([[2.5, 0.0]], 'unit: metre')
    """
    words = "; ".join(f"{keyword}: {text}" for keyword, text in texts.items())
    with replacing(path) as temporary:
        more = [] if confidence is None else [Image.fromarray(confidence.astype(np.float32))]
        Image.fromarray(depth.astype(np.float32)).save(
            temporary,
            format="TIFF",
            compression="tiff_adobe_deflate",
            description=words,
            save_all=bool(more),
            append_images=more,
        )


def write_depth_exr(
    path: Path, depth: np.ndarray, texts: Mapping[str, str], confidence: np.ndarray | None = None
) -> None:
    """Write depth as OpenEXR: a channel "Y" of 32-bit floats, which every reader shows, compressed without loss.

    The format is that of "OpenEXR File Layout" (openexr.com): one part of scanlines with ZIP compression.

    Args:
        path: the file.
        depth: depth [H, W].
        texts: texts by their keyword, which become attributes of the header.
        confidence: confidence [H, W] in [0, 1], a second channel "confidence"; None for none.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "depth.exr"
    >>> write_depth_exr(path, np.array([[2.5, 0.0]]), {"unit": "metre"})
    >>> path.read_bytes()[:4].hex()
    '762f3101'
    """
    height, width = depth.shape
    channels = {"Y": depth} | ({} if confidence is None else {"confidence": confidence})  # in the order of their names
    rows = np.stack(list(channels.values()), axis=1).astype("<f4")  # [H, C, W]
    listed = b"".join(name.encode() + b"\0" + struct.pack("<iB3xii", EXR_FLOAT, 0, 1, 1) for name in channels)
    blocks = [_exr_block(rows[start : start + EXR_ROWS].tobytes()) for start in range(0, height, EXR_ROWS)]
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    attributes = [
        ("channels", "chlist", listed + b"\0"),
        ("compression", "compression", bytes([EXR_ZIP])),
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
        ("lineOrder", "lineOrder", b"\0"),  # top to bottom
        ("pixelAspectRatio", "float", struct.pack("<f", 1)),
        ("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
        *((keyword, "string", text.encode()) for keyword, text in texts.items()),
    ]
    header = struct.pack("<2i", EXR_MAGIC, EXR_VERSION)
    for name, kind, value in attributes:
        header += name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value
    header += b"\0"
    chunks = [struct.pack("<2i", EXR_ROWS * place, len(block)) + block for place, block in enumerate(blocks)]
    sizes = [len(header) + 8 * len(chunks), *map(len, chunks)]
    offsets = np.cumsum(sizes)[:-1].astype("<u8").tobytes()
    with replacing(path) as temporary:
        temporary.write_bytes(header + offsets + b"".join(chunks))


def _exr_block(raw: bytes) -> bytes:
    """Return a block of rows as ZIP compression stores it: even bytes before odd ones, differences, zlib.

    A block that would not become smaller is stored as it is.
    """
    values = np.frombuffer(raw, np.uint8)
    sorted_bytes = np.concatenate([values[0::2], values[1::2]])
    differences = sorted_bytes.copy()
    differences[1:] += 128 - sorted_bytes[:-1]
    packed = zlib.compress(differences.tobytes())
    return packed if len(packed) < len(raw) else raw
