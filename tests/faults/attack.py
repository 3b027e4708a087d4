"""Attacks on commands: kills, signals and full disks at every file operation, and two owners of one output.

    PYTHONPATH=tests python tests/faults/attack.py [--points N] [--only WORD]

Each command of `cases` runs in a forked process, in which a hook of Python's audit events counts the operations on
files in and beside its output and in the folder for temporary files, and at the n-th of them kills the process, sends
it a signal, lets the disk be full, or stops it. Then the same command, or the one that the message names, must end with
the same files as a run that nothing has disturbed, and with nothing else in these folders. The table has the number of
attacks of each row, and how many failed.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np
from faults.cases import Case, cases, make_small, placed, write_inputs

from packdepth import checkpoint
from packdepth.cli import main
from packdepth.errors import InputError
from packdepth.ownership import LOCK

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "packdepth.exchange")
ORPHAN_SECONDS = 5  # that a process may live on after the one that has started it
SECONDS = 300  # after which a command hangs
VARYING = ("created", "git_commit")  # in meta.json
IMPORTED_ONCE = (  # and not in each fork
    "lightning.pytorch",
    "onnxruntime.quantization",
    "openvino",
    "packdepth.evaluation.odometry_command",
    "packdepth.evaluation.run",
    "packdepth.export.command",
    "packdepth.inference.fleet",
    "packdepth.inference.live",
    "packdepth.inference.run",
    "packdepth.inspection.check",
    "packdepth.inspection.import_data",
    "packdepth.recommend.command",
    "packdepth.scale.calibrate",
    "packdepth.segmentation.training",
    "packdepth.studies.reconstruction",
    "packdepth.training.two_stage",
)
TEMPORARY = "temporary"  # beside an output: the folder for temporary files of the command


@dataclass(frozen=True)
class Ended:
    """The end of a command."""

    status: int  # exit status; negative for a signal
    text: str  # what it printed
    operations: int  # number of its file operations


@dataclass
class Row:
    """A row of the table."""

    name: str  # what was attacked, and how
    runs: int = 0  # number of attacks
    failures: list[str] = field(default_factory=list)  # a sentence on each that failed


class Hook:
    """Audit hook that counts operations on files in a folder, and does something from the n-th on.

    Args:
        folder: the folder.
        at: the number of the operation; 0 for none.
        act: what is done, with the number of the operation.
    """

    def __init__(self, folder: Path, at: int, act: Callable[[int], None]) -> None:
        self.folder, self.at, self.act, self.count = str(folder), at, act, 0

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            flags = arguments[2]
            if not isinstance(flags, int) or not flags & WRITING:
                return
        elif event not in EVENTS:
            return
        paths = [os.fsdecode(value) for value in arguments if isinstance(value, (str, bytes, os.PathLike))]
        if any(path.startswith(self.folder) or (path and path[0] != "/" and event == "os.remove") for path in paths):
            self.count += 1
            if self.at and self.count >= self.at:
                self.act(self.count - self.at)


def kill(after: int) -> None:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def fill(after: int) -> None:
    """Let the disk be full from now on."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def send(number: int) -> Callable[[int], None]:
    """Return an act that sends a signal to this process once."""

    def act(after: int) -> None:
        if after == 0:
            os.kill(os.getpid(), number)

    return act


def start(arguments: Sequence[str], folder: Path, at: int = 0, act: Callable[[int], None] = kill) -> tuple[int, Path]:
    """Start a command in a forked process, and return its number and the file with its output."""
    descriptor, name = tempfile.mkstemp(prefix="attack-")
    os.close(descriptor)
    log = Path(name)
    process = os.fork()
    if process:
        return process, log
    status = 70
    try:
        os.setpgid(0, 0)  # with all that it starts
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
        tempfile.tempdir = str(folder.parent / TEMPORARY)
        hook = Hook(folder.parent, at, act)
        sys.addaudithook(hook)
        try:
            status = main(list(arguments))
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1 if error.code else 0
        except BaseException:
            import traceback

            traceback.print_exc()
            status = 1
        hook.at = 0
        sys.stdout.flush()
        print(f"\noperations {hook.count}", flush=True)
    finally:
        os._exit(status)


def finish(process: int, log: Path) -> Ended:
    """Wait for a command and return its end. A command that hangs is killed."""
    deadline = time.monotonic() + SECONDS
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            break
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return Ended(-99, "hung", 0)
        time.sleep(0.05)
    text = log.read_text(errors="replace")
    log.unlink()
    counted = re.search(r"\noperations (\d+)\n", text)
    return Ended(os.waitstatus_to_exitcode(status), text, int(counted[1]) if counted else 0)


