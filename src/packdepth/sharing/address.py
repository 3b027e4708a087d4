"""Addresses of checkpoints, and the cache of what is fetched from there.

    hf://user/name, hf://user/name@revision   a repository of Hugging Face's Hub (extra `hub`)
    https://host/name.zip#sha256=...          a zip file that `packdepth push` wrote, or an ONNX file
    file:///folder, file:///folder/name.zip   the same on this machine; a file may be followed by #sha256=...

The path of a zip file that `packdepth push` wrote is understood as its address on this machine is. A path may have been
made of an address before, which leaves one slash of two: it is understood as well.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from packdepth import __version__
from packdepth.disk import check_room, put, replaced, size_in_words, unfinished, user_cache
from packdepth.errors import InputError
from packdepth.progress import counting
from packdepth.reading import reason_of
from packdepth.sharing.parts import CHUNK, MAX_BYTES, ZIP, check_parts, checksum, is_packed, is_part, unpack

ADDRESS = re.compile(r"(hf|https|http|file):/{1,3}(?=[^/])(.+)")
REPOSITORY = re.compile(r"(\w[\w.-]*)/(\w[\w.-]*?)(?:@([\w./-]+))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
CHECKSUM = re.compile(r"sha256=([0-9a-f]{64})")
HERE = ("127.0.0.1", "localhost")  # the hosts that http is allowed for
ONNX = ".onnx"
SECONDS = 60.0  # for which a server may be silent; chosen
CACHE = "PACKDEPTH_CACHE"  # variable of the environment with the folder of what is fetched
MEGABYTE = 1_000_000


class Repository(NamedTuple):
    """A repository of Hugging Face's Hub.

    >>> str(Repository("user", "name", "v1"))
    'hf://user/name@v1'
    """

    user: str  # user or organization
    name: str  # name of the repository
    revision: str | None = None  # branch, tag or commit; None for the newest commit of the main branch

    @property
    def id(self) -> str:
        """The name by which the Hub knows it."""
        return f"{self.user}/{self.name}"

    def __str__(self) -> str:
        return f"hf://{self.id}" + ("" if self.revision is None else f"@{self.revision}")


def is_address(text: str | Path) -> bool:
    """Return whether a text, or a path that was made of it, is an address and no path.

    Args:
        text: the text.

    >>> is_address("hf://user/name"), is_address(Path("hf://user/name")), is_address("runs/mine/best")
    (True, True, False)
    """
    return ADDRESS.fullmatch(str(text)) is not None


def address(named: str | Path) -> str:
    """Return an address as it was written: a `Path` that was made of it has lost a slash. Of another path, its text.

    Args:
        named: a path, or an address or a path that was made of one.

    >>> address(Path("hf://user/name")), address(Path("runs/mine/best"))
    ('hf://user/name', 'runs/mine/best')
    """
    match = ADDRESS.fullmatch(str(named))
    return str(named) if match is None else "://".join(match.groups())


def located(checkpoint: str | Path) -> Path:
    """Return the path of a checkpoint; one that an address names is fetched into the cache first, if it is not there.

    Args:
        checkpoint: a path, or an address: hf://user/name[@revision], https://...#sha256=..., file:///... The path of a
            zip file that `packdepth push` wrote is taken for its address.

    Raises InputError if it cannot be fetched, is no checkpoint, or is larger than any.

    >>> str(located("runs/mine/best"))
    'runs/mine/best'
    """
    match = ADDRESS.fullmatch(str(checkpoint))
    if match is None:
        path = Path(checkpoint)
        file, fragment = _without_fragment(path)
        return _on_this_machine(path.absolute()) if fragment or is_packed(file) else path
    scheme, rest = match.groups()
    if scheme == "file":
        return _on_this_machine(Path(f"/{rest}"))
    return _from_hub(parse_repository(rest)) if scheme == "hf" else _from_web(f"{scheme}://{rest}")


def cache_folder() -> Path:
    """Return the folder of what is fetched: $PACKDEPTH_CACHE, or packdepth/checkpoints in the user's cache."""
    given = os.environ.get(CACHE)
    return Path(given) if given else user_cache() / "checkpoints"


