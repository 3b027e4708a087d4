"""`bench/gpu.sh` runs here at a tiny size, so that it is right the first time there is a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "bench" / "gpu.sh"
OPTIONS = "--device cpu --networks tiny --size 32x64 --batch 2 --repeats 1 --no-compile --blocks 1"


def run(folder: Path, *options: str) -> list[list[str]]:
    """Run the script with one thread, and return the cells of the table that it writes."""
    command = ["sh", str(SCRIPT), *OPTIONS.split(), *options, "--output", str(folder / "gpu.md")]
    environment = os.environ | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    lines = (folder / "gpu.md").read_text().splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[4:]]


def test_every_check_but_that_of_resuming_gives_rows_without_a_gpu(tmp_path: Path) -> None:
    """A training that is killed and resumed takes three trainings; tests/training/test_run.py has one."""
    rows = run(tmp_path, "--checks", "parity", "packing", "onnx", "inference", "training")
    assert {row[0] for row in rows} == {"parity", "packing", "onnx", "inference", "training"}
    assert not [row for row in rows if "FAILED" in row[3] or "DIFFERS" in row[3]]
    assert [row[2] for row in rows if row[0] == "inference"] == ["float32", "bfloat16"]
    assert all(row[1] == "tiny" for row in rows if row[0] in ("parity", "inference", "training"))
