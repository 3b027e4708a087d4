"""Trainings of a study, several at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from packdepth.errors import InputError
from packdepth.studies import side_by_side
from packdepth.studies.side_by_side import train_side_by_side


def run(clip: Path, **training: Any) -> dict[str, Any]:
    """The content of a run file of one step."""
    return {
        "data": {"train": [{"kind": "folder", "root": str(clip)}], "image_size": [32, 64], "workers": 0},
        "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
        "objective": [{"kind": "photometric", "scales": "own"}],
        "training": {"epochs": 1, "epoch_steps": 1, "batch_size": 1, "accelerator": "cpu"} | training,
    }


def test_what_is_trained_stays_and_the_rest_is_trained(
    moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = {tmp_path / "runs" / name: run(moving_clip, seed=seed) for seed, name in enumerate("ab")}
    train_side_by_side(runs, processes=2)
    assert "2 of 2" in capsys.readouterr().out
    weights = tmp_path / "runs" / "a" / "last" / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    assert "epoch 1/1" in (tmp_path / "runs" / "a.log").read_text()
    train_side_by_side(runs, processes=2)
    assert capsys.readouterr().out == ""
    assert weights.stat().st_mtime_ns == before


def test_a_training_that_fails_names_its_log_and_ends_the_others(moving_clip: Path, tmp_path: Path) -> None:
    bad = run(moving_clip) | {"objective": [{"kind": "stereo"}]}
    runs = {tmp_path / "bad": bad} | {tmp_path / f"later{i}": run(moving_clip) for i in range(2)}
    with pytest.raises(InputError, match=r"bad\.yaml: training ended with status 2; see its message in .*bad\.log"):
        train_side_by_side(runs, processes=1)
    assert "stereo" in (tmp_path / "bad.log").read_text()
    assert not (tmp_path / "later1").exists()


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_training_that_collapsed_in_the_end_is_a_result(
    epochs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(*_: object, **__: object) -> None:
        raise InputError("a.yaml: training ended with status 2; see its message in a.log")

    monkeypatch.setattr(side_by_side, "train_elsewhere", ended)
    monkeypatch.setattr(side_by_side, "finished_epochs", lambda _: epochs)
    runs = {tmp_path / "a": run(tmp_path)}
    if epochs == 0:
        with pytest.raises(InputError, match="ended with status 2"):
            train_side_by_side(runs, processes=1)
    else:
        train_side_by_side(runs, processes=1)
        assert "see its message in a.log; all its epochs are trained" in capsys.readouterr().out
