"""A run of two steps on the small world, for what training says and refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from packdepth.cli import main

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command line and returns its exit status, output and messages."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        written = capsys.readouterr()
        return status, written.out, written.err

    return run


@pytest.fixture
def train(command: Command, tmp_path: Path) -> Command:
    """Trains two steps on a source, and returns status, output and messages."""

    def run(source: dict[str, object], objective: list[dict[str, object]], **blocks: object) -> tuple[int, str, str]:
        content = {
            "data": {"train": [source], "image_size": [32, 64]},
            "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
            "objective": objective,
            "training": {"epochs": 1, "epoch_steps": 2, "batch_size": 2, "accelerator": "cpu"},
            **blocks,
        }
        file = tmp_path / "run.yaml"
        file.write_text(yaml.safe_dump(content))
        return command("train", file, "-o", tmp_path / "run")

    return run
