"""Every shipped run file: read, round-tripped and, where its data is there, run for a step."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from packdepth import checkpoint
from packdepth.config import dump_run, load_run, parse_run
from packdepth.training.run import train

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


def test_there_are_run_files() -> None:
    assert {"kitti_odometry_clip", "kitti_raw_clip"} <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_run_file_reads_and_round_trips(path: Path) -> None:
    run = load_run(path)
    assert parse_run(yaml.safe_load(dump_run(run)), "dumped") == run


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_run_file_trains_a_step(path: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACKDEPTH_DATA", str(data))
    small = ("training.epochs=1", "training.epoch_steps=1", "training.batch_size=1")
    options = (*small, "training.accelerator=cpu", "training.devices=1")
    train(path, tmp_path / "run", options)
    meta = checkpoint.read_description(tmp_path / "run" / "best")[1]
    assert meta.step == 1
    assert 0 < meta.scores["train/loss"] < 1