def outlived(process: int) -> bool:
    """Return whether a process that a command has started lives on after its end, and end it."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while time.monotonic() < deadline:
        try:
            os.killpg(process, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    os.killpg(process, signal.SIGKILL)
    return True


def run(arguments: Sequence[str], folder: Path, at: int = 0, act: Callable[[int], None] = kill) -> Ended:
    """Run a command in a forked process to its end."""
    return finish(*start(arguments, folder, at, act))


def content(folder: Path, varying: Sequence[str] = ()) -> dict[str, str]:
    """Return hashes of the files in a folder by their paths, without what differs between any two runs.

    Args:
        folder: the folder.
        varying: patterns of files whose content differs, which have no hash.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or name.startswith("tensorboard") or "/tensorboard/" in name or path.name == "trainer.ckpt":
            continue
        value = path.read_bytes() if not any(path.match(pattern) for pattern in varying) else b""
        if path.name == "meta.json" and value:
            meta = json.loads(value)
            value = json.dumps({key: meta[key] for key in meta if key not in VARYING}).encode()
        found[name] = hashlib.sha256(value.replace(str(folder).encode(), b"OUTPUT")).hexdigest()
    return found


def leftovers(folder: Path) -> list[str]:
    """Return the hidden files in and beside a folder, and what is in the folder for temporary files."""
    found = {*folder.parent.rglob(".*"), *(folder.parent / TEMPORARY).iterdir()}
    return sorted(str(path.relative_to(folder.parent)) for path in found)


