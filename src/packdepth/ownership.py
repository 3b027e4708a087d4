"""One owner of an output: a lock that a dead process does not hold."""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from packdepth.disk import disk_error, naming, sweep
from packdepth.errors import InputError, in_one_line

try:
    import fcntl
except ImportError:  # Windows: two commands on one output are not told apart there
    fcntl = None  # type: ignore[assignment]

LOCK = ".packdepth.lock"  # file in a folder that is being written to; its content is for people
TAKEN = (errno.EACCES, errno.EAGAIN)

_owned: set[Path] = set()  # outputs that this process owns


@contextmanager
def owned(output: Path, first: bool = True, beside: bool = False) -> Iterator[None]:
    """Own an output folder until the block ends, so that no other process writes to it meanwhile.

    The folder is made if it is not there; if the block leaves it empty, it is removed again. What a killed process left
    unfinished in the folder is removed. A block within a block of the same output, in one process, owns it already.

    Args:
        output: the folder.
        first: whether this process is the first of several that work on the output together; the others own nothing.
        beside: whether the lock lies beside the output, and the folder is not made: another will take its place.

    Raises InputError if another process owns the folder, if the folder cannot be made or written to, and, in place of
    an error that says it without the name of the output, if its disk is full.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "runs" / "first"
    >>> with owned(folder):
    ...     (folder / LOCK).exists()
    True
    >>> folder.exists()
    False
    """
    place = output.resolve()
    if not first or place in _owned or fcntl is None:
        with naming(output):
            yield
        return
    path = place.with_name(f".{place.name}{LOCK}") if beside else place / LOCK
    made = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    with naming(output):
        try:
            lock = _take(path, output)
        except BaseException:
            _remove_empty(made)
            raise
        _owned.add(place)
        try:
            sweep(path.parent)
            yield
        finally:
            _owned.discard(place)
            with suppress(OSError):
                path.unlink()
            os.close(lock)
            _remove_empty(made)


def _take(path: Path, output: Path) -> int:
    """Lock an output, and return the descriptor of the lock. Raises InputError if another process has it."""
    while True:
        what = "cannot be made a folder"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            what = "cannot be written to"
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            said = disk_error(error, output)
            if said is not None:
                raise said from None
            raise InputError(f"{output}: {what} ({error.strerror}); name another output") from None
        try:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock, not passed on to processes forked here
            except OSError as error:
                if error.errno in TAKEN:
                    raise InputError(f"{output}: {_owner(lock)}; wait for its end, or name another output") from None
                print(f"{output}: its disk has no locks ({error.strerror}); start nothing else there", file=sys.stderr)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock), path.stat()):  # the former owner may have just removed the file
                    os.ftruncate(lock, 0)
                    owner = {"pid": os.getpid(), "host": socket.gethostname()}
                    os.pwrite(lock, json.dumps(owner).encode(), 0)
                    return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def _owner(lock: int) -> str:
    """Return the owner of a lock in words."""
    try:
        owner = json.loads(os.pread(lock, 1000, 0))
        return in_one_line(f"process {owner['pid']} on {owner['host']} is writing to it")
    except (ValueError, KeyError, TypeError):
        return "another process is writing to it"


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders as far as they are empty, the lowest first."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()
