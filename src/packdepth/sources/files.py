"""Files that hold the image, depth, points or labels of one frame. They are read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from packdepth.errors import InputError
from packdepth.records import Readable

IMAGES = (".png", ".jpg", ".jpeg")  # suffixes of images
ENDS = {".png": b"IEND\xaeB`\x82", ".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9"}  # bytes at the end of a complete file
TAIL = 4096  # bytes at the end of a file in which `ENDS` is sought: some cameras append a little data
POINT_BYTES = 16  # bytes of a point in KITTI's scans: four float32

ORIENTATION = 0x0112  # tag of EXIF
TURNS = {  # how to turn an image upright, by the orientation in EXIF
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
QUARTER_TURNS = {TURNS[orientation] for orientation in (5, 6, 7, 8)}  # rows become columns

T = TypeVar("T")

# --- finding ----------------------------------------------------------------------------------------------------


def require(path: Path, what: str) -> Path:
    """Return a path that exists. Raises InputError if it does not.

    Args:
        path: file or folder.
        what: description of the file or folder, for the message.
    """
    if not path.exists():
        raise InputError(f"{path}: not found; it would be {what}")
    return path


def read_text(path: Path, what: str) -> str:
    """Read a text file. Raises InputError if it is missing or not UTF-8.

    Args:
        path: the file.
        what: description of the file, for the message.
    """
    try:
        return require(path, what).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error}); it should be {what}") from None


def found(folder: Path, suffixes: tuple[str, ...], kind: Callable[[Path], T]) -> dict[str, T]:
    """Return the files of a folder by name (without suffix), sorted; none if the folder does not exist.

    Args:
        folder: the folder.
        suffixes: suffixes of the files to return, in lower case.
        kind: function that turns a path into the value that is returned for it, such as `ImageFile`.

    Raises InputError for two files of one name.
    """
    paths: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            if path.stem in paths:
                raise InputError(f"{path}: is a second file for this frame, after {paths[path.stem].name}; remove one")
            paths[path.stem] = path
    return {name: kind(path) for name, path in paths.items()}


def required(folder: Path, suffixes: tuple[str, ...], kind: Callable[[Path], T], what: str) -> dict[str, T]:
    """Return the files of a folder like `found`. Raises InputError if the folder is missing or empty.

    Args:
        folder: the folder.
        suffixes: suffixes of the files to return, in lower case.
        kind: function that turns a path into the value that is returned for it, such as `ImageFile`.
        what: description of what the folder should hold, for the message.
    """
    files = found(require(folder, f"the folder of {what}"), suffixes, kind)
    if not files:
        raise InputError(f"{folder}: holds no {' or '.join(suffixes)} file; it should hold {what}")
    return files


# --- image sizes ------------------------------------------------------------------------------------------------


def image_size(path: Path) -> tuple[int, int]:
    """Return height and width of an image file in pixels, read from its header, upright as EXIF asks for.

    Args:
        path: the image file. Raises InputError if it is missing, no image, or truncated.
    """
    with _opened(path) as image:
        swapped = turn_of(image) in QUARTER_TURNS
        size = (image.width, image.height) if swapped else (image.height, image.width)
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - TAIL, 0))
        if ENDS[path.suffix.lower()] not in file.read():
            raise InputError(f"{path}: is truncated (its end is missing); write it again")
    return size


def common_size(images: Iterable[Readable]) -> tuple[int, int]:
    """Return height and width, in pixels, that all image files share.

    Args:
        images: image files, at least one. Raises InputError for the first one of another size.
    """
    first, *others = images
    height, width = image_size(first.path)
    for image in others:
        other = image_size(image.path)
        if other != (height, width):
            raise InputError(
                f"{image.path}: is {other[1]}x{other[0]} pixels, but {first.path.name} is {width}x{height}; "
                f"the images of a clip must be of one size"
            )
    return height, width


def check_sizes(images: Iterable[Readable], height: int, width: int, calibration: Path) -> None:
    """Raise InputError unless all image files have the size that their calibration is for.

    Args:
        images: image files.
        height: height that the calibration is for, in pixels.
        width: width that the calibration is for, in pixels.
        calibration: file of the calibration, for the message.
    """
    for image in images:
        size = image_size(image.path)
        if size != (height, width):
            raise InputError(
                f"{image.path}: is {size[1]}x{size[0]} pixels, but {calibration} is for {width}x{height}; "
                f"give the calibration of these images, or resize them back"
            )


# --- reading ----------------------------------------------------------------------------------------------------


def _opened(path: Path) -> Image.Image:
    """Open an image file; its pixels are not read yet."""
    try:
        return Image.open(path)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; it would be an image") from None
    except UnidentifiedImageError:
        raise InputError(f"{path}: is not an image that can be read; write it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); write it again") from None


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """Return how to turn an image upright, as EXIF asks for; None if it is upright.

    Args:
        image: an open image. Its pixels are not read.

    >>> turn_of(Image.new("RGB", (4, 2))) is None
    True
    """
    if image.format == "PNG" and "exif" not in image.info:
        return None  # Pillow would decode the whole image to look for EXIF behind its pixels.
    try:
        return TURNS.get(image.getexif().get(ORIENTATION, 1))
    except (OSError, SyntaxError, ValueError, TypeError, KeyError):  # what Pillow raises for damaged EXIF
        return None


def check_mode(image: Image.Image, name: str) -> None:
    """Raise InputError for pixels of more than 8 bits a channel, which Pillow would cut to white.

    Args:
        image: an open image.
        name: file or argument that the message begins with.
    """
    if image.mode[0] in "IF":
        raise InputError(f"{name}: has pixels of more than 8 bits ({image.mode}); convert it to 8 bits a channel")


def _pixels(path: Path, mode: str | None) -> np.ndarray:
    """Read the pixels of an image file, converted to one of Pillow's modes, or as they are if it is None.

    RGB images are upright: a phone held upright writes its images lying, and the orientation in EXIF.
    """
    with _opened(path) as image:
        if mode == "RGB":
            check_mode(image, str(path))
        turn = turn_of(image) if mode == "RGB" else None
        try:
            image.load()
            upright = image if turn is None else image.transpose(turn)
            return np.asarray(upright.convert(mode) if mode else upright)
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"{path}: is truncated or broken ({error}); write it again") from None


def read_gray16(path: Path, holds: str) -> np.ndarray:
    """Read a 16-bit gray PNG: [H, W].

    Args:
        path: the file. Raises InputError if it is no 16-bit gray PNG.
        holds: half a sentence that describes the content, for the message.
    """
    values = _pixels(path, None)
    if values.ndim != 2 or values.dtype.itemsize < 2:
        raise InputError(f"{path}: is no 16-bit gray PNG; {holds}")
    return values


def read_array(path: Path, name: str, default: np.ndarray | None = None) -> np.ndarray:
    """Read an array of numbers from an npz file.

    Args:
        path: the file. Raises InputError if it is damaged.
        name: name of the array in the file.
        default: array to return if the file holds none of this name; None to raise InputError then.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            array: np.ndarray = content[name] if default is None or name in content else default
    except Exception as error:  # numpy raises what zipfile, zlib and its own parser raise
        raise InputError(f"{path}: is no npz with an array '{name}' ({error}); write it again") from None
    if array.dtype.kind not in "fiu":
        raise InputError(f"{path}: '{name}' holds no numbers but {array.dtype}; write it again")
    return array


