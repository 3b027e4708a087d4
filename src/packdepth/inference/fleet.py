"""Prediction of a list of inputs, shared by processes on any machines: `packdepth predict CHECKPOINT LIST.txt`.

Each input becomes a folder of the output, which is put there when it is complete. `manifest.jsonl` beside the folders
has a line for every change of state of an input. A process takes the inputs of its shard, except those that are done,
so that starting a command again goes on where it ended.
"""

from __future__ import annotations

import fcntl
import fnmatch
import hashlib
import json
import os
import re
import shutil
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from packdepth.checkpoint import TRAINER_STATE
from packdepth.config import Precision
from packdepth.disk import is_full, naming
from packdepth.errors import InputError, in_one_line
from packdepth.files import make_folder
from packdepth.inference.base import BasePredictor
from packdepth.inference.load import load
from packdepth.inference.run import Asked, check_asked, last_lines, predict_clips
from packdepth.progress import counted
from packdepth.sources.calibrations.find import NAMES, OWN_SUFFIXES
from packdepth.sources.files import is_clutter, read_text
from packdepth.sources.open import open_clips

ATTEMPTS = 3  # how often an input is tried when something else than the input is wrong; chosen
MANIFEST = "manifest.jsonl"
PARTIAL = ".partial"  # folder in the output with the inputs that are being predicted
CALIBRATION = re.compile("|".join(map(fnmatch.translate, (*NAMES, "calib*"))))  # names of calibrations; KITTI's, too


@dataclass(frozen=True)
class Item:
    """An input of a list.

    >>> Item(Path("day/drive.mp4"), "drive").name
    'drive'
    """

    path: Path  # the input, as the list names it
    name: str  # its folder in the output


@dataclass(frozen=True)
class Shard:
    """A part of a list: the inputs INDEX, INDEX + COUNT, INDEX + 2 COUNT and so on, counted from 1.

    >>> Shard.parse("2/3").of("abcdefg")
    ['b', 'e']
    """

    index: int  # number of this shard, from 1
    count: int  # number of shards

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard that --shard names, such as "1/4".

        Args:
            text: the text.

        Raises InputError for anything else.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise InputError(f"--shard {text}: is no shard; give I/N with I from 1 to N, such as 1/4")
        return cls(int(match[1]), int(match[2]))

    def of(self, items: Sequence[Any]) -> list[Any]:
        """Return the items of the shard.

        Args:
            items: the items of the list.
        """
        return list(items[self.index - 1 :: self.count])

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def read_list(path: Path) -> list[Item]:
    """Return the inputs of a list: a text file with a path in each line; empty lines and lines with # are left out.

    The name of an input is that of its file or folder, or, if several have that name, its path with - for /.

    Args:
        path: the list. Relative paths are relative to the working folder, as on the command line.

    Raises InputError if the list cannot be read, is empty, or names an input twice.
    """
    lines = [line.strip() for line in read_text(path, "a list of inputs, with a path in each line").splitlines()]
    paths = [Path(line) for line in lines if line and not line.startswith("#")]
    if not paths:
        raise InputError(f"{path}: names no input; write a path in each line")
    places = Counter(each.absolute() for each in paths)
    twice = [str(place) for place, count in places.items() if count > 1]
    if twice:
        raise InputError(f"{path}: names {twice[0]} twice; leave each input in one line")
    names = Counter(each.stem for each in paths)
    items = [Item(each, each.stem if names[each.stem] == 1 else _whole_name(each)) for each in paths]
    same = [name for name, count in Counter(item.name for item in items).items() if count > 1]
    if same:
        raise InputError(f"{path}: several of its inputs would be written to {same[0]}; rename one, or make two lists")
    return items


def list_in_words(path: Path, items: Sequence[Item]) -> str:
    """Return one line that says that a text file is taken for a list of inputs.

    Args:
        path: the list.
        items: its inputs.

    >>> list_in_words(Path("drives.txt"), [Item(Path("day/drive.mp4"), "drive")])
    'drives.txt: taken for a list, whose lines name 1 input'
    """
    return f"{path}: taken for a list, whose lines name {counted(len(items), 'input')}"


