"""Files that hold one frame's image, depth, points or labels, read when they are needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from packdepth.errors import InputError


def require(path: Path, what: str) -> Path:
    """`path`, if it exists; else an error that says what it would be."""
    if not path.exists():
        raise InputError(f"{path}: not found; it would be {what}")
    return path


def listed(folder: Path, suffixes: tuple[str, ...], what: str) -> list[Path]:
    """The files of a folder with one of these suffixes, by name. An empty or missing folder is an error."""
    require(folder, what)
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)
    if not found:
        raise InputError(f"{folder}: holds no {' or '.join(suffixes)} file; it should hold {what}")
    return found


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image file, from its header."""
    with _opened(path) as image:
        return image.height, image.width


def check_size(path: Path, height: int, width: int, calibration: Path) -> None:
    """Raise InputError unless the image is of the size that its calibration is for."""
    found = image_size(path)
    if found != (height, width):
        raise InputError(
            f"{path}: is {found[1]}x{found[0]} pixels, but {calibration} is for {width}x{height}; "
            f"give the calibration of these images"
        )


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; the clip needs it") from None
    except (UnidentifiedImageError, OSError) as error:
        raise InputError(f"{path}: is not an image that can be read ({error}); write it again") from None


def _pixels(path: Path, mode: str | None) -> np.ndarray:
    with _opened(path) as image:
        try:
            return np.asarray(image.convert(mode) if mode else image)
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"{path}: is truncated or broken ({error}); write it again") from None


@dataclass(frozen=True)
class ImageFile:
    """An image of any kind that Pillow reads; grey ones become RGB."""

    path: Path

    def read(self) -> np.ndarray:
        """[H, W, 3] uint8, RGB."""
        return _pixels(self.path, "RGB")


@dataclass(frozen=True)
class DepthPng:
    """A depth map as KITTI keeps it: 16-bit PNG, metres x 256, 0 where unknown."""

    path: Path

    def read(self) -> np.ndarray:
        """[H, W] float32, metres, 0 where unknown."""
        values = _pixels(self.path, None)
        if values.ndim != 2 or values.dtype == np.uint8:
            raise InputError(f"{self.path}: is no 16-bit grey PNG; depth maps hold metres x 256 in 16 bits")
        return values.astype(np.float32) / 256


@dataclass(frozen=True)
class LabelPng:
    """Semantic class ids: 8-bit PNG."""

    path: Path

    def read(self) -> np.ndarray:
        """[H, W] uint8, class ids."""
        values = _pixels(self.path, None)
        if values.ndim != 2 or values.dtype != np.uint8:
            raise InputError(f"{self.path}: is no 8-bit grey or palette PNG; labels are class ids from 0 to 255")
        return values


@dataclass(frozen=True)
class PointsNpz:
    """Points of a scan in the camera frame: an npz with `points` [N, 3], metres."""

    path: Path

    def read(self) -> np.ndarray:
        """[N, 3] float32, metres, in the camera frame."""
        try:
            with np.load(self.path, allow_pickle=False) as content:
                points = content["points"]
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise InputError(f"{self.path}: is no npz with an array 'points' ({error}); write it again") from None
        if points.ndim != 2 or points.shape[1] < 3:
            raise InputError(f"{self.path}: 'points' has shape {points.shape}; it must be [N, 3], metres")
        return points[:, :3].astype(np.float32)
