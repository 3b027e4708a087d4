"""One training on two machines, each simulated by a process with its own rank, as torchrun and SLURM start them."""

from __future__ import annotations

import csv
import multiprocessing
import os
import socket
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from packdepth import checkpoint
from packdepth.cli import main
from packdepth.training.run import train as _imported_before_the_fork  # noqa: F401

OPTIONS = (
    "training.nodes=2",
    "training.epochs=1",
    "training.epoch_steps=2",
    "data.val=[]",
    "networks.depth.dropout=0.0",
)


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


def srun(rank: int) -> dict[str, str]:
    """What `srun` gives the process of a node of a job of two nodes with one task each."""
    return {
        "SLURM_JOB_ID": "1234",
        "SLURM_JOB_NAME": "train",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_NNODES": "2",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": str(rank),
        "SLURM_NODELIST": "127.0.0.1",
    }


def machine(environment: dict[str, str], arguments: list[str], log: Path) -> None:
    """The process of a machine. It is forked, because importing torch takes longer than the training."""
    for name in [name for name in os.environ if name.startswith(("SLURM_", "RANK", "WORLD_"))]:
        del os.environ[name]
    os.environ.update(environment)
    with log.open("w") as file, redirect_stdout(file), redirect_stderr(file):
        status = main(arguments)
    os._exit(status)


@pytest.mark.parametrize("launcher", [torchrun, srun])
def test_two_machines_share_a_training(launcher: object, run_file: Path, tmp_path: Path) -> None:
    assert callable(launcher)
    output = tmp_path / "run"
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "PACKDEPTH_WAIT_SECONDS": "60"}
    arguments = ["train", str(run_file), *OPTIONS, "--output", str(output)]
    logs = [tmp_path / "first.txt", tmp_path / "second.txt"]
    machines = [
        multiprocessing.get_context("fork").Process(
            target=machine, args=(shared | launcher(rank), arguments, log), daemon=True
        )
        for rank, log in enumerate(logs)
    ]
    for each in machines:
        each.start()
    for each in machines:
        each.join(timeout=100)
    first, second = (log.read_text() for log in logs)
    assert [each.exitcode for each in machines] == [0, 0], first + second
    assert "processes  2, which train like one but for the rounding of floats" in first
    assert "processes" not in second  # one machine speaks
    assert checkpoint.read_description(output / "best")[1].step == 2
    with (output / "metrics.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2"]
