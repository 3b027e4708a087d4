"""`packdepth study supervision`: its signals, its starts, and the number of frames."""

from __future__ import annotations

from pathlib import Path

import pytest
import world

from packdepth import cli
from packdepth.config import parse_run
from packdepth.studies.engine import Row
from packdepth.studies.setting import Judged, Setting, real_setting, setting_from
from packdepth.studies.supervision import (
    FRAMES,
    SIGNALS,
    STARTS,
    TRANSFERS,
    Plan,
    Start,
    error_bars,
    frame_charts,
    shortened,
    signal_run,
    start_run,
)

SETTING = Setting(({"kind": "folder", "root": "drives"},), (Judged(protocol="folder", data=Path("drives")),))


def test_signals_differ_in_their_supervision_alone() -> None:
    runs = {signal.name: parse_run(signal_run(signal, Plan(), SETTING, 2), signal.name) for signal in SIGNALS}
    assert len({run.training.model_dump_json() for run in runs.values()}) == 1
    assert len({run.networks.depth.model_dump_json() for run in runs.values()}) == 1
    kinds = {name: [term.kind for term in run.objective] for name, run in runs.items()}
    assert kinds == {
        "video": ["photometric", "smoothness"],
        "speed": ["photometric", "velocity", "smoothness"],
        "height": ["photometric", "camera_height", "smoothness"],
        "lidar_4": ["photometric", "reprojected", "smoothness"],
        "lidar_64": ["photometric", "reprojected", "smoothness"],
        "stereo": ["stereo", "smoothness"],
        "depth": ["sparse_l1", "smoothness"],
    }
    assert [runs[name].data.beams for name in ("lidar_4", "lidar_64", "depth")] == [4, 64, None]
    assert [name for name, run in runs.items() if run.networks.pose is None] == ["stereo", "depth"]


def test_starts_differ_in_their_weights_and_their_steps_alone() -> None:
    runs = {
        start.name: parse_run(start_run(start, Plan(), SETTING, 1), start.name) for start in TRANSFERS if start.steps
    }
    assert list(runs) == ["random", "random-2", "random-city", "imagenet", "imagenet-2", "imagenet-city"]
    assert [run.training.epoch_steps for run in runs.values()] == [240, 480, 240, 240, 480, 240]
    encoders = [run.networks.depth.model_dump()["encoder"] for run in runs.values()]
    assert [encoder["weights"] for encoder in encoders] == [None] * 3 + ["imagenet"] * 3
    assert {encoder["kind"] for encoder in encoders} == {"efficientnet_lite"}
    assert TRANSFERS[1].title == "random weights, 2 times the steps"
    assert TRANSFERS[6].title == "ImageNet, then the city, no real frames"


def test_a_start_from_a_checkpoint_names_it(tmp_path: Path) -> None:
    values = start_run(STARTS[1], Plan(), SETTING, 1, tmp_path)
    assert values["initial"] == {"depth": str(tmp_path), "pose": str(tmp_path)}


@pytest.mark.parametrize(("count", "ranges"), [(3, [3]), (6, [3, 3]), (8, [4, 4]), (100, [6, 6])])
def test_frames_are_the_first_of_each_clip_by_its_share(moving_clip: Path, count: int, ranges: list[int]) -> None:
    clip = {"kind": "folder", "root": str(moving_clip)}
    values = start_run(Start("random"), Plan(), Setting((clip, clip), SETTING.judged), 1)
    found = shortened(values, count)
    assert [source["frames"] for source in found] == [[0, last] for last in ranges]
    assert sum(ranges) == min(count, 2 * world.FRAMES)


def test_plots_are_bars_and_a_line_for_each_start() -> None:
    scores = {"kitti2015-pairs abs_rel": float("nan"), "kitti2015-pairs abs_rel, scaled": 0.2}
    rows = [Row(Start(each.weights, each.city, frames=count), [scores]) for each in STARTS for count in FRAMES]
    (plot,) = frame_charts(rows)
    assert plot.count("<polyline") == len(STARTS)
    assert plot.count("<circle") == len(rows)
    (plot,) = error_bars(("abs_rel, scaled",), rows)
    assert plot.count('class="fill"') == len(rows)


def test_real_clips_are_needed_for_transfer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", "supervision", str(tmp_path / "study"), "--parts", "transfer"]) == 2
    assert "--data: the parts transfer and frames need" in capsys.readouterr().err
    with pytest.raises(Exception, match=r"clips/kitti360_3000: is not there"):
        real_setting(tmp_path)


def test_data_of_a_file_replaces_the_city(tmp_path: Path) -> None:
    path = tmp_path / "data.yaml"
    path.write_text("train: [{kind: folder, root: a}]\njudged: [{protocol: kitti-eigen-original, data: b}]\n")
    found = setting_from(path)
    assert found.train == ({"kind": "folder", "root": "a"},)
    assert found.judged[0].protocol == "kitti-eigen-original"
    path.write_text("train: []\njudged: []\n")
    with pytest.raises(Exception, match=r"data\.yaml: train"):
        setting_from(path)
