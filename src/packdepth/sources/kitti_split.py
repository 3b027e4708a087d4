"""Split files of KITTI raw in the notations of packnet-sfm and monodepth2.

2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000010.png ...     packnet-sfm; further words are ignored
2011_09_26/2011_09_26_drive_0001_sync 10 l                                 monodepth2
"""

from __future__ import annotations

import re

from packdepth.errors import InputError
from packdepth.sources.kitti import Side
from packdepth.sources.split import Entry, own_entry

SIDES: dict[str, Side] = {"l": "left", "r": "right"}  # monodepth2's letters
DRIVE = r"(?:\d{4}_\d\d_\d\d/)?(?P<drive>\d{4}_\d\d_\d\d_drive_\d{4}_sync)"
PACKNET_SFM = re.compile(DRIVE + r"/image_0(?P<camera>[0-3])/data/(?P<frame>\d+)\.\w+(\s.*)?")
MONODEPTH2 = re.compile(DRIVE + r"\s+(?P<frame>\d+)\s+(?P<side>[lr])")
OWN = re.compile(r"kitti_raw/[^/\s]+/(left|right)(\s+\S+)?")


def kitti_entry(where: str, line: str, color: bool) -> Entry:
    """Parse a line in packnet-sfm's, monodepth2's or packdepth's notation.

    Args:
        where: file and line number, for messages.
        line: text of the line.
        color: whether the source uses the color cameras. Raises InputError for a line that names another camera.

    >>> kitti_entry("split.txt: line 1", "2011_09_26/2011_09_26_drive_0001_sync 10 l", color=True)[:2]
    ('kitti_raw/2011_09_26_drive_0001_sync/left', '0000000010')
    """
    if OWN.fullmatch(line):
        return own_entry(where, line)
    if match := MONODEPTH2.fullmatch(line):
        return Entry(f"kitti_raw/{match['drive']}/{SIDES[match['side']]}", f"{int(match['frame']):010d}", where)
    if match := PACKNET_SFM.fullmatch(line):
        camera = int(match["camera"])
        if (camera >= 2) != color:
            kind = "color" if camera >= 2 else "gray"
            raise InputError(f"{where}: image_0{camera} is a {kind} camera; say 'color: {str(not color).lower()}'")
        side = "left" if camera % 2 == 0 else "right"
        return Entry(f"kitti_raw/{match['drive']}/{side}", match["frame"], where)
    raise InputError(
        f"{where}: '{line[:80]}' is no entry of a split of KITTI raw; write DATE/DRIVE/image_02/data/0000000010.png, "
        f"DATE/DRIVE 10 l, or kitti_raw/DRIVE/left 0000000010"
    )


def clip_parts(entry: Entry) -> tuple[str, Side]:
    """Return drive and camera of an entry.

    Args:
        entry: entry whose clip is named `kitti_raw/<drive>/<side>`.
    """
    _, drive, side = entry.clip.split("/")
    return drive, "left" if side == "left" else "right"
