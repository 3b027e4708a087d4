"""Training in a process of its own, from where an earlier one stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from packdepth.errors import InputError


def finished_epochs(output: Path) -> int:
    """Epochs that the run in a folder has finished."""
    meta = output / "last" / "meta.json"
    return int(json.loads(meta.read_text())["epoch"]) if meta.exists() else 0


def train_elsewhere(run_file: Path, output: Path, overrides: tuple[str, ...] = ()) -> None:
    """Train a run file with overrides, or go on with what was stopped. The process starts others as the run needs them.

    Raises InputError if it fails; what was wrong it says itself.
    """
    command = [sys.executable, "-m", "packdepth.cli", "train", str(run_file), *overrides, "--output", str(output)]
    resume = ["--resume"] if finished_epochs(output) else []
    code = subprocess.run([*command, *resume], check=False).returncode
    if code:
        raise InputError(f"{run_file}: training ended with status {code}; see its message above")
