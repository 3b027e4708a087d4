"""Videos of a folder that show no moment of their own: low-resolution copies that cameras write, and copied files.

Cameras write a small video beside each large one for their displays and apps: GoPro .LRV, DJI .LRF, Insta360 LRV_*.
Editing programs write NAME_proxy.mp4. Trained on together, each moment would count twice, and once of poor quality.
"""

from __future__ import annotations

import filecmp
import re
from collections.abc import Sequence
from pathlib import Path

SMALL_SUFFIXES = (".lrv", ".lrf")  # suffixes of low-resolution copies: GoPro and Insta360, DJI
SMALL_MARK = re.compile(r"[ _.-]?\(?(proxy|low[ _-]?res|lrv|preview)\)?$|^(proxy|lowres|lrv)[ _-]|^gl(?=\d{6}$)")
# what programs add to a name in lower case; GoPro's GL010123.LRV belongs to GX010123.MP4 or GH010123.MP4
GOPRO = re.compile(r"^g[xhl](?=\d{6}$)")  # codec in a GoPro's name, or that the file is a copy
INSTA360 = re.compile(r"^(?:vid|lrv)_(\d{8}_\d{6})_\d\d_(\d{3})$")  # date and time, lens, number


def repeated_videos(videos: Sequence[Path]) -> dict[Path, Path]:
    """Return the videos that only repeat another one of the same folder, and for each of them this other one.

    A low-resolution copy is told by its name, and by a smaller file; a copied file by its content.

    Args:
        videos: the videos of a folder, in order.

    >>> from tempfile import mkdtemp
    >>> paths = [Path(mkdtemp()) / name for name in ("GX010007.MP4", "GL010007.LRV", "GL010008.LRV")]
    >>> [path.write_bytes(bytes(size)) for path, size in zip(paths, (9, 5, 6))]
    [9, 5, 6]
    >>> {small.name: large.name for small, large in repeated_videos(paths).items()}
    {'GL010007.LRV': 'GX010007.MP4'}
    """
    sizes = {path: path.stat().st_size for path in videos}
    originals = {_moment(path): path for path in videos if not _is_marked_small(path)}
    repeated: dict[Path, Path] = {}
    for path in videos:
        original = originals.get(_moment(path)) if _is_marked_small(path) else None
        if original is not None and sizes[path] < sizes[original]:
            repeated[path] = original
    by_size: dict[int, list[Path]] = {}
    for path in videos:
        if path not in repeated:
            same = next((each for each in by_size.get(sizes[path], []) if filecmp.cmp(each, path, shallow=False)), None)
            if same is None:
                by_size.setdefault(sizes[path], []).append(path)
            else:
                repeated[path] = same
    return repeated


def _is_marked_small(path: Path) -> bool:
    """Return whether the name of a video says that it is a low-resolution copy."""
    return path.suffix.lower() in SMALL_SUFFIXES or SMALL_MARK.search(path.stem.lower()) is not None


def _moment(path: Path) -> str:
    """Return what the names of a video and of its low-resolution copies have in common."""
    stem = path.stem.lower()
    if (found := INSTA360.match(stem)) is not None:
        return "_".join(found.groups())
    stem = GOPRO.sub("gopro", stem)
    return SMALL_MARK.sub("", stem) or stem
