"""Tests of the detection of trainings that have collapsed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from packdepth.checkpoint import WEIGHTS
from packdepth.config import Run
from packdepth.errors import InputError
from packdepth.training import checkpoints
from packdepth.training import run as training
from packdepth.training.collapse import collapsed, has_risen
from packdepth.training.run import train

FALLING, RISING = np.linspace(0.1, 0.02, 40), np.r_[np.linspace(0.1, 0.02, 20), np.full(20, 0.08)]


def test_flat_depth_is_a_collapse_if_the_loss_rose_or_depth_left_its_start(
    run_values: dict[str, Any], tmp_path: Path
) -> None:
    output = tmp_path / "run"
    train(run_values, output)
    weights = load_file(output / "best" / WEIGHTS)
    save_file({name: torch.zeros_like(value) for name, value in weights.items()}, output / "best" / WEIGHTS)
    clips = [clip for source in Run.model_validate(run_values).data.train for clip in source.clips()]

    def found(initial_depth: float, *kinds: str) -> str | None:
        depth = run_values["networks"]["depth"] | {"initial_depth": initial_depth}
        values = run_values | {"networks": run_values["networks"] | {"depth": depth}}
        values["objective"] = [{"kind": kind} for kind in ("photometric", *kinds)]
        return collapsed(output / "best", Run.model_validate(values), clips, "cpu")

    write_losses(output, FALLING)
    assert found(1.0) is None
    far = found(10.0)
    assert far is not None
    assert f"{output / 'best'}: the training collapsed: it started at 10 m, and depth is " in far
    depth = float(re.findall("depth is (.+) m everywhere", far)[0])
    assert found(depth) is None
    write_losses(output, RISING)
    for kinds, other_term in (((), False), (("reprojected",), True), (("reprojected", "velocity"), False)):
        sentence = found(depth, *kinds)
        assert sentence is not None
        assert sentence.startswith(f"{output / 'best'}: the training collapsed: the loss rose, and depth is ")
        assert "weight_decay: 0.5" in sentence
        assert ("`abs_rel` in place of `reprojected`" in sentence) is other_term


def test_a_training_that_collapsed_is_an_error(
    run_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "collapsed", lambda *_: "collapsed")
    with pytest.raises(InputError, match="collapsed"):
        train(run_values, tmp_path / "run")


def test_a_collapse_is_told_after_the_epoch_in_which_it_shows(
    run_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkpoints, "collapsed", lambda folder, *_: f"{folder.name} collapsed")
    train(run_values | {"training": run_values["training"] | {"epochs": 3}}, tmp_path / "run")
    assert capsys.readouterr().out.count("warning: last collapsed") == 2  # the end is an error of its own


@given(st.integers(1, 300), st.floats(0.001, 1), st.floats(0, 0.15), st.integers(0, 99))
def test_a_loss_that_falls_with_noise_has_not_risen(steps: int, start: float, noise: float, seed: int) -> None:
    falling = start * np.linspace(1, 0.3, steps)
    assert not has_risen(falling * (1 + noise * np.random.default_rng(seed).uniform(-0.5, 0.5, steps)))


def write_losses(output: Path, losses: np.ndarray) -> None:
    rows = "\n".join(f"{step},0,{loss}" for step, loss in enumerate(losses, start=1))
    (output / "metrics.csv").write_text(f"step,epoch,loss\n{rows}\n")
