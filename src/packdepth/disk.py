"""Unfinished files and folders, their replacement, and full disks: what is on disk is either old or new.

An unfinished file or folder lies beside its place and has one pattern of name: hidden, so that no reader takes it for
content, with `MARK` in it. Its process holds a lock on it, which a dead process does not, so that the next process that
writes into the same folder removes what a killed one has left, and nothing else.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import stat
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from packdepth.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: what a killed process leaves there stays
    fcntl = None  # type: ignore[assignment]

MARK = "~packdepth-"  # in the names of unfinished files and folders
OLD = "old-"  # after MARK: a complete folder that a new one is about to take the place of
UNFINISHED = rf"^\.(.*){MARK}[0-9a-f]{{8}}(.*)$"  # such names: stem and suffix of the finished ones
STEM = 100  # characters of a file's own name in the name of the unfinished one: together below the 255 of disks
FULL = (errno.ENOSPC, errno.EDQUOT)
FULL_IN_WORDS = ("No space left on device", "Disk quota exceeded")  # of libraries that pass on words, and no number
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux's renameat2

_swept: set[Path] = set()  # folders in which this process has removed what killed processes left


def beside(path: Path) -> Path:
    """Return a new name beside a path, of the same suffix, for what is not finished.

    Args:
        path: the path.
    """
    return path.with_name(f".{path.stem[:STEM]}{MARK}{uuid.uuid4().hex[:8]}{path.suffix}")


def finished(path: Path) -> Path:
    """Return the path that an unfinished file or folder, or something in it, is to have in the end.

    Args:
        path: any path; one without an unfinished part is returned as it is.

    >>> finished(beside(Path("out/frames.csv")) / "a").as_posix(), finished(Path("out/a")).as_posix()
    ('out/frames.csv/a', 'out/a')
    """
    return Path(*(re.sub(UNFINISHED, r"\1\2", part) for part in path.parts))


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Yield the path of a new, empty file beside `path`, of the same suffix, which is removed at the end.

    Args:
        path: the file that it is to become. Its folder must exist.

    Raises InputError, which names `path`, if the disk is full, or the folder is not to be written to.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with unfinished(folder / "a.txt") as temporary:
    ...     temporary.suffix, temporary.exists()
    ('.txt', True)
    >>> list(folder.iterdir())
    []
    """
    sweep_once(path.parent)
    temporary = beside(path)
    with _named(path, temporary):
        held = os.open(temporary, os.O_RDWR | os.O_CREAT, 0o666)  # the rights that the umask gives
        try:
            _lock(held)
            yield temporary
        finally:
            os.close(held)