def fresh(folder: Path, given: Path | None = None) -> Path:
    """Empty a folder, and return an output in it.

    Args:
        folder: the folder.
        given: what the output is a copy of; if None, it does not exist.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / TEMPORARY).mkdir(parents=True)
    output = folder / "out"
    if given is not None:
        shutil.copytree(given, output)
    return output


def again(case: Case, output: Path, text: str) -> list[str]:
    """Return the arguments that go on: those that the message names, or the same, for a training with --resume."""
    named = re.search(r"interrupted: go on with `packdepth (.*)`", text)
    if named:
        return shlex.split(named[1])
    states = ("last/trainer.ckpt", "stage1/last/trainer.ckpt", "trainer.ckpt")
    resume = "train" in case.arguments[:2] and any((output / state).exists() for state in states)
    return [*case.at(output), *(["--resume"] if resume else [])]


class Attack:
    """The attacks on a command.

    Args:
        case: the command.
        folder: an empty folder for its outputs.
        points: number of operations that are attacked, spread evenly over all.
    """

    def __init__(self, case: Case, folder: Path, points: int) -> None:
        self.case, self.folder, self.points = case, folder, points
        output = self.fresh()
        self.whole = run(case.at(output), output)
        if self.whole.status != 0:
            raise SystemExit(f"{case.name}: cannot be attacked: {self.whole.text}")
        self.content = self.found(output)

    def fresh(self) -> Path:
        """Return an output as it is before the command."""
        return fresh(self.folder, self.case.given)

    def found(self, output: Path) -> dict[str, str]:
        """Return hashes of what the command has written."""
        return content(output, self.case.varying)

    def operations(self, first: int = 1, but: int = 0) -> Iterator[int]:
        """Yield the numbers of the attacked operations, from the `first` one to the last `but` some."""
        last = self.whole.operations - but
        points = min(self.points, self.case.points, last)
        yield from sorted(set(np.linspace(first, last, points).round().astype(int).tolist()))

    def end(self, output: Path, text: str) -> str | None:
        """Go on after an attack, and return what is wrong at the end; None if nothing is."""
        complete = self.found(output) == self.content  # then some commands refuse to write it again
        ended = run(again(self.case, output, text), output)
        if ended.status != 0 and not (complete and re.search("already|exists", ended.text)):
            return f"going on ended with {ended.status}: {last_line(ended.text)}"
        found = self.found(output)
        if found != self.content:
            different = [name for name, value in self.content.items() if found.get(name) != value]
            return f"other files than without the attack: {different or sorted(found.keys() - self.content)}"
        left = leftovers(output)
        return f"left over: {left[:3]}" if left else None

    def kills(self) -> Row:
        """Kill the command at its operations."""
        row = Row(f"kill: {self.case.name}")
        seen: set[str] = set()
        for at in self.operations():
            output = self.fresh()
            run(self.case.at(output), output, at)
            row.runs += 1
            wrong = None
            for name in self.case.checkpoints:
                try:
                    checkpoint.read_description(output / name)
                    seen.add(name)
                except InputError as error:
                    if name in seen:
                        wrong = f"no checkpoint where one was: {error}"
            wrong = wrong or self.end(output, "")
            if wrong:
                row.failures.append(f"operation {at} of {self.whole.operations}: {wrong}")
        return row

    def replacements(self) -> Row:
        """Kill the command at its operations while it replaces the output of an older one."""
        row = Row(f"kill while replacing: {self.case.name}")
        older: dict[str, str] = {}
        for at in self.operations():
            output = self.fresh()
            run(placed(self.case.older, output), output)
            older = older or self.found(output)
            run(self.case.at(output), output, at)
            row.runs += 1
            found = {name: value for name, value in self.found(output).items() if not name.startswith(".")}
            same = older.items() & self.content.items()
            kinds = {
                "old" if older.get(name) == value else "new" if self.content.get(name) == value else "in between"
                for name, value in found.items() - same
                if "/." not in name
            }
            wrong = f"files are {' and '.join(sorted(kinds))}" if kinds not in ({"old"}, {"new"}, set()) else None
            wrong = wrong or self.end(output, "")
            if wrong:
                row.failures.append(f"operation {at}: {wrong}")
        return row

    def signals(self, numbers: Sequence[signal.Signals]) -> Row:
        """Send signals to the command at its operations."""
        row = Row(f"signal: {self.case.name}")
        for index, at in enumerate(self.operations()):
            number = numbers[index % len(numbers)]
            output = self.fresh()
            ended = run(self.case.at(output), output, at, send(number))
            row.runs += 1
            wrong = None
            if self.case.ends and ended.status == 0:
                wrong = None if self.found(output) == self.content and not leftovers(output) else "not complete"
            elif ended.status != 128 + number:
                wrong = f"status {ended.status}: {last_line(ended.text)}"
            elif ended.text.count("interrupted: go on with") != 1 or "Traceback" in ended.text:
                wrong = f"not one line: {last_line(ended.text)}"
            else:
                wrong = self.end(output, ended.text)
            if wrong:
                row.failures.append(f"{number.name} at operation {at}: {wrong}")
        return row

    def full(self) -> Row:
        """Let the disk be full from an operation on."""
        row = Row(f"full disk: {self.case.name}")
        for at in self.operations():
            output = self.fresh()
            ended = run(self.case.at(output), output, at, fill)
            row.runs += 1
            line = last_line(ended.text)
            if ended.status == 0:  # only what is not needed, such as the removal of a leftover, did not work
                found = {path: value for path, value in self.found(output).items() if path != LOCK}
                wrong = None if found == self.content else "status 0, but other files"
            elif ended.status != 2 or "Traceback" in ended.text:
                wrong = f"status {ended.status}: {line}"
            elif str(output) not in line or "free" not in line or "~" in line or "/.trainer" in line:
                wrong = f"does not name the output and its space: {line}"
            else:
                wrong = self.end(output, "")
            if wrong:
                row.failures.append(f"operation {at}: {wrong}")
        return row

    def owners(self) -> Row:
        """Start the command a second time while a first one is at an operation."""
        row = Row(f"two owners: {self.case.name}")
        for at in self.operations(first=4, but=3):  # without those before and after it owns the output
            output = self.fresh()
            process, log = start(self.case.at(output), output, at, send(signal.SIGSTOP))
            deadline = time.monotonic() + SECONDS
            while not _stopped(process) and time.monotonic() < deadline:
                time.sleep(0.05)
            second = run(again(self.case, output, ""), output)
            os.kill(process, signal.SIGCONT)
            first = finish(process, log)
            row.runs += 1
            if second.status != 2 or f"process {process} on" not in second.text:
                row.failures.append(f"operation {at}: second {second.status}: {last_line(second.text)}")
            elif first.status != 0 or self.found(output) != self.content or leftovers(output):
                row.failures.append(f"operation {at}: first {first.status}: {last_line(first.text)}")
        return row


def _stopped(process: int) -> bool:
    """Return whether a process is stopped."""
    found, status = os.waitpid(process, os.WNOHANG | os.WUNTRACED)
    return bool(found) and os.WIFSTOPPED(status)


def orphans(case: Case, folder: Path, begun: str) -> Row:
    """Kill and interrupt a command with processes of its own when a file has appeared, and go on with it.

    Args:
        case: the command.
        folder: an empty folder.
        begun: pattern of the file.
    """
    row = Row(f"orphans: {case.name}")
    for number in (signal.SIGKILL, signal.SIGTERM):
        output = fresh(folder)
        process, log = start(case.at(output), output)
        deadline = time.monotonic() + SECONDS
        while not any(output.glob(begun)) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process, number)
        ended = finish(process, log)
        row.runs += 1
        expected = -number if number == signal.SIGKILL else 128 + number
        if outlived(process) or ended.status != expected:
            row.failures.append(
                f"{number.name}: status {ended.status}, or processes that lived on: {last_line(ended.text)}"
            )
            continue
        ended = run(again(case, output, ended.text), output)
        if ended.status != 0 or leftovers(output):
            row.failures.append(
                f"{number.name}: going on: {ended.status}, {last_line(ended.text)}, {leftovers(output)}"
            )
    return row


def stopped_rank(case: Case, folder: Path) -> Row:
    """Stop, not kill, the second of two processes that train together: the first must end and say so."""
    row = Row(f"stopped rank: {case.name}", runs=1)
    output = fresh(folder)
    os.environ["PACKDEPTH_WAIT_SECONDS"] = "30"  # fewer, and a busy machine looks like a stopped rank
    command = [sys.executable, "-m", "packdepth.cli", *case.at(output)]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + SECONDS
        while not (output / "last").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if process.poll() is None:
            os.kill(int(children.read_text().split()[0]), signal.SIGSTOP)
        text, _ = process.communicate(timeout=SECONDS)
    finally:
        del os.environ["PACKDEPTH_WAIT_SECONDS"]
        process.kill()
    if process.returncode != 2 or "did not answer for 30 seconds" not in text:
        row.failures.append(f"status {process.returncode}: {last_line(text)}")
    return row


def rights(case: Case, folder: Path) -> Row:
    """Compare the rights of all written files with what the umask gives."""
    row = Row(f"umask: {case.name}")
    for mask in (0o022, 0o027, 0o002):
        before = os.umask(mask)
        try:
            output = fresh(folder, case.given)
            run(case.at(output), output)
        finally:
            os.umask(before)
        given = [] if case.given is None else [output / each.relative_to(case.given) for each in case.given.rglob("*")]
        for path in set(output.rglob("*")) - set(given):
            row.runs += 1
            expected = (0o777 if path.is_dir() else 0o666) & ~mask
            if path.stat().st_mode & 0o777 != expected:
                row.failures.append(f"{path.name}: {path.stat().st_mode & 0o777:o} under umask {mask:o}")
    return row


def last_line(text: str) -> str:
    """Return the last line of what a command printed."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("operations ")]
    return lines[-1][:300] if lines else ""


