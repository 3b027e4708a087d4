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
from packdepth.studies.ego_motion import AHEAD, COLUMNS, Plan, Variant, errors, mean_step, networks, study
from packdepth.studies.engine import Row, known


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
    assert errors([(clip, true)])[COLUMNS["ate"]] == pytest.approx(0, abs=1e-6)
    longer = [T.copy() for T in true]
    for T in longer:
        T[:3, 3] *= 1.1
    assert errors([(clip, true), (clip, longer)])[COLUMNS["rpe_translation"]] == pytest.approx(0.05 * world.STEP)
    assert chained(true).shape == (world.FRAMES, 4, 4)


def test_tables_leave_out_what_clips_are_too_short_for() -> None:
    row = dict.fromkeys(ego_motion.COLUMNS.values(), 1.0) | {COLUMNS["t_rel"]: np.nan, COLUMNS["r_rel"]: np.nan}
    rows = [Row(Variant("a"), [row]), Row(Variant("b, sparse"), [row])]
    assert known(rows) == [COLUMNS[name] for name in ("ate", "ate_scaled", "rpe_translation", "rpe_rotation")]
    assert rows[1].variant.name == "b-sparse"


@pytest.mark.usefixtures("trained_here")
def test_a_study_trains_evaluates_and_is_resumed(
    moving_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = {"two_stream, early": ego_motion.NETWORKS["two_stream, early"]}
    monkeypatch.setattr(ego_motion, "networks", lambda: few)
    source = {"kind": "folder", "root": str(moving_clip)}
    plan = Plan(source, source, (32, 64), depth_steps=1, steps=1, seeds=1)
    assert "ATE" in study(tmp_path, plan, processes=1).read_text()
    text = (tmp_path / "ego_motion.md").read_text()
    titles = [line.split(" | ")[0] for line in text.splitlines()[2:]]
    assert titles == [f"| {AHEAD}", "| two_stream, early", "| two_stream, early, aligned with depth"]
    results = json.loads((tmp_path / "ego_motion.json").read_text())
    assert results["rows"][0]["mean"][COLUMNS["ate"]] == pytest.approx(0, abs=1e-6)
    assert "trained" in capsys.readouterr().out
    study(tmp_path, plan, processes=1)
    assert (tmp_path / "ego_motion.md").read_text() == text
    assert "trained" not in capsys.readouterr().out
    study(tmp_path, replace(plan, seeds=2), processes=1)
    assert "±" in (tmp_path / "ego_motion.md").read_text()
