"""The files that a shared checkpoint may consist of. There is no pickle and no program among them."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from packdepth.checkpoint import META, RUN, SEMANTICS, WEIGHTS
from packdepth.disk import size_in_words
from packdepth.errors import InputError, in_one_line
from packdepth.reading import refusing

ZIP = ".zip"
NEEDED = frozenset({WEIGHTS, RUN, META})
OPTIONAL = re.compile(rf"{SEMANTICS}/\w[\w-]*\.(safetensors|json|yaml)")  # the copy of the network that guides depth
MAX_PARTS = 16  # files of a checkpoint: three, and up to four of a segmentation network
MAX_TEXT = 10_000_000  # bytes of a description: the longest ones have some thousand clips, of a hundred bytes each
MAX_BYTES = 4_000_000_000  # bytes of a checkpoint: the largest networks that packdepth reads have 1.4 GB
CHUNK = 1 << 20  # bytes that are copied at a time


def is_part(name: str) -> bool:
    """Return whether a file of this name is a part of a checkpoint.

    Args:
        name: path of the file in the checkpoint's folder, with `/`.

    >>> is_part("weights.safetensors"), is_part("trainer.ckpt"), is_part("semantics/../run.yaml")
    (True, False, False)
    """
    return name in NEEDED or OPTIONAL.fullmatch(name) is not None


def parts_of(folder: Path) -> list[str]:
    """Return the names of the parts of the checkpoint in a folder.

    Args:
        folder: the folder.
    """
    names = (file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*")) if file.is_file())
    return [name for name in names if is_part(name)]


def check_parts(where: str, sizes: Mapping[str, int]) -> None:
    """Raise InputError if files are no complete checkpoint, or are larger than any checkpoint.

    Args:
        where: address of the checkpoint, for messages.
        sizes: bytes of each of its parts.

    >>> check_parts("hf://user/name", {"weights.safetensors": 10, "run.yaml": 10, "meta.json": 10})
    """
    missing = sorted(NEEDED - set(sizes))
    if missing:
        raise InputError(f"{where}: holds no checkpoint of packdepth (it lacks {', '.join(missing)}); name another one")
    large = [name for name, size in sizes.items() if not name.endswith(".safetensors") and size > MAX_TEXT]
    if large or len(sizes) > MAX_PARTS or sum(sizes.values()) > MAX_BYTES:
        total = size_in_words(sum(sizes.values()))
        what = f"its {large[0]} has {size_in_words(sizes[large[0]])}" if large else f"{len(sizes)} files of {total}"
        raise InputError(f"{where}: is larger than any checkpoint of packdepth ({what}); ask its author for another")


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, as addresses take it.

    Args:
        path: the file.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pack(path: Path, folder: Path, names: Iterable[str]) -> None:
    """Write files into a zip file, which is the same to the byte whenever and wherever it is written.

    Args:
        path: the zip file.
        folder: the folder of the files.
        names: the files, by their paths in the folder.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # weights hardly become smaller
        for name in sorted(names):
            info = zipfile.ZipInfo(name)  # of 1980-01-01
            info.external_attr = 0o644 << 16
            with (folder / name).open("rb") as file, archive.open(info, "w", force_zip64=True) as inside:
                while chunk := file.read(CHUNK):
                    inside.write(chunk)


def is_packed(path: Path) -> bool:
    """Return whether a path is a zip file of a checkpoint, as `pack` writes it.

    Args:
        path: the path. Other things may be there, such as a folder or what `torch.save` wrote, which is a zip file too.

    >>> is_packed(Path("nowhere.zip"))
    False
    """
    if not (path.suffix == ZIP and path.is_file()):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return META in archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def unpack(path: Path, folder: Path, where: str) -> None:
    """Write the parts of the checkpoint in a zip file into a folder. Other files in it are left out.

    Args:
        path: the zip file.
        folder: the folder, which is empty.
        where: address of the zip file, for messages.

    Raises InputError if it holds no checkpoint, or one that is too large, or if it is damaged.
    """
    with refusing(where, "a zip file of a checkpoint, as packdepth push writes it"), zipfile.ZipFile(path) as archive:
        found = [info for info in archive.infolist() if is_part(info.filename)]
        check_parts(in_one_line(where), {info.filename: info.file_size for info in found})
        for info in found:
            target = folder / info.filename
            target.parent.mkdir(exist_ok=True)
            with archive.open(info) as inside, target.open("wb") as file:
                while chunk := inside.read(CHUNK):  # ends after file_size bytes, whatever is packed there
                    file.write(chunk)
