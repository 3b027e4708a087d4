"""Sizes of many image files, from an index that is built once: reading a million headers takes minutes.

The index of a folder lies in the user's folder for caches, and holds the size and the time of change of each file: a
file that has changed since is read again. Small folders have none.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from packdepth.disk import user_cache
from packdepth.errors import InputError
from packdepth.files import replacing
from packdepth.sources.stills import image_size

INDEXED = 10_000  # number of files of a folder from which on there is an index: their headers take a second; chosen


def image_sizes(files: Sequence[os.PathLike[str]]) -> list[tuple[int, int]]:
    """Return height and width of image files in pixels, each as `image_size` returns it.

    Args:
        files: the image files. Raises InputError if one is missing, no image, truncated, or too large.

    >>> image_sizes([])
    []
    """
    if len(files) < INDEXED:
        return [image_size(Path(file)) for file in files]
    of_folder: dict[str, tuple[list[int], list[str]]] = {}  # places in `files`, and names
    for at, file in enumerate(files):
        folder, name = os.path.split(file)
        places, names = of_folder.setdefault(folder, ([], []))
        places.append(at)
        names.append(name)
    sizes: list[tuple[int, int]] = [(0, 0)] * len(files)
    for folder, (places, names) in of_folder.items():
        for at, size in zip(places, _sizes(Path(folder), names), strict=True):
            sizes[at] = size
    return sizes


def _sizes(folder: Path, files: Sequence[str]) -> list[tuple[int, int]]:
    """Return the sizes of image files of one folder, from its index where it has them."""
    place = index_path(folder)
    names, stamps = np.array([os.fsencode(name) for name in files]), _stamps(folder, files)
    sizes = _known(place, names, stamps)
    missing = np.flatnonzero(sizes[:, 0] == 0).tolist()
    for at in missing:
        sizes[at] = image_size(folder / files[at])
    if missing:
        try:
            with replacing(place) as temporary:
                np.savez(temporary, names=names, stamps=stamps, sizes=sizes)
        except (OSError, InputError):
            pass  # no room or no rights for a cache: the next start reads the headers again
    distinct: dict[tuple[int, int], tuple[int, int]] = {}  # of a million equal sizes, one is kept
    return [distinct.setdefault(size, size) for size in zip(sizes[:, 0].tolist(), sizes[:, 1].tolist(), strict=True)]


def index_path(folder: Path) -> Path:
    """Return the path of the index of a folder.

    Args:
        folder: the folder.
    """
    return user_cache() / "sizes" / f"{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:24]}.npz"


def _stamps(folder: Path, files: Sequence[str]) -> np.ndarray:
    """Return the bytes of each file and its time of change in nanoseconds, [N, 2]; -1 for a file that is not there."""
    wanted = {name: at for at, name in enumerate(files)}
    stamps = np.full((len(files), 2), -1, dtype=np.int64)
    with os.scandir(folder) as entries:
        for entry in entries:
            at = wanted.get(entry.name)
            if at is not None and entry.is_file():  # false for a link that leads nowhere
                facts = entry.stat()
                stamps[at] = facts.st_size, facts.st_mtime_ns
    return stamps


def _known(place: Path, names: np.ndarray, stamps: np.ndarray) -> np.ndarray:
    """Return the sizes [N, 2] that an index holds for files with these stamps; 0 for others."""
    sizes = np.zeros((len(names), 2), dtype=np.int32)
    try:
        with np.load(place, allow_pickle=False) as content:
            old_names, old_stamps, old_sizes = content["names"], content["stamps"], content["sizes"]
        if not len(old_names) == len(old_stamps) == len(old_sizes):
            return sizes
    except Exception:  # no index yet, or a damaged one: numpy raises what zipfile and its own parser raise
        return sizes
    order = np.argsort(old_names)
    at = order[np.searchsorted(old_names, names, sorter=order).clip(max=len(order) - 1)]
    same = (old_names[at] == names) & (old_stamps[at] == stamps).all(axis=1) & (stamps[:, 0] >= 0)
    sizes[same] = old_sizes[at][same]
    return sizes
