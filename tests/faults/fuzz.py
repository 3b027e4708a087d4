"""Fuzzing of all readers of files: what others may have written is read, or refused in a sentence, and nothing else.

    python tests/faults/fuzz.py [--mutations 2000] [READER ...]        all mutations of readers, with a table of counts
    python tests/faults/fuzz.py --only video:812                       one mutation, with its traceback

Each mutation follows from the name of its reader and its number alone. Each reader runs in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from random import Random
from types import FrameType
from typing import NoReturn

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before ONNX Runtime is imported
if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from faults.mutations import mutated
from faults.readers import READERS, Reader

from packdepth.errors import InputError

SECONDS = 5.0  # of CPU that one mutation may take: each file has some kilobytes
MEGABYTES = 400  # that one mutation may take: an image of packdepth's limit for small files has 40 million pixels
MUTATIONS = 2000  # of each reader in `make fuzz`
MINUTE = 60.0  # seconds in which a reader's process starts, beside those of its mutations
ALLOWED = (InputError,)


class TooSlow(BaseException):
    """A mutation that takes too long; no reader catches it."""


@dataclass
class Count:
    """What became of the mutations of a reader."""

    reader: str
    accepted: int = 0
    refused: int = 0
    failures: dict[int, str] = field(default_factory=dict)  # what went wrong, by number of the mutation
    seconds: float = 0.0

    @property
    def mutations(self) -> int:
        """Number of mutations."""
        return self.accepted + self.refused + len(self.failures)


def mutations(name: str, numbers: Sequence[int], verbose: bool = False) -> Count:
    """Read mutations of a reader's files, and return what became of them.

    Args:
        name: name of the reader.
        numbers: numbers of the mutations.
        verbose: whether tracebacks are printed.
    """
    reader, count, begin = READERS[name], Count(name), time.monotonic()
    with tempfile.TemporaryDirectory() as text, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = Path(text)
        files = reader.write(root)
        contents = {file: file.read_bytes() for file in files}
        for file in files:  # what is not mutated must be accepted, and loads what is imported late
            reader.read(root, file)
        for number in numbers:
            random = Random(f"{name}:{number}")
            file = random.choice(files)
            kin = [content for other, content in contents.items() if other.suffix == file.suffix]
            file.write_bytes(mutated(random, contents[file], kin))
            failure = _failure(reader, root, file, verbose)
            file.write_bytes(contents[file])
            if failure is None:
                count.accepted += 1
            elif failure == "":
                count.refused += 1
            else:
                count.failures[number] = failure
    count.seconds = time.monotonic() - begin
    return count


def _failure(reader: Reader, root: Path, file: Path, verbose: bool) -> str | None:
    """Read a mutation; return None if it was accepted, an empty text if it was refused, else what went wrong."""
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    result: str | None = None
    try:
        with _limit(SECONDS):
            reader.read(root, file)
    except ALLOWED as error:
        result = "" if _is_sentence(str(error)) else f"no sentence: {str(error)[:200]!r}"
    except (KeyboardInterrupt, SystemExit):
        raise
    except TooSlow:
        result = f"took more than {SECONDS:g} s"
    except BaseException as error:  # also what libraries in Rust raise
        if verbose:
            traceback.print_exc()
        where = traceback.extract_tb(error.__traceback__)
        own = next((place for place in reversed(where) if "packdepth" in place.filename), where[-1])
        result = f"{type(error).__name__} in {Path(own.filename).name}:{own.name}: {str(error)[:120]!r}"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if time.process_time() - begin > SECONDS + 1:
        return f"took {time.process_time() - begin:.1f} s"
    return f"took {grown:.0f} MB" if grown > MEGABYTES else result


def _is_sentence(text: str) -> bool:
    """Return whether a message is short, and of one line."""
    return 0 < len(text) < 2000 and "\n" not in text.strip()


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Raise TooSlow in a block that takes too long."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _in_process(name: str, numbers: Sequence[int], queue: multiprocessing.Queue[Count]) -> None:
    """Put the count of a reader into a queue."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries report each damaged file
    queue.put(mutations(name, numbers))


def table(counts: Sequence[Count]) -> str:
    """Return the counts of readers as a table.

    Args:
        counts: the counts.
    """
    lines = [f"{'reader':<12} {'mutations':>9} {'accepted':>9} {'refused':>9} {'failures':>9} {'seconds':>8}"]
    total = Count("all")
    for count in counts:
        lines.append(
            f"{count.reader:<12} {count.mutations:>9} {count.accepted:>9} {count.refused:>9} {len(count.failures):>9} "
            f"{count.seconds:>8.1f}"
        )
        total.accepted += count.accepted
        total.refused += count.refused
        total.failures |= {len(total.failures) + i: text for i, text in enumerate(count.failures.values())}
        total.seconds += count.seconds
    lines.append(
        f"{'all':<12} {total.mutations:>9} {total.accepted:>9} {total.refused:>9} {len(total.failures):>9} "
        f"{total.seconds:>8.1f}"
    )
    return "\n".join(lines)


def main() -> int:
    """Run the mutations that the command line names, and return 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*", metavar="READER", help=", ".join(READERS))
    parser.add_argument("--mutations", type=int, default=MUTATIONS, help="of each reader")
    parser.add_argument("--only", metavar="READER:NUMBER")
    options = parser.parse_args()
    if options.only:
        name, _, number = options.only.partition(":")
        single = mutations(name, [int(number)], verbose=True)
        print(table([single]), *single.failures.values(), sep="\n")
        return bool(single.failures)
    counts, context = [], multiprocessing.get_context("fork")
    for name in options.readers or READERS:
        queue: multiprocessing.Queue[Count] = context.Queue()
        process = context.Process(target=_in_process, args=(name, range(options.mutations), queue))
        process.start()
        count, deadline = None, time.monotonic() + MINUTE + options.mutations * SECONDS
        while count is None and process.is_alive() and time.monotonic() < deadline:
            with suppress(Empty):
                count = queue.get(timeout=1)
        process.kill()
        process.join()
        counts.append(count or Count(name, failures={0: f"the process died with status {process.exitcode}"}))
        print(table(counts[-1:]).splitlines()[1], flush=True)
    print("\n" + table(counts))
    for each in counts:
        kinds = Counter(each.failures.values())
        for text, times in kinds.most_common():
            first = next(number for number, other in each.failures.items() if other == text)
            print(f"{each.reader}:{first} ({times}x) {text}")
    return any(each.failures for each in counts)


if __name__ == "__main__":
    sys.exit(main())
