"""Signals end commands with their number and the command that goes on, and no child outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from packdepth.interruption import (
    DIES_WITH_PARENT,
    Interrupted,
    going_on,
    heeding_signals,
    interrupting,
    is_first_rank,
    started_by_first_rank,
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_becomes_an_interruption_once(number: signal.Signals) -> None:
    outside = signal.signal(number, signal.SIG_DFL)  # nohup and shells in the background have it ignored
    try:
        with heeding_signals() as signals:
            with pytest.raises(Interrupted) as raised:
                os.kill(os.getpid(), number)
            assert raised.value.status == 128 + number
            os.kill(os.getpid(), number)  # an echo, such as of Ctrl-C to a whole group of processes
            assert signals.received == number
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, outside)


def test_a_signal_that_is_ignored_stays_so() -> None:
    outside = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with heeding_signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.received is None
    finally:
        signal.signal(signal.SIGHUP, outside)


def test_an_interruption_is_an_interruption_to_others() -> None:
    assert isinstance(Interrupted(2), KeyboardInterrupt)
    assert [interrupting(status) for status in (143, -15, 130, 129, 0, 2, -9, 137)] == [
        15,
        15,
        2,
        1,
        None,
        None,
        None,
        None,
    ]


def test_a_training_goes_on_with_resume_once_there_is_something_to_go_on_with(tmp_path: Path) -> None:
    output = tmp_path / "my run"
    arguments = ["train", "run.yaml", "a.b=1", "-o", str(output)]
    assert going_on(arguments) == f"packdepth train run.yaml a.b=1 -o '{output}'"
    (output / "last").mkdir(parents=True)
    (output / "last" / "trainer.ckpt").touch()
    assert going_on(arguments) == f"packdepth train run.yaml a.b=1 -o '{output}' --resume"
    assert going_on([*arguments, "--resume"]) == going_on(arguments)
    assert going_on(["predict", "a", "b", f"--output={output}"]) == f"packdepth predict a b '--output={output}'"


CHILD = """
import os, sys, time
from packdepth.interruption import die_with_parent
die_with_parent()
print(os.getpid(), flush=True)
time.sleep(60)
"""
PARENT = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {CHILD!r}])
time.sleep(60)
"""


def test_a_child_ends_with_its_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


LOADING = """
import torch
from torch.utils.data import DataLoader
from packdepth.workers import begin_loading
loader = DataLoader(torch.zeros(100_000, 8), num_workers=2, worker_init_fn=begin_loading)
for number, _ in enumerate(loader):
    if number == 20:
        print("loading", flush=True)
"""


def test_what_loads_for_a_killed_process_ends_and_leaves_nothing(tmp_path: Path) -> None:
    # Python's multiprocessing keeps the sockets of a worker in a folder that only the worker itself removes.
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", LOADING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert list(tmp_path.iterdir())
        process.kill()
    deadline = time.monotonic() + 20
    with pytest.raises(ProcessLookupError):
        _wait_for_the_end_of_all(process.pid, deadline)
    assert not list(tmp_path.iterdir())


def _wait_for_the_end_of_all(group: int, deadline: float) -> None:
    """Raise ProcessLookupError as soon as no process of a group lives, within a time."""
    while time.monotonic() < deadline:
        os.killpg(group, 0)
        time.sleep(0.05)


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"])
def test_every_launcher_names_the_first_process(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "0")
    assert is_first_rank()
    monkeypatch.setenv(name, "1")
    assert not is_first_rank()


@pytest.mark.parametrize(("rank", "parent", "started"), [("0", "12", False), ("1", "12", True), ("1", None, False)])
def test_only_a_process_that_the_first_rank_started_leaves_out_its_checks(
    rank: str, parent: str | None, started: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", rank)
    monkeypatch.delenv(DIES_WITH_PARENT, raising=False)
    if parent is not None:
        monkeypatch.setenv(DIES_WITH_PARENT, parent)
    assert started_by_first_rank() is started