def _whole_name(path: Path) -> str:
    """Return a path as the name of a folder."""
    return re.sub(r"[^\w.-]+", "-", str(path)).strip("-.")


class Manifest:
    """The file with the states of all inputs of an output: JSON lines, of which the latest of an input counts.

    Any number of processes may append at a time. A line that a dying process has written in part is left out.

    Args:
        path: the file.
        job: hash of the checkpoint and of the options: what is done with others is not done.

    Attributes:
        attempts: number of attempts at each input, by its name, as of the last call of `latest`.

    >>> import tempfile
    >>> manifest = Manifest(Path(tempfile.mkdtemp()) / "manifest.jsonl", job="a1")
    >>> manifest.add(Item(Path("a.mp4"), "a"), "failed", error="a.mp4: not found")
    >>> manifest.latest()["a"]["state"]
    'failed'
    """

    def __init__(self, path: Path, job: str) -> None:
        self.path, self.job = path, job
        self.attempts = Counter[str]()
        self._entries: dict[str, dict[str, Any]] = {}
        self._read = 0  # number of bytes that were read

    def latest(self) -> dict[str, dict[str, Any]]:
        """Return the latest entry of each input, by its name.

        Raises InputError if the entries are those of another checkpoint, or of other options.
        """
        if not self.path.exists():
            return {}
        with self.path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        complete = text[: text.rfind(b"\n") + 1]
        self._read += len(complete)
        for line in complete.splitlines():
            try:
                entry = json.loads(line)
                self._entries[entry["name"]] = entry
                self.attempts[entry["name"]] += entry.get("state") == "started"
            except (ValueError, KeyError, TypeError):
                continue  # half a line of a process that was killed: its input has no later state
            if entry.get("job") != self.job:
                raise InputError(
                    f"{self.path}: is of another checkpoint or of other options than these; name another --output"
                )
        return self._entries

    def add(self, item: Item, state: str, **facts: Any) -> None:
        """Append a state of an input.

        Args:
            item: the input.
            state: "started", "done" or "failed".
            facts: what else is known, such as `seconds` or `error`.
        """
        entry = {
            "input": str(item.path),
            "name": item.name,
            "state": state,
            **facts,
            "job": self.job,
            "process": f"{socket.gethostname()}:{os.getpid()}",
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with self.path.open("ab+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
            whole = not size or file.read(1) == b"\n"
            file.write((b"" if whole else b"\n") + json.dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def job_of(checkpoint: Path, asked: Asked, precision: Precision) -> str:
    """Return a hash of all that predictions depend on: the files of a checkpoint and the options.

    Args:
        checkpoint: the checkpoint.
        asked: what to write.
        precision: precision of the depth network.
    """
    content = hashlib.sha256(repr((asked, precision)).encode())
    files = sorted(checkpoint.rglob("*")) if checkpoint.is_dir() else [checkpoint]
    for path in files:
        if path.is_file() and path.name != TRAINER_STATE:
            with path.open("rb") as file:
                content.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return content.hexdigest()[:16]


@dataclass
class Worker:
    """Predictor of the inputs of a list, one after the other, in one process.

    Attributes:
        predictor: the predictor.
        output: the output folder.
        asked: what to write.
        manifest: the states of the inputs.
    """

    predictor: BasePredictor
    output: Path
    asked: Asked
    manifest: Manifest

    def check_free(self, items: Sequence[Item]) -> None:
        """Raise InputError if a folder of an input is there that no process of this job began: it would be replaced.

        Args:
            items: the inputs of the list.
        """
        known = self.manifest.latest()
        for item in items:
            folder = self.output / item.name
            if item.name not in known and folder.exists():
                raise InputError(
                    f"{folder}: is there already, and is no prediction of this list; name another --output, or move it"
                )

    def is_done(self, item: Item) -> bool:
        """Return whether an input was predicted, has not changed since, and its predictions are there.

        Args:
            item: the input.
        """
        entry = self.manifest.latest().get(item.name)
        return (
            entry is not None
            and entry["state"] == "done"
            and (self.output / item.name).is_dir()
            and entry["stamp"] == self._stamp(item)
        )

    def predict(self, item: Item) -> str:
        """Predict an input, unless it is done or another process predicts it; return its state.

        Args:
            item: the input.

        Returns:
            "done", "failed", "done before" or "elsewhere".

        Raises InputError if the disk of the output is full: no other input would be predicted either.
        """
        if self.is_done(item):
            return "done before"
        partial = self.output / PARTIAL / item.name
        with naming(self.output), _owned(partial) as is_ours:
            if not is_ours:
                return "elsewhere"
            if self.is_done(item):
                return "done before"
            for attempt in range(1, ATTEMPTS + 1):
                state = self._attempt(item, partial, attempt)
                if state is not None:
                    return state
        return "failed"

    def _attempt(self, item: Item, partial: Path, attempt: int) -> str | None:
        """Predict an input; return its state, or None if it should be tried again."""
        asked, began = self.asked, time.monotonic()
        _empty(partial)
        self.manifest.add(item, "started", attempt=attempt)
        try:
            stamp = self._stamp(item)
            clips = open_clips(item.path, asked.kind, asked.options, asked.camera, asked.fov)
            predict_clips(self.predictor, clips, item.path, partial, asked)
        except Exception as error:  # a bad input must not end the work on the others; a full disk ends all of it
            if is_full(error):
                raise
            text = in_one_line(str(error) or type(error).__name__)
            self.manifest.add(item, "failed", attempt=attempt, error=text)
            _empty(partial)
            if isinstance(error, InputError):  # another attempt would fail in the same way
                named = text if str(item.path) in text else f"{item.path}: {text}"
                print(f"failed     {named}", flush=True)
                return "failed"
            print(f"failed     {item.path} (attempt {attempt} of {ATTEMPTS}): {text}", flush=True)
            return None
        shutil.rmtree(self.output / item.name, ignore_errors=True)
        partial.rename(self.output / item.name)
        frames, seconds = sum(len(clip.frames) for clip in clips), time.monotonic() - began
        scale = last_lines(self.predictor.meta, clips, asked.points)
        self.manifest.add(
            item, "done", attempt=attempt, frames=frames, seconds=round(seconds, 3), stamp=stamp, notes=scale
        )
        print(f"done       {item.path}: {counted(frames, 'frame')} in {seconds:.1f} s", flush=True)
        return "done"

    def _stamp(self, item: Item) -> str:
        """Return a hash of all that the predictions of an input depend on, except the checkpoint and the options.

        These are its files, by their names, sizes and times of change, and the contents of calibrations that lie beside
        it and of files that options name.
        """
        named = [Path(option.partition("=")[2]) for option in self.asked.options]
        if self.asked.camera is not None:
            named.append(self.asked.camera)
        facts = [*_files_at(item.path, self.output), *map(_content, [*named, *_calibrations_beside(item.path)])]
        return hashlib.sha256("\n".join(facts).encode(errors="surrogateescape")).hexdigest()[:16]


@contextmanager
def _owned(folder: Path) -> Iterator[bool]:
    """Make a folder, and yield whether this process alone works in it. A process that has died owns none."""
    make_folder(folder)
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:  # the owner has just moved it to its place
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = folder.exists() and os.path.samestat(os.fstat(descriptor), folder.stat())
    except BlockingIOError:
        is_ours = False
    try:
        yield is_ours
    finally:
        if is_ours and folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
        os.close(descriptor)


def _empty(folder: Path) -> None:
    """Remove all that a folder holds."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _files_at(path: Path, output: Path) -> Iterator[str]:
    """Yield name, size and time of change of an input, and of each file that it holds if it is a folder.

    Links are followed; the output, which may lie in the input, is left out.
    """
    if path.is_file():
        yield _facts(path.name, path)
    seen, root = {output.resolve()}, str(path)
    for folder, folders, names in os.walk(root, followlinks=True):
        place = Path(folder).resolve()
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(name for name in folders if not is_clutter(Path(name)))
        for name in sorted(names):
            if not is_clutter(Path(name)):
                yield _facts(f"{folder.removeprefix(root)}/{name}", Path(folder, name))


def _facts(name: str, path: Path) -> str:
    """Return the name of a file, with its size and time of change; the name alone of a link that leads nowhere."""
    try:
        facts = path.stat()
    except OSError:
        return name
    return f"{name} {facts.st_size} {facts.st_mtime_ns}"


def _calibrations_beside(path: Path) -> list[Path]:
    """Return the files beside an input that may be its calibration, as `sources.calibrations.find` looks for them."""
    folder = path.absolute().parent
    folders = [folder, folder.parent] if folder.name == "frames" else [folder]
    found = [folder / f"{path.stem}{suffix}" for suffix in OWN_SUFFIXES]
    for each in folders:
        if each.is_dir():
            with os.scandir(each) as entries:
                found += sorted(each / entry.name for entry in entries if CALIBRATION.match(entry.name))
    return found


def _content(path: Path) -> str:
    """Return the name of a file, with a hash of its content; the name alone of what is no file."""
    try:
        return f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" if path.is_file() else path.name
    except OSError:  # a value of an option is too long for a path
        return path.name


def open_worker(
    checkpoint: Path, output: Path, asked: Asked, precision: Precision, runtime: str | None, batch: int
) -> Worker:
    """Return a worker, with its networks loaded.

    Args:
        checkpoint: the checkpoint, as in `predict`.
        output: the output folder.
        asked: what to write.
        precision: precision of the depth network.
        runtime: what computes an exported file.
        batch: number of images in a call of the depth network.

    Raises InputError before anything is written if the checkpoint or the options cannot be used, or if the output was
    written with others.
    """
    check_asked(asked, batch)
    predictor = load(checkpoint, precision=precision, runtime=runtime)
    predictor.batch = batch
    asked.points.check_confidence(predictor.has_confidence, checkpoint)
    manifest = Manifest(output / MANIFEST, job_of(checkpoint, asked, precision))
    manifest.latest()
    make_folder(output)
    return Worker(predictor, output, asked, manifest)


def predict_list(
    checkpoint: Path,
    path: Path,
    output: Path,
    asked: Asked,
    shard: str = "1/1",
    precision: Precision = "32",
    runtime: str | None = None,
    batch: int = 1,
) -> None:
    """Predict the inputs of a list that belong to a shard, except those that are done, and print a summary.

    Args:
        checkpoint: the checkpoint, as in `predict`.
        path: the list, see `read_list`.
        output: the folder to write to: a folder for each input, and `manifest.jsonl`.
        asked: what to write of each input.
        shard: the shard, such as "1/4".
        precision: precision of the depth network.
        runtime: what computes an exported file.
        batch: number of images in a call of the depth network.

    Raises InputError before anything is written if the list, the checkpoint or an option cannot be used, and at the end
    if inputs have failed.
    """
    part, items = Shard.parse(shard), read_list(path)
    print(list_in_words(path, items), flush=True)
    worker = open_worker(checkpoint, output, asked, precision, runtime, batch)
    worker.check_free(items)
    began, states = time.monotonic(), Counter[str]()
    for item in part.of(items):
        states[worker.predict(item)] += 1
    print_summary(worker, items, f"shard {part}", states, time.monotonic() - began)


def print_summary(worker: Worker, items: Sequence[Item], who: str, states: Counter[str], seconds: float) -> None:
    """Print what was done, and how much of the list is.

    Args:
        worker: a worker.
        items: the inputs of the whole list.
        who: name of what was done, such as "shard 1/4".
        states: numbers of inputs by what `Worker.predict` returned.
        seconds: how long it took.

    Raises InputError if inputs have failed.
    """
    with suppress(OSError):  # it is not there, or another process works in it
        (worker.output / PARTIAL).rmdir()
    latest = worker.manifest.latest()
    done = [item for item in items if worker.is_done(item)]
    notes = dict.fromkeys(note for item in done for note in latest[item.name]["notes"] if note.startswith("depth is "))
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    print(f"{who}: {counted(states.total(), 'input')} in {seconds:.0f} s: {counts}")
    print("\n".join([f"list: {len(done)} of {len(items)} done: {worker.manifest.path}", *notes]))
    if states["failed"]:
        raise InputError(
            f"{worker.manifest.path}: {counted(states['failed'], 'input')} of {who} failed; the file says why, and "
            f"the same command tries again"
        )
