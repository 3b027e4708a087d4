"""True content of files that cannot be read: half a copy, a pointer, a web page, an archive, a HEIC photo.

Every source calls these functions for a file that its reader refuses, or that FFmpeg would read as something else.
"""

from __future__ import annotations

from pathlib import Path

from packdepth.errors import InputError
from packdepth.reading import refuse_special

HEAD = 4096  # bytes that are looked at: every image, video and log has a byte that is not 0 among them
TAR_MAGIC_AT = 257  # bytes before the magic of a tar archive
ARCHIVES = (b"PK\x03\x04", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")  # of photos of phones
APPLE_DOUBLE = b"\x00\x05\x16\x07"  # macOS writes such files as ._NAME beside NAME on disks of others
MP4_BOXES = (b"ftyp", b"mdat", b"wide", b"free")  # first boxes of an mp4 or mov file
INDEX_BOX = b"moov"  # box of an mp4 or mov file that tells where its frames are; cameras write it last


def disguise(path: Path) -> str | None:
    """Return what a file really is and what to do, as the end of a sentence; None if its beginning shows nothing wrong.

    Args:
        path: the file, which exists.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.jpg"
    >>> _ = path.write_text("version https://git-lfs.github.com/spec/v1")
    >>> disguise(path)
    'is a pointer of Git LFS, not the file itself; run git lfs pull'
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return None  # the reader raises the same error, and names the cause
    start = head.lstrip()[:32].lower()
    if not head:
        return "is empty (0 bytes); copy it again"
    if not head.strip(b"\0"):
        return "begins with zeros alone, as a copy that was cut off leaves it; copy it again"
    if head.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS, not the file itself; run git lfs pull"
    if head.startswith(APPLE_DOUBLE):
        return "is a side file of macOS, not the file itself; remove it"
    if start.startswith((b"<!doctype html", b"<html")):
        return "is a web page, as a download that failed leaves it; download it again"
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS:
        return "is a HEIC photo, which is not read; export it as JPEG"
    if head.startswith(ARCHIVES) or head[TAR_MAGIC_AT : TAR_MAGIC_AT + 5] == b"ustar":
        return "is an archive; unpack it, and give the folder"
    return None


def refuse_disguise(path: Path) -> None:
    """Raise InputError if a file is not what its name says (`disguise`), or is special (`refuse_special`).

    Args:
        path: file or folder; a folder is never refused.
    """
    refuse_special(path)
    if path.is_file() and (truth := disguise(path)) is not None:
        raise InputError(f"{path}: {truth}")


def lacks_index(path: Path) -> bool:
    """Return whether a file is an mp4 or mov without an index, which a camera that loses power does not write.

    Args:
        path: the file.
    """
    size, at, first = path.stat().st_size, 0, True
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if (first and kind not in MP4_BOXES) or kind == INDEX_BOX:
                return False
            length = int.from_bytes(head[8:16], "big") if length == 1 else length
            if length < 8:
                break  # the last box reaches to the end of the file
            at, first = at + length, False
    return not first
