"""A few of the attacks of `make faults`: kills, signals and full disks in the middle of commands, and two owners."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ATTACK = Path(__file__).with_name("attack.py")
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([*sys.path, str(ATTACK.parents[1])])}
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="attacks fork")


def attacked(only: str, points: int) -> str:
    command = [sys.executable, str(ATTACK), "--points", str(points), "--only", only]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_attacked_commands_end_like_others() -> None:
    first = "(kill|signal|full|owners) data import|signal train$"
    table = attacked(f"{first}|(replace|full) data splits|(kill|signal) push zip", points=2)
    rows = re.findall(r"^(.*\S) +(\d+) +(\d+)$", table, re.MULTILINE)
    assert len(rows) == 9
    assert all(int(runs) >= 2 for _, runs, _ in rows)
    assert {failures for *_, failures in rows} == {"0"}
