"""Trainings of studies in this process: that they run in others is what test_side_by_side.py tests."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from packdepth.studies import side_by_side
from packdepth.training.run import train


@pytest.fixture
def trained_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let studies train one run after another in this process, which has imported torch and Lightning already."""
    one = Lock()  # random numbers are the process's

    def train_here(run_file: Path, output: Path, **_: Any) -> None:
        with one:
            train(run_file, output)

    monkeypatch.setattr(side_by_side, "train_elsewhere", train_here)