# --- this machine -------------------------------------------------------------------------------------------------


def _on_this_machine(path: Path) -> Path:
    """Return a path, or the folder that a zip file at it was unpacked into.

    A file may be followed by # and its checksum, which is then compared.
    """
    path, fragment = _without_fragment(path)
    if not path.exists():
        raise InputError(f"file://{path}: not found; file:// is followed by an absolute path, as in file:///home/me")
    match = CHECKSUM.fullmatch(fragment)
    if fragment and (match is None or path.is_dir()):
        advice = "leave it out" if path.is_dir() else "write #sha256= and the 64 digits that its author publishes"
        raise InputError(f"file://{path}#{fragment}: #{fragment} is no checksum of it; {advice}")
    if match is None and path.suffix != ZIP:
        return path
    found = checksum(path)
    if match is not None and found != match[1]:
        raise _other_checksum(f"file://{path}", found, match[1])
    return (
        path if path.suffix != ZIP else _unpacked(path, cache_folder() / "sha256" / found / path.stem, f"file://{path}")
    )


def _without_fragment(path: Path) -> tuple[Path, str]:
    """Return a path and the checksum that follows it behind a #; names may contain a #, too."""
    text, _, fragment = str(path).rpartition("#")
    return (Path(text), fragment.lower()) if fragment.lower().startswith("sha256") else (path, "")


def _other_checksum(where: str, found: str, stated: str) -> InputError:
    """Return the error for a file that has another checksum than its address states."""
    return InputError(f"{where}: has the checksum {found}, not the stated {stated}; ask its author which is right")


def _unpacked(path: Path, folder: Path, where: str) -> Path:
    """Unpack the checkpoint in a zip file into a folder, unless it is there already."""
    if not folder.is_dir():
        with replaced(folder) as temporary:
            unpack(path, temporary, where)
    return folder


# --- the web ------------------------------------------------------------------------------------------------------


def _from_web(address: str) -> Path:
    """Return the folder, or the ONNX file, that an address of the web names."""
    url, _, fragment = address.partition("#")
    parts, match = urlsplit(url), CHECKSUM.fullmatch(fragment.lower())
    if parts.scheme != "https" and parts.hostname not in HERE:
        raise InputError(f"{url}: is not encrypted on its way; give an address that begins with https://")
    if match is None:
        raise InputError(
            f"{url}: has no checksum, without which anybody on the way could exchange it; add #sha256= and the 64 "
            f"digits that its author publishes"
        )
    name = PurePosixPath(parts.path)
    if name.suffix not in (ZIP, ONNX):
        raise InputError(f"{url}: is neither a {ZIP} of packdepth push nor an {ONNX} file; name one of these")
    folder = cache_folder() / "sha256" / match[1]
    place = folder / (name.stem if name.suffix == ZIP else name.name)
    if place.exists():
        return place
    folder.mkdir(parents=True, exist_ok=True)
    with unfinished(folder / name.name) as temporary:
        found = _download(url, temporary)
        if found != match[1]:
            raise _other_checksum(url, found, match[1])
        if name.suffix == ONNX:
            put(temporary, place)
            return place
        return _unpacked(temporary, place, url)


