"""The calibration file that lies in a folder of data, or beside a file of data."""

from __future__ import annotations

from pathlib import Path

from packdepth.errors import InputError
from packdepth.sources.decoding import VIDEOS
from packdepth.sources.stills import IMAGES

NAMES = (  # names of calibration files, as the programs that write them suggest
    "camera.yaml",
    "camera.yml",
    "camera.xml",
    "camera_info.yaml",
    "camchain*.yaml",
    "cameras.txt",
    "calib*.yaml",
    "calib*.yml",
    "calib*.xml",
    "ost.yaml",
    "camera.json",
    "camera_info.json",
    "calib*.json",
    "intrinsic*.json",
    "intrinsic*.yaml",
)
UNREAD = ("*calib*", "*intrinsic*", "camera*")  # names of files that may be calibrations of a form that is not read
LIKELY = ("*calib*", "*intrinsic*", "*camera*")  # names of files that camera= may read
OWN_SUFFIXES = (".yaml", ".yml", ".xml")  # suffixes of the calibration of one video or image, under its name
READ_SUFFIXES = (*OWN_SUFFIXES, ".json")  # suffixes of files that camera= reads; .json of an image is often its labels


def in_folder(folder: Path) -> Path | None:
    """Return the calibration file in a folder; None if there is none.

    Args:
        folder: the folder.

    Raises InputError if there are several, of different content.
    """
    found = sorted({path for name in NAMES for path in folder.glob(name) if path.is_file()}, key=lambda path: path.name)
    return _only(found)


def beside(file: Path) -> Path | None:
    """Return the calibration file beside a video or an image: under its name, or else the folder's; None without.

    An image in `frames/` of a clip has the calibration of the clip.

    Args:
        file: the video or image.

    Raises InputError if there are several, of different content.
    """
    own = [file.with_suffix(suffix) for suffix in OWN_SUFFIXES if file.with_suffix(suffix).is_file()]
    folder = file.parent.parent if file.parent.name == "frames" else file.parent
    return _only(own) or in_folder(file.parent) or in_folder(folder)


def is_calibration(path: Path) -> bool:
    """Return whether a file has the suffix or the name of a calibration.

    Args:
        path: the file.

    >>> is_calibration(Path("drive.yaml")), is_calibration(Path("cameras.txt")), is_calibration(Path("notes.txt"))
    (True, True, False)
    """
    return path.suffix.lower() in OWN_SUFFIXES or any(path.match(name) for name in NAMES)


def unread(folder: Path) -> list[str]:
    """Return the names of files in a folder that look like calibrations, but are of no form that is read.

    Args:
        folder: the folder; it need not exist.
    """
    files = [path for pattern in UNREAD for path in folder.glob(pattern) if path.is_file()]
    data = (*IMAGES, *VIDEOS)
    return sorted({path.name for path in files if path.suffix.lower() not in data and not is_calibration(path)})


def likely(folder: Path) -> list[Path]:
    """Return the files in a folder that look like calibrations, but whose names are not read without being named.

    Args:
        folder: the folder; it need not exist.

    >>> likely(Path("no such folder"))
    []
    """
    files = {path for pattern in LIKELY for path in folder.glob(pattern) if path.suffix.lower() in READ_SUFFIXES}
    return sorted(path for path in files if path.is_file() and not any(path.match(name) for name in NAMES))


def _only(found: list[Path]) -> Path | None:
    """Return the only file, or the first of files of equal content. Raises InputError for different ones."""
    if len({path.read_bytes() for path in found}) > 1:
        raise InputError(f"{found[0]}: there is also {found[1].name}, another calibration; keep one of them")
    return found[0] if found else None
