"""One training on two machines, each simulated by a process with its own rank, as torchrun and SLURM start them."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from packdepth import checkpoint

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


@pytest.mark.parametrize("launcher", [torchrun, srun])
def test_two_machines_share_a_training(launcher: object, run_file: Path, tmp_path: Path) -> None:
    assert callable(launcher)
    output, shared = tmp_path / "run", {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "RANK", "WORLD_"))}
    command = [sys.executable, "-m", "packdepth.cli", "train", str(run_file), *OPTIONS, "--output", str(output)]
    machines = [
        subprocess.Popen(
            command,
            env=clean | {"OMP_NUM_THREADS": "1"} | shared | launcher(rank),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]
    first, second = (machine.communicate(timeout=300)[0] for machine in machines)
    assert [machine.returncode for machine in machines] == [0, 0], first + second
    assert "processes  2, which train like one but for the rounding of floats" in first
    assert "processes" not in second  # one machine speaks
    assert checkpoint.read_description(output / "best")[1].step == 2
    with (output / "metrics.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2"]
