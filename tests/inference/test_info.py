"""What `packdepth info` says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from present import present

from packdepth.errors import InputError
from packdepth.inference.info import describe
from packdepth.inference.predictor import load


def test_all_that_a_checkpoint_knows(checkpoint_folder: Path) -> None:
    assert describe(checkpoint_folder).splitlines() == [
        f"checkpoint     {checkpoint_folder}",
        "depth network  packnet, preset tiny, dropout 0.0, initial_depth 12.0, 2,680,892 parameters",
        "pose network   posenet, initial_forward 0.5, 1,588,790 parameters",
        "image size     32 x 64 (height x width)",
        "trained on     51 frames of 2 clips",
        "               folder/a",
        "               folder/b",
        "objective      photometric  weight 1",
        "               smoothness   weight 0.001",
        "               velocity     weight 0.05",
        "depth          metric, from velocity (speed)",
        "training       epoch 3 of 3, 1,200 steps",
        "scores         abs_rel  0.1235",
        "               loss     0.25",
        "written        2026-01-01T00:00:00Z by packdepth 0.1.0",
        "git commit     0123abc",
    ]


def test_parameters_are_those_of_the_networks(checkpoint_folder: Path) -> None:
    predictor, text = load(checkpoint_folder, "cpu"), describe(checkpoint_folder)
    for network in (predictor.depth, predictor.pose):
        assert f" {sum(parameter.numel() for parameter in present(network).parameters()):,} parameters" in text


def test_depth_without_scale(checkpoint_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint_folder, tmp_path / "best")
    meta = json.loads((folder / "meta.json").read_text())
    meta |= {"metric": False, "scale_source": "none", "git_commit": None, "scores": {}, "clips": ["a"], "frames": 1}
    (folder / "meta.json").write_text(json.dumps(meta))
    lines = describe(folder).splitlines()
    assert "depth          up to a factor: nothing gives it a scale" in lines
    assert "trained on     1 frame of 1 clip" in lines
    assert not any(line.startswith("git commit") for line in lines)
    assert "scores" not in describe(folder)


def test_what_is_no_checkpoint_is_refused(checkpoint_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no checkpoint"):
        describe(tmp_path)
    folder = shutil.copytree(checkpoint_folder, tmp_path / "best")
    (folder / "weights.safetensors").write_bytes(b"\x10\0\0\0")
    with pytest.raises(InputError, match=r"weights\.safetensors: cannot be read"):
        describe(folder)
