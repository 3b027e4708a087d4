"""Files that hold the image, depth, points or labels of one frame. They are read when they are needed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path, PurePath, PureWindowsPath
from typing import TypeVar

import numpy as np

from packdepth.errors import InputError, in_one_line
from packdepth.reading import array_names, read_arrays, refuse_special
from packdepth.records import Readable
from packdepth.sources.size_index import image_sizes
from packdepth.sources.stills import image_size, pixels

CLUTTER = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "__macosx", "$recycle.bin", "lost+found")
# names in lower case of files and folders that Windows, macOS and network drives add to every folder
NUMBER_IN_NAME = re.compile(r"([0-9]+(?:\.[0-9]+)?)")  # digits, with a fraction or without; `split` keeps them
NAMED = 8  # files that a sentence names; more are counted
UNWRITABLE = 65535  # largest value of 16 bits: stands for a depth that is unknown or too large to be written
MAX_FIELDS = 16  # numbers of a point: position, color, intensity, ring, time and so on; a scan has more points
POINT_BYTES = 16  # bytes of a point in KITTI's scans: four float32

T = TypeVar("T")

# --- finding ----------------------------------------------------------------------------------------------------


def is_clutter(path: Path) -> bool:
    """Return whether a file or folder is hidden, or one that operating systems and programs add, and hence no data.

    Args:
        path: the file or folder.

    >>> [is_clutter(Path(name)) for name in (".DS_Store", "._a.png", "Thumbs.db", "~$log.csv", "a.png")]
    [True, True, True, True, False]
    """
    return _is_clutter(path.name)


def _is_clutter(name: str) -> bool:
    return name.startswith((".", "~$")) or name.lower() in CLUTTER


def listed(names: Sequence[str]) -> str:
    """Return the first `NAMED` names, and the number of the others.

    Args:
        names: names of files.

    >>> listed([str(number) for number in range(10)])
    '0, 1, 2, 3, 4, 5, 6, 7 and 2 more'
    """
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def require(path: Path, what: str) -> Path:
    """Return a path that exists. Raises InputError if it does not, or is a pipe or a device.

    Args:
        path: file or folder.
        what: description of the file or folder, for the message.
    """
    if not path.exists():
        raise InputError(f"{path}: not found; it would be {what}")
    refuse_special(path)
    return path


def inside(root: Path, folder: Path, name: str, where: str | Path) -> Path:
    """Return the path of a file that another file names, which must not lead out of the data set.

    All sources find such files by this function. Links on disk are followed, for whoever made them could read the file.

    Args:
        root: the folder of the data set.
        folder: folder that the name is relative to, in `root`.
        name: the path that the file names.
        where: the file that names it, for the message.

    Raises InputError for an absolute path, one that leads out of `root`, and one that is no path.

    >>> inside(Path("data"), Path("data/scene"), "rgb/1.png", "scene.json").as_posix()
    'data/scene/rgb/1.png'
    >>> inside(Path("data"), Path("data/scene"), "../../secret.jpg", "scene.json")
    Traceback (most recent call last):
    packdepth.errors.InputError: scene.json: names '../../secret.jpg', which lies outside of data; it is not read
    """
    path = folder / name
    base, place = Path(os.path.abspath(root)), Path(os.path.abspath(path))  # noqa: PTH100 - follows no links
    if "\0" in name or PurePath(name).is_absolute() or PureWindowsPath(name).anchor or not place.is_relative_to(base):
        raise InputError(f"{where}: names '{in_one_line(name)[:200]}', which lies outside of {root}; it is not read")
    return path


def read_text(path: Path, what: str) -> str:
    """Read a text file in UTF-8 or UTF-16, with or without a byte order mark.

    Raises InputError if it is missing or neither.

    Args:
        path: the file.
        what: description of the file, for the message.
    """
    try:
        content = require(path, what).read_bytes()
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return content.decode("utf-16")
        zeros = content[:2].count(0) == 1  # a letter of two bytes, of which Latin ones have one zero
        return content.decode(("utf-16-be" if content[0] == 0 else "utf-16-le") if zeros else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error}); it should be {what}") from None


def in_order(names: Iterable[str]) -> list[str]:
    """Sort names so that the numbers in them count by their value, with or without leading zeros.

    Args:
        names: names of files, without suffix.

    >>> in_order(["frame_10", "frame_9", "frame_1"])
    ['frame_1', 'frame_9', 'frame_10']
    >>> in_order(["12.5", "12.25", "7.5"])  # times in seconds
    ['7.5', '12.25', '12.5']
    """
    plain = sorted(names)
    if number_start(plain) is not None:  # a million names are sorted in a second, and not in ten
        return plain
    return sorted(plain, key=lambda name: (name_parts(name), name))


def name_parts(name: str) -> list[str | Decimal]:
    """Split a name into texts and numbers in turn. The first part is a text, which may be empty.

    Args:
        name: the name.

    >>> name_parts("frame_010_left")
    ['frame_', Decimal('10'), '_left']
    """
    parts = NUMBER_IN_NAME.split(name)
    return [Decimal(part) if index % 2 else part for index, part in enumerate(parts)]


def by_name(paths: Iterable[Path]) -> list[Path]:
    """Sort paths by their names as `in_order` does.

    Args:
        paths: files or folders of one folder.

    >>> [path.name for path in by_name([Path("a10.png"), Path("a9.png")])]
    ['a9.png', 'a10.png']
    """
    everything = list(paths)
    of_stem = {path.stem: path for path in everything}
    if len(of_stem) == len(everything):
        return [of_stem[stem] for stem in in_order(of_stem)]
    return sorted(everything, key=lambda path: (name_parts(path.stem), path.name))


def number_start(names: Sequence[str]) -> int | None:
    """Return where the number begins that alone tells names apart, if all have it at their end, in as many digits.

    So have the names of most recordings, and a million of them need not be taken apart. Their order is that of the
    alphabet. Names that differ in a fraction (12.25) have none.

    Args:
        names: names in the order of the alphabet or of their numbers, all different.

    >>> number_start(["left_08", "left_09", "left_12"]), number_start(["8", "9", "12"]), number_start(["1.25", "1.50"])
    (5, None, None)
    """
    if len(names) < 2:
        return None
    first, last = names[0], names[-1]
    shared = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), 0)
    start = len(first[:shared].rstrip("0123456789"))
    text, length = first[:start], len(first)
    if text[-1:] == "." and text[-2:-1].isdigit():
        return None
    alike = (len(name) == length and name.startswith(text) and name.isascii() for name in names)
    return start if all(alike) and all(name[start:].isdigit() for name in names) else None


def found(folder: Path, suffixes: tuple[str, ...], kind: Callable[[Path], T]) -> dict[str, T]:
    """Return the files of a folder by name (without suffix), in order; none if the folder does not exist.

    Args:
        folder: the folder.
        suffixes: suffixes of the files to return, in lower case.
        kind: function that turns a path into the value that is returned for it, such as `ImageFile`.

    Raises InputError for two files of one name.
    """
    names: dict[str, str] = {}
    for name in _names_in(folder) if folder.is_dir() else ():
        if name.lower().endswith(suffixes) and not _is_clutter(name):
            stem = name[: name.rindex(".")]
            if stem in names:
                first, second = sorted((names[stem], name))
                raise InputError(f"{folder / second}: is a second file for this frame, after {first}; remove one")
            names[stem] = name
    return {stem: kind(folder / names[stem]) for stem in in_order(names)}


def _names_in(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


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
    paths = [image.path for image in images]
    for path, size in zip(paths, image_sizes(paths), strict=True):
        if size != (height, width):
            raise InputError(
                f"{path}: is {size[1]}x{size[0]} pixels, but {calibration} is for {width}x{height}; "
                f"give the calibration of these images, or resize them back"
            )


# --- reading ----------------------------------------------------------------------------------------------------


def read_gray16(path: Path, holds: str) -> np.ndarray:
    """Read a 16-bit gray PNG: [H, W].

    Args:
        path: the file. Raises InputError if it is no 16-bit gray PNG.
        holds: half a sentence that describes the content, for the message.
    """
    values = pixels(path, None)
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
    array = read_arrays(path, [name]).get(name, default)
    if array is None:
        held = ", ".join(f"'{in_one_line(other)}'" for other in array_names(path)[:NAMED]) or "none"
        raise InputError(f"{path}: is no npz with an array '{name}': it holds {held}; write it under this name")
    if array.dtype.kind not in "fiu":
        raise InputError(f"{path}: '{name}' holds no numbers but {array.dtype}; write it again")
    return array


@dataclass(frozen=True, slots=True, init=False)
class ImageFile:
    """Image file of any format that Pillow reads. Gray images become RGB.

    A run may have a million: each holds its name, and all of one folder the same text.

    Args:
        path: the file.

    >>> ImageFile(Path("drive/000012.png")).path.as_posix()
    'drive/000012.png'
    """

    folder: str  # folder of the file
    name: str  # name of the file, with suffix

    def __init__(self, path: Path | str) -> None:
        folder, name = os.path.split(path)
        object.__setattr__(self, "folder", sys.intern(folder))
        object.__setattr__(self, "name", name)

    def __fspath__(self) -> str:
        """Return the path as text."""
        return os.path.join(self.folder, self.name)  # noqa: PTH118 - a million texts are made sooner than paths

    @property
    def path(self) -> Path:
        """The file of the image."""
        return Path(self.folder, self.name)

    def read(self) -> np.ndarray:
        """Read the image: [H, W, 3] uint8, RGB."""
        return pixels(self.path, "RGB")


@dataclass(frozen=True)
class DepthPng:
    """Depth map in a 16-bit PNG, 0 where depth is unknown. KITTI stores metres x 256.

    The largest value is never a depth: it marks pixels whose depth is unknown, or too large to be written.
    """

    path: Path  # file of the depth map
    steps: int = 256  # value of one metre

    def read(self) -> np.ndarray:
        """Read the depth map: [H, W] float32, metres, 0 where unknown."""
        values = read_gray16(self.path, f"depth maps hold metres x {self.steps} in 16 bits")
        return np.where(values == UNWRITABLE, 0, values).astype(np.float32) / self.steps


@dataclass(frozen=True)
class LabelPng:
    """Label map in an 8-bit PNG: semantic class ids."""

    path: Path  # file of the label map

    def read(self) -> np.ndarray:
        """Read the label map: [H, W] uint8, class ids."""
        values = pixels(self.path, None)
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


def read_points(path: Path, name: str) -> np.ndarray:
    """Read the points in an array of an npz file, without their other fields, such as intensity: [N, 3].

    Args:
        path: the file. Raises InputError if it is damaged, or holds points in columns or of too many fields.
        name: name of the array in the file.
    """
    points = read_array(path, name)
    if points.ndim != 2 or not 3 <= points.shape[1] <= MAX_FIELDS:  # points in columns have as many "fields" as points
        raise InputError(f"{path}: '{name}' has shape {points.shape}; it must be [N, 3], metres")
    return points[:, :3]


def finite_points(points: np.ndarray) -> np.ndarray:
    """Return the points of a scan that are numbers: [M, 3] float32. Scanners write NaN where nothing returns.

    Args:
        points: [N, 3] of any kind of numbers.

    >>> finite_points(np.array([[1.0, 2.0, 3.0], [np.nan, 0.0, 5.0], [0.0, 0.0, 1e300]])).tolist()
    [[1.0, 2.0, 3.0]]
    """
    with np.errstate(over="ignore"):  # what float32 does not hold is infinite in it
        values = points.astype(np.float32)
    kept: np.ndarray = values[np.isfinite(values).all(axis=1)]
    return kept


@dataclass(frozen=True)
class PointsNpz:
    """LiDAR scan in an npz: `points` [N, 3] and, if known, `origin` [3], in metres in the camera frame."""

    path: Path  # file of the scan

    def read(self) -> np.ndarray:
        """Read the points that are numbers: [N, 3] float32, metres, in the camera frame."""
        return finite_points(read_points(self.path, "points"))

    @property
    def origin(self) -> np.ndarray:
        """Position of the scanner in the camera frame, [3] metres; zeros if the file holds no `origin`."""
        origin = read_array(self.path, "origin", np.zeros(3)).astype(np.float64)
        if origin.size != 3 or not np.isfinite(origin).all():
            raise InputError(f"{self.path}: 'origin' must hold 3 numbers, where the scanner stands, metres")
        return origin.reshape(3)


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
        """Read all points that are numbers, also behind the camera: [N, 3] float32, metres, in the camera frame."""
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
        return finite_points(points @ rotation.T + translation)