def _download(url: str, path: Path) -> str:
    """Write what is at an address into a file, and return its SHA-256."""
    request = urllib.request.Request(url, headers={"User-Agent": f"packdepth/{__version__}"})
    digest, count = hashlib.sha256(), 0
    with _reaching(url), urllib.request.urlopen(request, timeout=SECONDS) as answer, path.open("wb") as file:
        size = int(answer.headers.get("Content-Length") or 0)
        if size > MAX_BYTES:
            raise InputError(f"{url}: has {size_in_words(size)}, more than any checkpoint; name another file")
        check_room(path.parent, size, f"name another folder by {CACHE}")
        print(f"fetching {url} into {path.parent}", file=sys.stderr, flush=True)
        with counting("MB", max(size // MEGABYTE, 1)) as advance:
            while chunk := answer.read(CHUNK):
                before, count = count, count + len(chunk)
                if count > MAX_BYTES:
                    raise InputError(f"{url}: is larger than any checkpoint; name another file")
                digest.update(chunk)
                file.write(chunk)
                advance(count // MEGABYTE - before // MEGABYTE)
        if count < size:
            raise InputError(f"{url}: broke off after {count} of {size} bytes; try again")
    return digest.hexdigest()


@contextmanager
def _reaching(address: str) -> Iterator[None]:
    """Turn errors of the network into one sentence."""
    try:
        yield
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise InputError(
            f"{address}: cannot be fetched ({reason_of(error)}); look at the address, and try again"
        ) from error


# --- the Hub ------------------------------------------------------------------------------------------------------


def parse_repository(text: str) -> Repository:
    """Return the repository that an address names.

    Args:
        text: the address behind hf://.

    >>> parse_repository("user/name@v1").revision
    'v1'

    Raises InputError if it is no user/name.
    """
    match = REPOSITORY.fullmatch(text)
    if match is None:
        raise InputError(f"hf://{text}: is no address of the Hub; write hf://user/name, or hf://user/name@revision")
    return Repository(*match.groups())


def hub() -> Any:
    """Return the interface of Hugging Face's Hub, at $HF_ENDPOINT if that is set.

    Raises InputError if the extra `hub` is not installed.
    """
    try:
        import huggingface_hub
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError:
        raise InputError("hf:// needs the extra hub: pip install 'packdepth[hub]'") from None
    disable_progress_bars()  # they move the cursor
    endpoint = os.environ.get("HF_ENDPOINT")
    return huggingface_hub.HfApi(endpoint=endpoint, library_name="packdepth", library_version=__version__)


def _from_hub(repository: Repository) -> Path:
    """Return the folder that the checkpoint of a repository was fetched into."""
    place = cache_folder() / "hf" / repository.user / repository.name
    revision = repository.revision or ""
    if COMMIT.fullmatch(revision) and (place / revision).is_dir():  # a commit never changes
        return place / revision
    api = hub()
    with in_words(repository):
        info = api.model_info(repository.id, revision=repository.revision, files_metadata=True)
    sizes = {each.rfilename: each.size or 0 for each in info.siblings or () if is_part(each.rfilename)}
    check_parts(str(repository), sizes)
    if COMMIT.fullmatch(str(info.sha)) is None:  # it becomes the name of a folder
        raise InputError(f"{repository}: the Hub names no commit ({info.sha!r}); name another repository")
    folder: Path = place / str(info.sha)
    if folder.is_dir():
        return folder
    place.mkdir(parents=True, exist_ok=True)
    total = sum(sizes.values())
    check_room(place, total, f"name another folder by {CACHE}")
    print(
        f"fetching {repository}, {size_in_words(total)}, commit {info.sha}, into {folder}", file=sys.stderr, flush=True
    )
    with replaced(folder) as temporary:
        for name in sizes:
            with in_words(repository):
                api.hf_hub_download(repository.id, name, revision=info.sha, local_dir=temporary)
        shutil.rmtree(temporary / ".cache", ignore_errors=True)  # the library's notes
        check_parts(str(repository), {name: (temporary / name).stat().st_size for name in sizes})
    return folder


@contextmanager
def in_words(repository: Repository) -> Iterator[None]:
    """Turn the errors of the Hub into one sentence.

    Args:
        repository: the repository.

    >>> with in_words(Repository("user", "name")):
    ...     raise OSError("no network")
    Traceback (most recent call last):
    packdepth.errors.InputError: hf://user/name: the Hub cannot be used (no network); look at the address, at the \
network, and, if it is private or yours, at `hf auth login`
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # of the Hub, of its client, and of the network below it
        raise InputError(
            f"{repository}: the Hub cannot be used ({reason_of(error)}); look at the address, at the network, and, if "
            f"it is private or yours, at `hf auth login`"
        ) from error
