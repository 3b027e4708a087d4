"""Opening of image files: what they hold, whether they are whole, which way is up. Every source opens images here.

The kind of a file is told by its content, never by its name: a PNG named .jpg is read as the PNG that it is.
"""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from packdepth.errors import InputError
from packdepth.reading import reason_of, refuse_special, refusing
from packdepth.sources.content import disguise

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")  # suffixes of images
FORMATS = ("PNG", "JPEG", "BMP", "DIB", "WEBP", "TIFF", "PPM", "GIF")  # Pillow's names of what is read; MPO is its JPEG
MAX_PIXELS = 128 * 10**6  # of an image: phones write up to 108 million
MAX_PLAIN = 40 * 10**6  # of an image of fewer bytes than `PACKED`: what a file of some kilobytes may unpack to
PACKED = 100  # pixels of a byte of a file; a black JPEG of a camera has 60, photographs have 2 to 10
TAIL = 4096  # bytes at the end of a file in which its end marker is sought first: some cameras append a little data

JPEG_END = b"\xff\xd9"
PNG_END = b"IEND\xaeB`\x82"
PNG_SIGNATURE_BYTES = 8  # bytes before the first chunk
JPEG_SCAN = 0xDA  # marker that compressed pixels follow, up to the next marker
JPEG_STUFFING = {0x00, *range(0xD0, 0xD8)}  # bytes after 0xFF inside compressed pixels: no markers

SEVERAL = ("TIFF", "WEBP", "PNG", "GIF")  # formats of which a file may hold several images, one as good as the other

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
DATED = ("JPEG", "MPO", "TIFF", "WEBP")  # formats of cameras
EXIF_FACTS, TAKEN, TAKEN_FRACTION = 0x8769, 0x9003, 0x9291  # tags: of EXIF's own, DateTimeOriginal, its fraction
QUARTER_TURNS = {TURNS[orientation] for orientation in (5, 6, 7, 8)}  # rows become columns


def image_size(path: Path) -> tuple[int, int]:
    """Return height and width of an image file in pixels, read from its header, upright as EXIF asks for.

    Args:
        path: the image file. Raises InputError if it is missing, no image, truncated, or too large.
    """
    with refusing(path, "an image", "write it again"):
        with opened(path) as image:
            swapped = turn_of(image) in QUARTER_TURNS
            size = (image.width, image.height) if swapped else (image.height, image.width)
            kind = image.format or ""
            count = _pages(image)
        if count > 1:
            raise InputError(f"{path}: holds {count} images; write each into a file of its own")
        if not _is_whole(path, kind):
            raise InputError(f"{path}: is truncated (its end is missing); write it again")
    return size


def opened(path: Path) -> Image.Image:
    """Open an image file; its pixels are not read yet.

    Args:
        path: the image file. Raises InputError if it is missing, no file, no image, or has more pixels than are read.
    """
    refuse_special(path)
    try:
        return opened_still(path, path.stat().st_size, str(path))
    except FileNotFoundError:
        raise InputError(f"{path}: not found; it would be an image") from None
    except UnidentifiedImageError:
        truth = disguise(path) or "is not an image that can be read; write it again"
        raise InputError(f"{path}: {truth}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); write it again") from None