@dataclass(frozen=True)
class ImageFile:
    """Image file of any format that Pillow reads. Gray images become RGB."""

    path: Path  # file of the image

    def read(self) -> np.ndarray:
        """Read the image: [H, W, 3] uint8, RGB."""
        return _pixels(self.path, "RGB")


@dataclass(frozen=True)
class DepthPng:
    """Depth map in a 16-bit PNG, 0 where depth is unknown. KITTI stores metres x 256."""

    path: Path  # file of the depth map
    steps: int = 256  # value of one metre
    unknown: int = 0  # further value that stands for unknown depth, besides 0

    def read(self) -> np.ndarray:
        """Read the depth map: [H, W] float32, metres, 0 where unknown."""
        values = read_gray16(self.path, f"depth maps hold metres x {self.steps} in 16 bits")
        return np.where(values == self.unknown, 0, values).astype(np.float32) / self.steps


@dataclass(frozen=True)
class LabelPng:
    """Label map in an 8-bit PNG: semantic class ids."""

    path: Path  # file of the label map

    def read(self) -> np.ndarray:
        """Read the label map: [H, W] uint8, class ids."""
        values = _pixels(self.path, None)
        if values.ndim != 2 or values.dtype != np.uint8:
            raise InputError(f"{self.path}: is no 8-bit gray or palette PNG; labels are class ids from 0 to 255")
        return values


