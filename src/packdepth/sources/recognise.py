"""Which source reads a path: told by what is there, not by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from packdepth.errors import InputError
from packdepth.sources.base import Source
from packdepth.sources.files import IMAGES, require
from packdepth.sources.folder import Folder
from packdepth.sources.kitti_odometry import KittiOdometry
from packdepth.sources.kitti_raw import KittiRaw
from packdepth.sources.video import Video


def recognise(path: Path) -> Source:
    """The source that reads a path, with all clips that are there.

    Args:
        path: a video, a clip's folder or a folder of them, or the root, a date, a drive or a sequence of KITTI.

    Raises InputError if no source knows it.
    """
    require(path, "a video, a clip's folder or a folder of them, or the root of a data set")
    for recogniser in RECOGNISERS:
        source = recogniser(path)
        if source is not None:
            return source
    raise InputError(
        f"{path}: is nothing that a source reads; give a video, a clip's folder (camera.yaml, frames.csv, frames/) or "
        f"a folder of them, a KITTI raw date or drive, or the folder of KITTI odometry that holds sequences/"
    )


def _video(path: Path) -> Source | None:
    if path.is_dir() or path.suffix.lower() in IMAGES:
        return None
    return Video(kind="video", file=path)


def _kitti_raw(path: Path) -> Source | None:
    """A drive, the folder of a date, or the folder of dates."""
    if path.name.endswith("_sync"):
        root, drives = path.parent.parent, [path.name]
    else:
        root = path.parent if (path / "calib_cam_to_cam.txt").exists() else path
        pattern = f"{path.name}/*_sync" if root != path else "????_??_??/*_sync"
        drives = sorted(drive.name for drive in root.glob(pattern))
    if not drives:
        return None
    colour = all((root / drive[:10] / drive / "image_02").is_dir() for drive in drives)
    return KittiRaw(kind="kitti_raw", root=root, drives=drives, colour=colour)


def _kitti_odometry(path: Path) -> Source | None:
    """A sequence, or the folder that holds `sequences/`."""
    single = (path / "calib.txt").exists() and path.parent.name == "sequences"
    root = path.parent.parent if single else path
    folders = [path] if single else sorted((path / "sequences").glob("*/"))
    sequences = [folder.name for folder in folders if (folder / "calib.txt").exists()]
    if not sequences:
        return None
    colour = all((root / "sequences" / name / "image_2").is_dir() for name in sequences)
    return KittiOdometry(kind="kitti_odometry", root=root, sequences=sequences, colour=colour)


def _folder(path: Path) -> Source | None:
    """A clip, or a folder of clips, in packdepth's own contract."""
    places = [path, *path.iterdir()] if path.is_dir() else []
    if not any((place / name).exists() for place in places for name in ("frames.csv", "camera.yaml")):
        return None
    return Folder(kind="folder", root=path)


RECOGNISERS: tuple[Callable[[Path], Source | None], ...] = (_video, _kitti_raw, _kitti_odometry, _folder)
"""Each says what it would read a path as, or None; the first that knows it is taken."""