def opened_still(file: Path | BinaryIO, size: int, name: str) -> Image.Image:
    """Open an image in one of `FORMATS`; its pixels are not read yet. All images are opened here.

    Args:
        file: the file, or its content.
        size: size of the file in bytes.
        name: the file or the place in it, for messages.

    Raises InputError if it is damaged or has more pixels than are read, OSError if it is missing or no image.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an image of half the limit is read like any other, and odd EXIF is none
            image = Image.open(file, formats=FORMATS)
    except OSError:
        raise
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise InputError(f"{name}: has more than {limit} million pixels; make it smaller") from None
    except Exception as error:  # Pillow raises many classes for damaged files
        raise InputError(f"{name}: cannot be read ({reason_of(error)}); write it again") from error
    count = image.width * image.height
    if count > MAX_PIXELS:
        raise InputError(f"{name}: has more than {MAX_PIXELS // 10**6} million pixels; make it smaller")
    if count > max(MAX_PLAIN, PACKED * size):
        raise InputError(
            f"{name}: packs {count // 10**6} million pixels into {size} bytes, as no camera does; make it smaller"
        )
    return image


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
    except Exception:  # Pillow raises many classes for damaged EXIF
        return None


def moment_taken(path: Path) -> float | None:
    """Return when a camera took an image by its EXIF, in seconds of the camera's own clock; None if it does not say.

    Args:
        path: the image file. Its pixels are not read. Raises InputError if it is no image.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.png"
    >>> Image.new("RGB", (4, 2)).save(path)
    >>> moment_taken(path) is None
    True
    """
    with opened(path) as image:
        if image.format not in DATED:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # odd EXIF is none
                facts = image.getexif().get_ifd(EXIF_FACTS)
            moment = datetime.strptime(str(facts[TAKEN]), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
            return moment.timestamp() + float("0." + str(facts.get(TAKEN_FRACTION, "0")).strip("\0 "))
        except Exception:  # Pillow raises many classes for damaged EXIF
            return None


def upright(image: Image.Image) -> Image.Image:
    """Return an image turned upright, as EXIF asks for; the image itself if it is upright.

    Args:
        image: an open image.

    >>> upright(Image.new("RGB", (4, 2))).size
    (4, 2)
    """
    turn = turn_of(image)
    return image if turn is None else image.transpose(turn)


def check_mode(image: Image.Image, name: str) -> None:
    """Raise InputError for pixels of more than 8 bits a channel, which Pillow would cut to white.

    Args:
        image: an open image.
        name: file or argument that the message begins with.
    """
    if image.mode[0] in "IF":
        raise InputError(f"{name}: has pixels of more than 8 bits ({image.mode}); convert it to 8 bits a channel")


def pixels(path: Path, mode: str | None) -> np.ndarray:
    """Read the pixels of an image file, converted to one of Pillow's modes, or as they are if it is None.

    RGB images are upright: a phone held upright writes its images lying, and the orientation in EXIF.

    Args:
        path: the image file. Raises InputError if it cannot be read.
        mode: one of Pillow's modes such as "RGB".
    """
    with opened(path) as image:
        if mode == "RGB":
            check_mode(image, str(path))
        try:
            shown = upright(image) if mode == "RGB" else image
            shown.load()
            return np.asarray(shown.convert(mode) if mode not in (None, shown.mode) else shown)
        except Exception as error:  # Pillow raises many classes for damaged files
            raise InputError(f"{path}: is truncated or broken ({reason_of(error)}); write it again") from error


def _pages(image: Image.Image) -> int:
    """Return how many images of one size a file holds, such as those of an animation; thumbnails do not count.

    Args:
        image: an open image.
    """
    if image.format not in SEVERAL or not getattr(image, "is_animated", False):
        return 1
    size, count = image.size, int(getattr(image, "n_frames", 1))
    try:
        image.seek(1)
    except (EOFError, OSError, SyntaxError, ValueError):
        return 1
    return count if image.size == size else 1


# --- content ----------------------------------------------------------------------------------------------------


def _is_whole(path: Path, kind: str) -> bool:
    """Return whether the end of an image is there, whatever follows it: phones append videos, recorders zeros."""
    ends = {"JPEG": (JPEG_END, _jpeg_ends), "MPO": (JPEG_END, _jpeg_ends), "PNG": (PNG_END, _png_ends)}
    if kind not in ends:
        return True  # other formats say it when their pixels are read
    marker, ends_inside = ends[kind]
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - TAIL, 0))
        if marker in file.read():
            return True
        file.seek(0)
        return ends_inside(file)


def _png_ends(file: BinaryIO) -> bool:
    """Return whether the last chunk of a PNG is there. Follows the chunks without reading their data."""
    file.seek(PNG_SIGNATURE_BYTES)
    while len(head := file.read(8)) == 8:
        if head[4:] == b"IEND":
            return True
        file.seek(int.from_bytes(head[:4], "big") + 4, 1)
    return False


def _jpeg_ends(file: BinaryIO) -> bool:
    """Return whether the end of a JPEG's pixels is there. Follows its segments, and searches its scans."""
    content = file.read()
    at = 2  # behind the marker of the start
    while at + 4 <= len(content):
        marker = content[at + 1]
        if content[at] != 0xFF:
            return False
        if marker == JPEG_END[1]:
            return True
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == JPEG_SCAN:
            at = content.find(b"\xff", at)
            while 0 <= at < len(content) - 1 and content[at + 1] in JPEG_STUFFING:
                at = content.find(b"\xff", at + 2)
            if at < 0:
                return False
    return content[at : at + 2] == JPEG_END
