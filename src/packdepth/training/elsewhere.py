"""Training in a subprocess, which continues where an earlier one stopped. Importing this module takes no torch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from threading import Event

from packdepth.config import load_run
from packdepth.disk import recover
from packdepth.errors import InputError
from packdepth.interruption import DIES_WITH_PARENT, Interrupted, interrupting
from packdepth.ownership import owned

END_SECONDS = 20.0  # for a training to end when it is interrupted, before it is killed
LOOK_SECONDS = 0.2  # between looks at a training and at whether it is to be stopped


def finished_epochs(output: Path) -> int:
    """Return the number of epochs that the run in a folder has finished.

    Args:
        output: folder of the run; if it does not exist, the number is 0.

    Raises InputError if another process is writing to the folder.

    >>> finished_epochs(Path("no such folder"))
    0
    """
    if output.is_dir():
        with owned(output):  # nobody trains there any more, and what a killed training left is removed
            recover(output / "last")
    meta = output / "last" / "meta.json"
    return int(json.loads(meta.read_text())["epoch"]) if meta.exists() else 0


def is_finished(output: Path, epochs: int) -> bool:
    """Return whether a run has finished all its epochs, and what follows the last one: the measurement of the scale.

    Args:
        output: folder of the run; it may not exist.
        epochs: number of epochs of the run.
    """
    if finished_epochs(output) < epochs:
        return False
    meta = json.loads((output / "last" / "meta.json").read_text())
    return meta["scale_source"] == "none" or bool(meta.get("scale_checks"))


def train_elsewhere(
    run_file: Path,
    output: Path,
    overrides: tuple[str, ...] = (),
    log: Path | None = None,
    use: Sequence[str] = (),
    stop: Event | None = None,
) -> None:
    """Train a run file in a subprocess, or continue where an earlier one was stopped.

    The subprocess starts others if the run needs several. All of them end with this process.

    Args:
        run_file: the run file.
        output: folder for the run.
        overrides: values to change in the run file, such as "training.epochs=3".
        log: file for the output of the training, if several trainings run at the same time. The training then uses one
            thread.
        use: files or modules that the run file needs, as on the command line.
        stop: event by which another thread interrupts the training.

    Raises InputError if the training fails, the cause of which the subprocess has already printed, or ends before its
    last epoch; and Interrupted if a signal has ended it.
    """
    command = [sys.executable, "-m", "packdepth.cli", "train", str(run_file), *overrides, "--output", str(output)]
    command += [argument for name in use for argument in ("--use", name)]
    command += ["--resume"] if finished_epochs(output) else []
    environment = os.environ | {DIES_WITH_PARENT: str(os.getpid())}
    if log is not None:
        environment |= {"OMP_NUM_THREADS": "1"}
    with nullcontext() if log is None else log.open("w") as file:
        errors = None if log is None else subprocess.STDOUT
        process = subprocess.Popen(command, stdout=file, stderr=errors, env=environment)
        try:
            code = _wait(process, stop or Event())
        except BaseException:
            _end(process)
            raise
    number = interrupting(code)
    if number is not None:
        raise Interrupted(number)
    place = "above" if log is None else f"in {log}"
    done = finished_epochs(output)
    if code < 0:
        raise InputError(
            f"{run_file}: training was killed ({signal.Signals(-code).name}) with {done} epochs finished, perhaps for "
            f"want of memory; repeat the command to go on"
        )
    if code:
        raise InputError(f"{run_file}: training ended with status {code}; see its message {place}")
    epochs = load_run(run_file, overrides).training.epochs
    if done < epochs:
        raise InputError(f"{run_file}: training ended after {done} of {epochs} epochs; see its message {place}")


def _wait(process: subprocess.Popen[bytes], stop: Event) -> int:
    """Return the exit status of a training when it ends. Raises Interrupted if it is to be stopped before."""
    while True:
        try:
            return process.wait(LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            if stop.is_set():
                raise Interrupted(signal.SIGTERM) from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a training, and kill it if it does not end."""
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except BaseException:
        process.kill()
        process.wait()
