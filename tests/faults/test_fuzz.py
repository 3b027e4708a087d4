"""Mutations of the files of every reader: each is read or refused in a sentence. `make fuzz` tries many more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from threading import Event, Thread

import pytest

from packdepth.errors import InputError

pytest.importorskip("rosbags", reason="the extra ros is not installed")
pytest.importorskip("onnx", reason="the extra export is not installed")

from faults.fuzz import mutations
from faults.mutations import mutated
from faults.readers import READERS

SLOW, FAST = ("bag", "state", "hub", "exif"), ("images", "maps", "npz", "camera", "clip", "speeds", "dgp", "rgbd")
COUNTS = dict.fromkeys(READERS, 60) | dict.fromkeys(SLOW, 30) | dict.fromkeys(FAST, 120)


@pytest.mark.parametrize("name", READERS)
def test_every_mutation_is_read_or_refused_in_a_sentence(name: str) -> None:
    count = mutations(name, range(COUNTS[name]))
    assert count.failures == {}
    assert count.mutations == COUNTS[name]


def test_a_mutation_follows_from_its_number() -> None:
    data = b"fx: 500.5\n" * 20
    assert mutated(Random("camera:7"), data, [data]) == mutated(Random("camera:7"), data, [data])
    assert len({mutated(Random(f"camera:{number}"), data, [data]) for number in range(50)}) > 40


@contextmanager
def watched(pipe: Path) -> Iterator[list[Path]]:
    """Collect the pipe if somebody opens it for reading, and end the wait of whoever did."""
    opened: list[Path] = []
    over = Event()

    def watch() -> None:
        while not over.wait(0.02):
            with suppress(OSError):  # nobody waits
                os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
                opened.append(pipe)

    thread = Thread(target=watch)
    thread.start()
    try:
        yield opened
    finally:
        over.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize(
    "name", sorted(set(READERS) - {"run", "exif"})
)  # a run file may be a pipe, and EXIF is in images
def test_no_reader_waits_for_a_pipe(tmp_path: Path, name: str) -> None:
    reader = READERS[name]
    for place, path in enumerate(reader.write(tmp_path)):
        kept = path.rename(tmp_path / f"kept-{place}")
        os.mkfifo(path)
        with watched(path) as opened, suppress(InputError):
            reader.read(tmp_path, path)
        assert opened == []
        path.unlink()
        kept.rename(path)
