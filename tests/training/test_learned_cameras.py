"""Runs that learn their camera: what they need, write and hand on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import ply
import pytest
import yaml

from packdepth import checkpoint
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.inference.info import describe
from packdepth.inference.run import predict
from packdepth.inference.writers.video import video_writer
from packdepth.sources.folder import Folder
from packdepth.training.run import train

LEARN = ("camera={learn: true, fov: 70}", "training.epochs=1")


@pytest.fixture
def video(moving_clip: Path, tmp_path: Path) -> Path:
    """A video without a camera file."""
    with video_writer(tmp_path / "drive.mp4", 10) as append:
        for frame in Folder(kind="folder", root=moving_clip).clips()[0].frames:
            append(frame.image.read())
    return tmp_path / "drive.mp4"


def of_video(values: dict[str, Any], video: Path) -> dict[str, Any]:
    """The run on a video, without what needs speed."""
    data = values["data"] | {"train": [{"kind": "video", "file": str(video)}], "val": []}
    return values | {"data": data, "objective": values["objective"][:2]}


def test_a_video_without_a_camera_trains_and_predicts_clouds(
    run_values: dict[str, Any], video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_file = tmp_path / "run.yaml"
    run_file.write_text(yaml.safe_dump(of_video(run_values, video)))
    with pytest.raises(InputError, match=r"drive\.mp4: has no calibration .* as .*drive\.yaml .* \{learn: true\}"):
        train(run_file, tmp_path / "run", overrides=("training.epochs=1",))
    train(run_file, tmp_path / "run", overrides=LEARN)
    (camera,) = checkpoint.read_description(tmp_path / "run" / "last")[1].cameras
    assert (camera.width, camera.height) == (96, 48)
    guess = Camera.from_fov(70, 96, 48)
    assert camera.fx == pytest.approx(guess.fx)  # after three steps nothing is known yet
    assert camera.focal_deviation == 0.3
    assert "ill determined" in str(camera)
    output = capsys.readouterr().out
    assert "cameras    1, learned from 70 degrees" in output
    assert f"camera: {camera}" in output
    assert f"camera         {camera}" in describe(tmp_path / "run" / "last")
    names = checkpoint.read(tmp_path / "run" / "last").weights
    assert {name.split(".")[0] for name in names} == {"depth", "pose"}
    predict(tmp_path / "run" / "last", video, tmp_path / "out", save="depth,cloud")
    with np.load(tmp_path / "out" / "depth" / "000002.npz") as content:
        assert content["intrinsics"][0, 0] == pytest.approx(camera.fx)
        depth = content["depth"]
    clouds = sorted(path.name for path in (tmp_path / "out" / "cloud").iterdir())
    assert clouds == [f"{index:06d}.ply" for index in range(6)]
    vertices = ply.read(tmp_path / "out" / "cloud" / "000002.ply")
    np.testing.assert_array_equal(vertices["z"].reshape(depth.shape), depth)
    ahead = vertices.reshape(depth.shape)[24]  # the row of pixels nearest to the horizon
    np.testing.assert_allclose(np.diff(ahead["x"] / ahead["z"]), 1 / camera.fx, rtol=1e-3)


def test_calibrations_are_left_unread(run_file: Path, tmp_path: Path) -> None:
    for number, calibration in enumerate((60.0, 90.0)):
        source = Folder(kind="folder", root=Path(yaml.safe_load(run_file.read_text())["data"]["train"][0]["root"]))
        clip = tmp_path / f"clip{number}"
        clip.mkdir()
        for name in ("frames", "frames.csv"):
            (clip / name).symlink_to(source.root / name)
        values = yaml.safe_load((source.root / "camera.yaml").read_text()) | {"fx": calibration}
        (clip / "camera.yaml").write_text(yaml.safe_dump(values))
        options = (*LEARN, f"data.train.0.root={clip}", "data.val=[]")
        train(run_file, tmp_path / f"run{number}", overrides=options)
    first, second = (checkpoint.read_description(tmp_path / f"run{i}" / "last")[1].cameras for i in (0, 1))
    assert first == second


def test_a_resumed_run_learns_the_same_camera(run_file: Path, tmp_path: Path) -> None:
    camera = ("camera={learn: true, fov: 70}",)
    train(run_file, tmp_path / "whole", overrides=(*camera, "training.epochs=2"))
    train(run_file, tmp_path / "halves", overrides=(*camera, "training.epochs=1"))
    train(run_file, tmp_path / "halves", overrides=(*camera, "training.epochs=2"), resume=True)
    whole, halves = (checkpoint.read_description(tmp_path / name / "last")[1].cameras for name in ("whole", "halves"))
    assert whole[0].fx == pytest.approx(halves[0].fx, rel=1e-6)


def test_validation_on_another_camera_is_refused(run_file: Path, moving_clip: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip"
    clip.mkdir()
    for name in ("frames", "frames.csv", "depth"):
        (clip / name).symlink_to(moving_clip / name)
    values = yaml.safe_load((moving_clip / "camera.yaml").read_text()) | {"fx": 75.0}
    (clip / "camera.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(InputError, match="clip folder/clip has a camera that no training clip has"):
        train(run_file, tmp_path / "run", overrides=(*LEARN, f"data.val=[{{kind: folder, root: {clip}}}]"))
    assert not (tmp_path / "run").exists()


def test_static_frames_are_left_out_and_counted(
    run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("training.epochs=1", "data.drop_static={by: speed, slowest: 1}")
    train(run_file, tmp_path / "run", overrides=options)
    assert "static     0 of 6 frames left out, by speed" in capsys.readouterr().out
    with pytest.raises(InputError, match="drop_static leaves 0 of the 6 frames"):
        train(run_file, tmp_path / "none", overrides=("data.drop_static={by: speed, slowest: 100}",))