ATTACKS: dict[str, Callable[[Attack], Row]] = {
    "kill": Attack.kills,
    "replace": Attack.replacements,
    "signal": lambda attack: attack.signals((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)),
    "full": Attack.full,
    "owners": Attack.owners,
}


def attacked(points: int, only: str = "") -> Iterator[Row]:
    """Yield the rows of the table.

    Args:
        points: number of operations of each command that are attacked.
        only: a regular expression of what is attacked, such as "kill.*import"; all without one.
    """
    with tempfile.TemporaryDirectory(prefix="attacks-") as name:
        folder = Path(name)
        os.environ["HF_HUB_OFFLINE"] = "1"
        write_inputs(folder / "input")
        make_small(folder / "input")
        commands = cases(folder / "input")
        long = commands[1].arguments
        several = Case("train, 2 workers", (*long, "data.workers=2", "training.epochs=40"), ("last",))
        if re.search(only, "orphans train"):
            yield orphans(several, folder / "work", "last")
        if re.search(only, "orphans city"):
            city = Case("city, 2 processes", ("city", "OUT", "--drives", "3", "--frames", "12", "--size", "96x320"))
            yield orphans(city, folder / "work", "*/rows/*.csv")
        if re.search(only, "stopped rank"):
            options = ("training.devices=2", "training.batch_size=2", "training.epochs=2000")
            yield stopped_rank(Case("train", (*long, *options)), folder / "work")
        for case in commands:
            unfit = {"replace": not case.older, "owners": not case.owned}
            kinds = [kind for kind in ATTACKS if not unfit.get(kind)]
            wanted = [ATTACKS[kind] for kind in kinds if re.search(only, f"{kind} {case.name}")]
            if wanted:
                attack = Attack(case, folder / "work", points)
                for each in wanted:
                    yield each(attack)
            if case.points >= points and re.search(only, f"umask {case.name}"):
                yield rights(case, folder / "work")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--only", default="")
    chosen = parser.parse_args()
    for module in IMPORTED_ONCE:
        import_module(module)
    os.environ["OMP_NUM_THREADS"] = "1"
    wrong = 0
    print(f"{'attack':32}{'runs':>6}{'failures':>10}", flush=True)
    for row in attacked(chosen.points, chosen.only):
        wrong += len(row.failures)
        print(f"{row.name:32}{row.runs:>6}{len(row.failures):>10}", flush=True)
        for sentence in row.failures[:5]:
            print(f"    {sentence}", flush=True)
    sys.exit(1 if wrong else 0)
