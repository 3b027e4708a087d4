"""A training in another process: its end is compared with the plan, and it does not outlive an interruption."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from threading import Event, Timer

import pytest

from packdepth.errors import InputError
from packdepth.interruption import Interrupted
from packdepth.training.elsewhere import train_elsewhere


def child(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a shell script take the place of the training."""
    path = tmp_path / "child"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 0", r"run\.yaml: training ended after 0 of 3 epochs; see its message in .*log"),
        ("exit 2", r"run\.yaml: training ended with status 2; see its message in .*log"),
        (
            "kill -KILL $$",
            r"run\.yaml: training was killed \(SIGKILL\) with 0 epochs finished, perhaps for want of memory",
        ),
    ],
)
def test_a_training_that_does_not_finish_is_no_success(
    script: str, expected: str, run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(script, tmp_path, monkeypatch)
    with pytest.raises(InputError, match=expected):
        train_elsewhere(run_file, tmp_path / "out", log=tmp_path / "log")


@pytest.mark.parametrize("script", ["kill -TERM $$", "exit 143"])
def test_an_interrupted_training_interrupts_who_has_started_it(
    script: str, run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(script, tmp_path, monkeypatch)
    with pytest.raises(Interrupted) as raised:
        train_elsewhere(run_file, tmp_path / "out", log=tmp_path / "log")
    assert raised.value.number == signal.SIGTERM


def test_another_thread_interrupts_a_training(run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child('trap "echo left; exit 143" TERM; echo began; while true; do sleep 0.05; done', tmp_path, monkeypatch)
    stop, begun = Event(), time.monotonic()
    Timer(0.5, stop.set).start()
    with pytest.raises(Interrupted):
        train_elsewhere(run_file, tmp_path / "out", log=tmp_path / "log", stop=stop)
    assert (tmp_path / "log").read_text().split() == ["began", "left"]
    assert time.monotonic() - begun < 15
