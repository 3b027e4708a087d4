"""Machines that train together, each simulated by a process with its own rank."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from packdepth.cli import main
from packdepth.training.run import train as _imported_before_the_fork  # noqa: F401


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def torchrun(rank: int) -> dict[str, str]:
    """What `torchrun --nnodes 2 --nproc-per-node 1 --node-rank RANK` gives the process that it starts."""
    return {
        "RANK": str(rank),
        "GROUP_RANK": str(rank),
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "1",
        "TORCHELASTIC_RUN_ID": "none",
    }


def machine(environment: dict[str, str], arguments: list[str], log: Path) -> None:
    """The process of a machine. It is forked, because importing torch takes longer than the training."""
    for name in [name for name in os.environ if name.startswith(("SLURM_", "RANK", "WORLD_"))]:
        del os.environ[name]
    os.environ.update(environment)
    with log.open("w") as file, redirect_stdout(file), redirect_stderr(file):
        status = main(arguments)
    os._exit(status)


def train_together(
    arguments: list[str], folder: Path, launcher: Callable[[int], dict[str, str]] = torchrun
) -> tuple[str, str]:
    """Train on two machines, and return what each of them printed."""
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "PACKDEPTH_WAIT_SECONDS": "60"}
    logs = [folder / "first.txt", folder / "second.txt"]
    machines = [
        multiprocessing.get_context("fork").Process(
            target=machine, args=(shared | launcher(rank), ["train", *arguments], log), daemon=True
        )
        for rank, log in enumerate(logs)
    ]
    for each in machines:
        each.start()
    for each in machines:
        each.join(timeout=100)
    first, second = (log.read_text() for log in logs)
    assert [each.exitcode for each in machines] == [0, 0], first + second
    return first, second