@contextmanager
def unfinished_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`, which is removed at the end with all that is in it.

    Args:
        path: the file or folder that it, or something in it, is to become. Its parent must exist.

    Raises InputError, which names `path`, as `unfinished` does.
    """
    with _folder(path, beside(path)) as temporary:
        yield temporary


@contextmanager
def _folder(path: Path, temporary: Path) -> Iterator[Path]:
    """Make a temporary folder and yield it, as `unfinished_folder` does."""
    sweep_once(temporary.parent)
    with _named(path, temporary):
        temporary.mkdir()
        held = os.open(temporary, os.O_RDONLY) if fcntl is not None else None  # only POSIX opens folders
        try:
            if held is not None:
                _lock(held)
            yield temporary
        finally:
            if held is not None:
                os.close(held)


@contextmanager
def replaced_together(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder, whose files take their places in `folder` together if the block succeeds.

    Args:
        folder: the folder, which must exist. Other files in it stay.

    Raises InputError as `unfinished` does.

    >>> folder = Path(tempfile.mkdtemp())
    >>> with replaced_together(folder) as temporary:
    ...     for name in ("a", "b"):
    ...         _ = (temporary / name).write_text(name)
    >>> sorted(path.name for path in folder.iterdir())
    ['a', 'b']
    """
    with _folder(folder, folder / f".{MARK}{uuid.uuid4().hex[:8]}") as temporary:  # `finished` names `folder` for it
        yield temporary
        put_together({file: folder / file.name for file in sorted(temporary.iterdir())})


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, which takes its place if the block succeeds and is removed otherwise.

    Args:
        path: the path of the folder.

    Raises InputError if something else is there, and as `unfinished` does.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "best"
    >>> with replaced(folder) as temporary:
    ...     _ = (temporary / "note.txt").write_text("hello")
    >>> (folder / "note.txt").read_text()
    'hello'
    """
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file, where a folder is to be written; rename it, or name another output")
    with unfinished_folder(path) as temporary:
        yield temporary
        _all_to_disk(temporary)
        if not path.exists():
            temporary.rename(path)
        elif not exchanged(temporary, path):
            old = path.with_name(f".{path.name}{MARK}{OLD}{uuid.uuid4().hex[:8]}")
            path.rename(old)
            try:
                temporary.rename(path)
            except BaseException:
                old.rename(path)
                raise
            remove(old)
        _to_disk(path.parent)


def exchanged(one: Path, other: Path) -> bool:
    """Exchange two files or folders in one operation, so that there is always one at each path, and say if that worked.

    Args:
        one: a path.
        other: another path on the same disk.

    Returns False, and changes nothing, where the system or the disk cannot do that.
    """
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None), "renameat2", None)  # in glibc since 2.28
    if rename is None:
        return False
    sys.audit("packdepth.exchange", str(one), str(other))  # like renames of Python's own
    return bool(rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0)


def put(temporary: Path, path: Path) -> None:
    """Let a finished file take the place of `path`, after all its bytes are on the disk.

    Args:
        temporary: the finished file, beside `path`.
        path: its place.
    """
    _to_disk(temporary)
    temporary.replace(path)


def put_together(files: Mapping[Path, Path]) -> None:
    """Let finished files that belong together take their places, so that none of them ever lies beside an older one.

    The old files but the first are removed before the new ones come, each of which replaces at once what lies there. A
    single file is thus old or new; of several, a kill may leave an old one alone, or new ones: what is incomplete is
    noticed, what is mixed is not.

    Args:
        files: the place of each finished file, which lies on the disk of its place.

    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a", "b"):
    ...     _ = (folder / f"new {name}").write_text(name)
    >>> put_together({folder / "new a": folder / "a", folder / "new b": folder / "b"})
    >>> sorted(path.name for path in folder.iterdir())
    ['a', 'b']
    """
    for temporary in files:
        _to_disk(temporary)
    for path in list(files.values())[1:]:
        path.unlink(missing_ok=True)
    for temporary, path in files.items():
        temporary.replace(path)


@contextmanager
def temporaries_in(folder: Path) -> Iterator[None]:
    """Let libraries write their temporary files into a folder, and not into that of the system, until the block ends.

    What a killed process leaves of them then goes with the folder.

    Args:
        folder: the folder.

    >>> with temporaries_in(Path("here")):
    ...     tempfile.gettempdir()
    'here'
    """
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def rights() -> int:
    """Return the rights that a new file has by the umask, for files whose writer gives them others."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def remove(path: Path) -> None:
    """Remove a file or a folder with its content, if it is there.

    Args:
        path: the file or folder. Of a link, the link is removed.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            path.unlink()


# --- leftovers ----------------------------------------------------------------------------------------------------


def sweep_once(folder: Path) -> None:
    """Call `sweep` if this process has not done so yet: many files of a folder are written with one look at it.

    Args:
        folder: the folder.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - links need not be followed
    if folder not in _swept:
        sweep(folder)


def sweep(folder: Path) -> None:
    """Remove what killed processes left unfinished in a folder, and put back old folders without a new one.

    What a living process is writing stays.

    Args:
        folder: the folder; it may not exist.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / ".a~packdepth-01234567.txt").write_text("half")
    >>> sweep(folder)
    >>> list(folder.iterdir())
    []
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100
    _swept.add(folder)
    with suppress(OSError):  # a reader may have no rights here, and then cleans nothing
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name[0] == "." and MARK in entry.name]
        for name in sorted(names):
            if _is_dead(folder / name):
                place, _, rest = name[1:].rpartition(MARK)
                if rest.startswith(OLD) and not (folder / place).exists():
                    (folder / name).rename(folder / place)
                else:
                    remove(folder / name)


def recover(path: Path) -> None:
    """Put back the folder at a path if a kill has left it beside its place, and remove what else was left there.

    Args:
        path: the path of the folder, which may not exist.
    """
    sweep(path.parent)
    for old in path.parent.glob(f".{_literal(path.name)}-old-*/{_literal(path.name)}"):  # of packdepth before 0.4
        if not path.exists():
            old.rename(path)
    for temporary in path.parent.glob(f".{_literal(path.name)}-*"):
        if MARK not in temporary.name:
            remove(temporary)


def _literal(name: str) -> str:
    """Return a name as a pattern that matches nothing else."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)


def _lock(descriptor: int) -> None:
    """Hold an unfinished file or folder, as long as it is open in this process. Some disks have no locks."""
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_dead(path: Path) -> bool:
    """Return whether no process holds an unfinished file or folder."""
    if fcntl is None:
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


# --- the disk -----------------------------------------------------------------------------------------------------


def _to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk. Some disks cannot say so of folders."""
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def _all_to_disk(folder: Path) -> None:
    """Wait until a folder is on the disk with all that is in it."""
    for path in folder.rglob("*"):
        if not path.is_symlink():
            _to_disk(path)
    _to_disk(folder)


@contextmanager
def _named(path: Path, temporary: Path) -> Iterator[None]:
    """Remove an unfinished file or folder at the end, and name `path` in errors of the disk in place of it."""
    try:
        yield
    except Exception as error:
        written = size_of(temporary)
        _clear(temporary)
        said = disk_error(error, path, written, temporary)
        if said is None:
            raise
        raise said from error
    finally:
        _clear(temporary)


def _clear(temporary: Path) -> None:
    """Remove an unfinished file or folder, if it is there. Where that fails, the next sweep removes it."""
    try:
        with suppress(OSError):
            if os.path.lexists(temporary):
                remove(temporary)
    except KeyboardInterrupt:  # of which there is one: the next signals are heeded seconds later
        with suppress(OSError):
            remove(temporary)
        raise


def size_of(path: Path) -> int:
    """Return the bytes in a file, or in all files of a folder; 0 if it is not there.

    Args:
        path: the file or folder.
    """
    total = 0
    for file in [path, *(path.rglob("*") if path.is_dir() else ())]:
        with suppress(OSError):
            found = file.lstat()
            total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total


@contextmanager
def naming(output: Path) -> Iterator[None]:
    """Name an output in errors of a full disk that do not name it, which the system gives without any file.

    Args:
        output: the file or folder that is written in the block.

    Raises InputError in place of such an error.

    >>> with naming(Path(".")):
    ...     raise OSError(errno.ENOSPC, "No space left on device")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    packdepth.errors.InputError: .: cannot be written: its disk is full (... free); free some space, or name another ...
    """
    try:
        yield
    except Exception as error:
        said = disk_error(error, output)
        if said is None:
            raise
        raise said from error


def disk_error(error: BaseException, path: Path, written: int = 0, temporary: Path | None = None) -> InputError | None:
    """Return the sentence for an error of writing `path`; None for an error that is no full disk and no missing right.

    Args:
        error: the error.
        path: the file or folder that was to be written.
        written: bytes of it that found room.
        temporary: the unfinished file or folder beside it; errors of other files are not of `path`.

    >>> str(disk_error(OSError(errno.ENOSPC, "No space left on device"), Path(".")))  # doctest: +ELLIPSIS
    '.: cannot be written: its disk is full (... free); free some space, or name another output'
    >>> disk_error(ValueError("no number"), Path("."))
    """
    if isinstance(error, InputError):
        return None
    path = finished(path)
    if is_full(error):
        there = next(folder for folder in [path, *path.absolute().parents] if folder.is_dir())
        free = size_in_words(shutil.disk_usage(there).free)
        needed = f", more than {size_in_words(written)} needed" if written else ""
        return InputError(
            f"{path}: cannot be written: its disk is full ({free} free{needed}); "
            f"free some space, or name another output"
        )
    if isinstance(error, OSError) and temporary is not None and str(error.filename).startswith(str(temporary)):
        return InputError(f"{path}: cannot be written ({error.strerror}); see to its rights, or name another output")
    return None


def is_full(error: BaseException | None) -> bool:
    """Return whether an error, or the one that it comes from, says that a disk is full.

    Args:
        error: the error.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        if any(words in str(error) for words in FULL_IN_WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False


def check_room(folder: Path, needed: float, advice: str) -> None:
    """Raise InputError if the disk of a folder has too little free space.

    Args:
        folder: a folder on the disk.
        needed: number of bytes that are needed.
        advice: what to do, the end of the sentence.

    >>> check_room(Path("."), needed=1, advice="name another output")
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{folder}: its disk has {size_in_words(free)} free, but about {size_in_words(needed)} are needed; {advice}"
        )


def user_cache() -> Path:
    """Return packdepth's folder in the user's folder for caches: in $XDG_CACHE_HOME, or in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "packdepth"


def size_in_words(count: float) -> str:
    """Return a number of bytes in megabytes or gigabytes.

    Args:
        count: number of bytes.

    >>> size_in_words(2.5e9)
    '2.5 GB'
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
