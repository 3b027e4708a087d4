"""The command line: bad input is one sentence and exit status 2, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from packdepth import __version__
from packdepth.cli import main
from packdepth.inference.writers.video import video_writer
from packdepth.sources.folder import Folder

RUN: dict[str, Any] = {
    "data": {"train": [], "image_size": [32, 64], "workers": 0},
    "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
    "objective": [{"kind": "photometric"}, {"kind": "velocity"}],
    "training": {"epochs": 1, "accelerator": "cpu"},
}


@pytest.fixture
def clip(moving_clip: Path, tmp_path: Path) -> Path:
    """A copy of the rendered clip, to be spoilt."""
    return Path(shutil.copytree(moving_clip, tmp_path / "clip"))


def truncated_image(clip: Path) -> dict[str, Any]:
    path = clip / "frames" / "000003.png"
    path.write_bytes(path.read_bytes()[:200])
    return {"kind": "folder", "root": str(clip)}


def empty_folder(clip: Path) -> dict[str, Any]:
    (clip.parent / "empty").mkdir()
    return {"kind": "folder", "root": str(clip.parent / "empty")}


def video_without_camera(clip: Path) -> dict[str, Any]:
    with video_writer(clip.parent / "drive.mp4", 10) as append:
        for frame in Folder(kind="folder", root=clip).clips()[0].frames:
            append(frame.image.read())
    return {"kind": "video", "file": str(clip.parent / "drive.mp4")}


def other_calibration(clip: Path) -> dict[str, Any]:
    camera = yaml.safe_load((clip / "camera.yaml").read_text())
    (clip / "camera.yaml").write_text(yaml.safe_dump(camera | {"width": 1242, "height": 375}))
    return {"kind": "folder", "root": str(clip)}


def no_speed(clip: Path) -> dict[str, Any]:
    lines = (clip / "frames.csv").read_text().splitlines()
    (clip / "frames.csv").write_text("\n".join(",".join(line.split(",")[:2]) for line in lines) + "\n")
    return {"kind": "folder", "root": str(clip)}


def misspelt_key(clip: Path) -> dict[str, Any]:
    return {"kind": "folder", "roto": str(clip)}


BAD: dict[Callable[[Path], dict[str, Any]], tuple[str, ...]] = {
    truncated_image: ("000003.png", "truncated"),
    empty_folder: ("empty", "camera.yaml"),
    video_without_camera: ("drive.yaml", "has no calibration", "camera: {fov: DEGREES}"),
    other_calibration: ("camera.yaml", "fx: is 60", "1242 pixels", "in pixels"),
    no_speed: ("'velocity'", "speed_mps", "clip"),
    misspelt_key: ("run.yaml", "data.train[0]", "'roto'", "did you mean 'root'?"),
}


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_training_on_bad_input(
    spoil: Callable[[Path], dict[str, Any]], clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RUN | {"data": RUN["data"] | {"train": [spoil(clip)]}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    assert main(["train", str(tmp_path / "run.yaml"), "--output", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err
    assert message.startswith("packdepth: ")
    assert message.count("\n") == 1
    for part in BAD[spoil]:
        assert part in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("data.context=[0]", "offsets are whole numbers other than 0"),
        ("data.image_size=[8,64]", "data.image_size"),
        ("training.seed=-1", "training.seed"),
        ("training.epochs=true", "epochs must be a number"),
        ("data.cache=1", "cache must be true or false"),
        ("networks.depth.initial_depth=0.3", "initial_depth"),
        ("networks.depth={kind: depth_resnet, min_depth: 50}", "must lie between min_depth 50"),
        ("objective=[{kind: photometric}, {kind: photometric}]", "'photometric' stands there 2 times"),
        ("objective=[]", "objective"),
    ],
)
def test_values_that_make_no_sense(
    override: str, part: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RUN | {"data": RUN["data"] | {"train": [{"kind": "folder", "root": str(clip)}]}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    assert main(["train", str(tmp_path / "run.yaml"), override, "--output", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err
    assert part in message
    assert message.count("\n") == 1
    assert not (tmp_path / "out").exists()


def run_file(clip: Path) -> Path:
    (clip.parent / "mine.yaml").write_text(yaml.safe_dump(RUN))
    return clip.parent / "mine.yaml"


def run_folder(clip: Path) -> Path:
    (clip.parent / "runs/mine/best").mkdir(parents=True)
    (clip.parent / "runs/mine/best/meta.json").write_text("{}")
    return clip.parent / "runs/mine"


def video(clip: Path) -> Path:
    return Path(video_without_camera(clip)["file"])


MISTAKEN: dict[Callable[[Path], Path], tuple[str, ...]] = {
    lambda clip: clip: ("is data (folder)", "packdepth data check"),
    video: ("is data (video)", "packdepth data check"),
    run_file: ("is a run file", "packdepth train"),
    run_folder: ("holds some", "runs/mine/best"),
    lambda clip: clip.parent / "nothing": ("not found", "OUTPUT/best"),
}
"""What is given for a checkpoint by mistake, and what the sentence says."""


@pytest.mark.parametrize("given", MISTAKEN, ids=["clip", "video", "run file", "run", "nothing"])
def test_what_is_no_checkpoint(given: Callable[[Path], Path], clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = given(clip)
    for verb in (["info", str(path)], ["predict", str(path), str(clip), "-o", str(clip / "out")]):
        assert main(verb) == 2
        message = capsys.readouterr().err
        assert message.startswith(f"packdepth: {path}: ")
        for part in MISTAKEN[given]:
            assert part in message
        assert message.count("\n") == 1
    assert not (clip / "out").exists()


@pytest.mark.parametrize("verb", [["data", "check"], ["init", "-o", "run.yaml"]])
def test_a_log_of_speeds_in_place_of_images(
    verb: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.csv").write_text("time_s,speed_mps\n0,3\n")
    assert main([*verb, str(tmp_path / "log.csv")]) == 2
    message = capsys.readouterr().err
    assert f"add speeds={tmp_path / 'log.csv'}" in message
    assert message.count("\n") == 1


def test_an_image_that_breaks_in_a_worker_is_one_sentence(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = clip / "frames" / "000003.png"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    data = RUN["data"] | {"train": [{"kind": "folder", "root": str(clip)}], "workers": 1}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(RUN | {"data": data}))
    assert main(["train", str(tmp_path / "run.yaml"), "--output", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith(f"packdepth: {path}: is truncated or broken")


def test_overrides_on_both_sides_of_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    hint = "packdepth: write all KEY=VALUE side by side, with no option between them\n"
    for apart, overrides in ((True, ["a=1", "--output", "out", "b=2"]), (False, ["--resume", "a=1", "b=2"])):
        with pytest.raises(SystemExit):
            main(["train", "run.yaml", *overrides])
        assert capsys.readouterr().err.endswith(hint) == apart


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"packdepth {__version__}\n"


def test_a_reader_that_has_enough_is_no_error() -> None:
    command = f"{sys.executable} -m packdepth.cli configs | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("configs/")
    assert done.stderr == ""


@pytest.mark.parametrize("line", ["--version", "--help", "app --help", "doctor --help", "completion bash", "configs"])
def test_a_command_whose_output_nobody_reads_ends_quietly(line: str) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "packdepth", *line.split()], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("line", ["--version", "configs"])
@pytest.mark.parametrize("buffered", [True, False])
def test_an_output_on_a_full_disk_is_one_sentence(line: str, buffered: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment |= {} if buffered else {"PYTHONUNBUFFERED": "1"}
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "packdepth", line]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    assert done.returncode == 2
    assert re.search("disk is full|No space left", done.stderr)
    assert done.stderr.count("\n") == 1


def test_a_pipe_that_breaks_inside_is_no_reader_that_has_enough(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("packdepth.cli.check_spelling", broken)
    assert main(["configs"]) == 2
    assert "Broken pipe" in capsys.readouterr().err


def test_the_package_runs_as_a_module(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["packdepth", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("packdepth", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"packdepth {__version__}\n"
