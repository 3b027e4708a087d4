"""Training in a subprocess, which continues where an earlier one stopped. Importing this module takes no torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from packdepth.errors import InputError


def finished_epochs(output: Path) -> int:
    """Return the number of epochs that the run in a folder has finished.

    Args:
        output: folder of the run; if it does not exist, the number is 0.

    >>> finished_epochs(Path("no such folder"))
    0
    """
    meta = output / "last" / "meta.json"
    return int(json.loads(meta.read_text())["epoch"]) if meta.exists() else 0


def train_elsewhere(
    run_file: Path,
    output: Path,
    overrides: tuple[str, ...] = (),
    log: Path | None = None,
    use: Sequence[str] = (),
) -> None:
    """Train a run file in a subprocess, or continue where an earlier one was stopped.

    The subprocess starts others if the run needs several.

    Args:
        run_file: the run file.
        output: folder for the run.
        overrides: values to change in the run file, such as "training.epochs=3".
        log: file for the output of the training, if several trainings run at the same time. The training then uses one
            thread.
        use: files or modules that the run file needs, as on the command line.

    Raises InputError if the training fails. The subprocess has already printed the cause.
    """
    command = [sys.executable, "-m", "packdepth.cli", "train", str(run_file), *overrides, "--output", str(output)]
    command += [argument for name in use for argument in ("--use", name)]
    command += ["--resume"] if finished_epochs(output) else []
    if log is None:
        code, place = subprocess.run(command, check=False).returncode, "above"
    else:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        with log.open("w") as file:
            process = subprocess.run(command, check=False, stdout=file, stderr=subprocess.STDOUT, env=environment)
        code, place = process.returncode, f"in {log}"
    if code:
        raise InputError(f"{run_file}: training ended with status {code}; see its message {place}")
