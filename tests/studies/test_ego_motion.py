"""The study of ego-motion networks, in miniature."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import world

from packdepth.geometry.poses import chained
from packdepth.sources.folder import Folder
from packdepth.studies import ego_motion
from packdepth.studies.ego_motion import Setting, errors, mean_step, networks, study, table


def test_networks_are_compared_with_and_without_sparsity() -> None:
    found = networks()
    assert list(found)[:2] == ["posenet", "posenet, sparse"]
    assert found["two_stream, late, sparse"] == {
        "kind": "two_stream",
        "fusion": "late",
        "sparsity": {"pattern": "random"},
    }
    assert len(found) == 14


def test_the_truth_and_a_wrong_length(moving_clip: Path) -> None:
    (clip,) = Folder(kind="folder", root=moving_clip).clips()
    assert mean_step([clip]) == pytest.approx(world.STEP)
    true = [world.relative_pose(i + 1, i) for i in range(world.FRAMES - 1)]
    assert errors([(clip, true)])["ate"] == pytest.approx(0, abs=1e-6)
    longer = [T.copy() for T in true]
    for T in longer:
        T[:3, 3] *= 1.1
    assert errors([(clip, true), (clip, longer)])["rpe_translation"] == pytest.approx(0.05 * world.STEP)
    assert chained(true).shape == (world.FRAMES, 4, 4)


def test_tables_leave_out_what_clips_are_too_short_for() -> None:
    row = dict.fromkeys(ego_motion.COLUMNS, 1.0) | {"t_rel": np.nan, "r_rel": np.nan}
    text = table({"a": [row], f"a{ego_motion.ALIGNED}": [row], "b": [row, row | {"ate": 3.0}]})
    assert "t_rel" not in text
    assert "| a | 1.000 | 1.000 | 1.000 | 1.000 |" in text
    assert "| b | 2.000 ± 1.414 | 1.000 ± 0.000 |" in text
    assert [line.split(" | ")[0] for line in text.splitlines()[2:]] == ["| a", "| b", "| a, aligned with depth"]


@pytest.mark.usefixtures("trained_here")
def test_a_study_trains_evaluates_and_is_resumed(
    moving_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = {"two_stream, early": ego_motion.NETWORKS["two_stream, early"]}
    monkeypatch.setattr(ego_motion, "networks", lambda: few)
    source = {"kind": "folder", "root": str(moving_clip)}
    setting = Setting(source, source, (32, 64), depth_steps=1, steps=1, seeds=1)
    text = study(tmp_path, setting, processes=1)
    assert text == (tmp_path / "table.md").read_text()
    assert "| two_stream, early |" in text
    assert "| two_stream, early, aligned with depth |" in text
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["straight ahead at the mean speed"][0]["ate"] == pytest.approx(0, abs=1e-6)
    assert "trained" in capsys.readouterr().out
    assert study(tmp_path, setting, processes=1) == text
    assert "trained" not in capsys.readouterr().out
    assert "±" in study(tmp_path, replace(setting, seeds=2), processes=1)
