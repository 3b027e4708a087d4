"""`packdepth init`, and training on data without a run file."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import formats
import pytest
import world
import yaml

from packdepth import checkpoint
from packdepth.cli import main
from packdepth.config import Run, load_run
from packdepth.errors import InputError
from packdepth.recommend.command import init
from packdepth.sources.open import open_clips


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip in the folder contract."""
    return world.write(tmp_path_factory.mktemp("data") / "my_drive")


def test_init_writes_a_run_file_with_a_reason_for_each_value(
    drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.yaml"
    assert main(["init", str(drive), "-o", str(file), "--minutes", "0.2", "--without", "depth"]) == 0
    assert f"packdepth train {file}" in capsys.readouterr().out
    run = load_run(file)
    assert [term.kind for term in run.objective] == ["photometric", "smoothness", "velocity"]
    assert run.networks.pose is not None
    assert run.networks.pose.model_dump()["initial_forward"] == pytest.approx(world.STEP, rel=0.01)
    lines = file.read_text().splitlines()
    values = [i for i, line in enumerate(lines) if ": " in line and not line.lstrip().startswith("#")]
    assert values
    for i in values:
        assert "  # " in lines[i] or lines[i - 1].lstrip().startswith("# "), lines[i]


def test_init_never_overwrites_a_file(drive: Path, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        init(drive, file)
    assert file.read_text() == "mine"


def test_data_that_teaches_nothing_is_refused(drive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "still"
    folder.mkdir()
    for i in range(4):
        shutil.copy(next((drive / "frames").iterdir()), folder / f"{i}.png")
    with pytest.raises(InputError, match="the camera never moves"):
        init(folder, tmp_path / "run.yaml")
    assert not (tmp_path / "run.yaml").exists()


def test_a_clip_of_two_frames_is_called_so(drive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    for number, file in enumerate(sorted((drive / "frames").iterdir())[:2]):
        shutil.copy(file, folder / f"{number}.png")
    with pytest.raises(InputError, match="holds 2 consecutive frames at most, of the 3 needed"):
        init(folder, tmp_path / "run.yaml")


def test_stereo_pairs_that_are_not_used_are_named_in_print_and_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = formats.add_right(world.write(tmp_path / "rig"))
    (clip / "right" / "000005.png").unlink()
    init(clip, tmp_path / "run.yaml", minutes=0.2, without=["depth"])
    words = "folder/rig: no right image for 1 of its 6 frames, the first is 000005"
    assert f"stereo     not used, as some clips lack what it needs:\n           {words}\n" in capsys.readouterr().out
    text = (tmp_path / "run.yaml").read_text()
    assert f"# Stereo pairs are not used, as some clips lack what they need:\n#   {words}\n" in text
    assert "kind: stereo" not in text


def test_pairs_without_a_baseline_teach_nothing_alone(tmp_path: Path) -> None:
    clip = formats.pairs(tmp_path / "pairs", 4)
    camera = clip / "camera.yaml"
    camera.write_text(re.sub("baseline_m: .*\n", "", camera.read_text()))
    words = r"without stereo pairs that can be used \(folder/pairs: no baseline_m in its camera.yaml\) and without"
    with pytest.raises(InputError, match=words):
        init(clip, tmp_path / "run.yaml")


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan"), float("inf")])
def test_a_training_takes_some_time(drive: Path, tmp_path: Path, minutes: float) -> None:
    with pytest.raises(InputError, match="--minutes: is "):
        init(drive, tmp_path / "run.yaml", minutes=minutes)


def test_train_takes_data_and_leaves_its_run_file(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    small = ["data.image_size=[32,64]", "training.epoch_steps=1", "training.epochs=1", "training.devices=1"]
    status = main(["train", str(drive), "-o", str(output), "--minutes", "0.02", *small])
    printed, messages = capfd.readouterr()  # of this process, and of the one that it starts
    assert status == 0, messages
    assert "scale: " in printed
    kept, meta = checkpoint.read_description(output / "best")
    assert isinstance(kept, Run)
    assert load_run(output / "run.yaml").networks == kept.networks
    (clip,) = open_clips(drive)
    (camera,) = meta.trained_cameras
    assert (camera.fx, camera.fy, camera.width) == (clip.camera.fx, clip.camera.fy, clip.camera.width)


def test_measurements_that_are_kept_change_nothing_that_is_chosen(tmp_path: Path) -> None:
    """The same drive with and without depth maps gives the same file but for the line that says what is kept."""
    texts = []
    for name, hides in (("with", True), ("none", False)):
        clip = world.write(tmp_path / name / "clip")
        if not hides:
            shutil.rmtree(clip / "depth")
        file = tmp_path / name / "run.yaml"
        init(clip, file, minutes=0.2, without=["depth"])
        values = yaml.safe_load(file.read_text())
        values["data"].pop("train")
        assert values["training"].pop("best_by") == "loss"
        for measured in ("epochs", "epoch_steps", "schedule"):  # follow from the time of a step
            values["training"].pop(measured)
        texts.append(values)
    assert texts[0] == texts[1]
