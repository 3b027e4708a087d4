"""One training on two machines, each simulated by a process with its own rank, as torchrun and SLURM start them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from machines import torchrun, train_together

from packdepth import checkpoint

OPTIONS = (
    "training.nodes=2",
    "training.epochs=1",
    "training.epoch_steps=2",
    "data.val=[]",
    "networks.depth.dropout=0.0",
)


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
def test_two_machines_share_a_training(
    launcher: Callable[[int], dict[str, str]], run_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    first, second = train_together([str(run_file), *OPTIONS, "--output", str(output)], tmp_path, launcher)
    assert "processes  2, which train like one but for the rounding of floats" in first
    assert "processes" not in second  # one machine speaks
    assert checkpoint.read_description(output / "best")[1].step == 2
    with (output / "metrics.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2"]