@dataclass(frozen=True)
class InstancePng:
    """Instance map in a 16-bit PNG: a number for each countable object, 0 elsewhere."""

    path: Path  # file of the instance map

    def read(self) -> np.ndarray:
        """Read the instance map: [H, W] int32."""
        return read_gray16(self.path, "instances are numbers from 0 to 65535").astype(np.int32)


@dataclass(frozen=True)
class MaskPng:
    """Mask in an 8-bit PNG: 0 for False, any other value for True."""

    path: Path  # file of the mask

    def read(self) -> np.ndarray:
        """Read the mask: [H, W] bool."""
        return LabelPng(self.path).read() > 0


@dataclass(frozen=True)
class PointsNpz:
    """LiDAR scan in an npz: `points` [N, 3] and, if known, `origin` [3], in metres in the camera frame."""

    path: Path  # file of the scan

    def read(self) -> np.ndarray:
        """Read the points: [N, 3] float32, metres, in the camera frame."""
        points = read_array(self.path, "points")
        if points.ndim != 2 or points.shape[1] < 3:
            raise InputError(f"{self.path}: 'points' has shape {points.shape}; it must be [N, 3], metres")
        return points[:, :3].astype(np.float32)

    @property
    def origin(self) -> np.ndarray:
        """Position of the scanner in the camera frame, [3] metres; zeros if the file holds no `origin`."""
        try:
            origin = read_array(self.path, "origin", np.zeros(3))
            return origin.astype(np.float64).reshape(3)
        except ValueError:
            raise InputError(f"{self.path}: 'origin' must hold 3 numbers, where the scanner stands, metres") from None


@dataclass(frozen=True, eq=False)
class VelodyneBin:
    """LiDAR scan as KITTI stores it: float32 x, y, z (metres, in the scanner's frame) and reflectance."""

    path: Path  # file of the scan
    T_camera_velodyne: np.ndarray  # [4, 4] float64, metres

    @property
    def origin(self) -> np.ndarray:
        """Position of the scanner in the camera frame, [3] metres."""
        return self.T_camera_velodyne[:3, 3]

    def read(self) -> np.ndarray:
        """Read all points, also those behind the camera: [N, 3] float32, metres, in the camera frame."""
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror}); copy it again") from None
        if not content or len(content) % POINT_BYTES:
            raise InputError(
                f"{self.path}: is truncated: its {len(content)} bytes are not whole points of {POINT_BYTES} bytes; "
                f"copy it again"
            )
        points = np.frombuffer(content, dtype="<f4").reshape(-1, 4)[:, :3]
        rotation, translation = self.T_camera_velodyne[:3, :3], self.T_camera_velodyne[:3, 3]
        moved: np.ndarray = points @ rotation.T + translation
        return moved.astype(np.float32)
