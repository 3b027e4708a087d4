"""Clips without calibration, from import to prediction: each kind of input, with and without speeds."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from packdepth import checkpoint
from packdepth.blocks import parse
from packdepth.config import CameraConfig
from packdepth.data.targets import first_guesses
from packdepth.errors import InputError
from packdepth.evaluation.odometry_command import odometry
from packdepth.inference.info import describe
from packdepth.inference.run import predict
from packdepth.inference.writers.video import video_writer
from packdepth.inspection.check import check
from packdepth.inspection.import_data import import_data
from packdepth.sources.folder import Folder, read_clip
from packdepth.sources.open import open_clips
from packdepth.training.run import train

FILM = 40  # mm on 35 mm film, which EXIF of the folder of images states
GUESSES = {"folder": "assumed", "images": f"EXIF of 000000.png: {FILM} mm on 35 mm film", "video": "assumed"}


def images_of(clip: Path) -> list[np.ndarray]:
    return [frame.image.read() for frame in Folder(kind="folder", root=clip).clips()[0].frames]


def as_folder(clip: Path, place: Path) -> Path:
    shutil.copytree(clip, place / "drive")
    (place / "drive" / "camera.yaml").unlink()
    return place / "drive"


def as_images(clip: Path, place: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 1  # Pillow writes no EXIF that has no tag besides its parts
    exif.get_ifd(0x8769)[0xA405] = FILM
    (place / "drive").mkdir()
    for number, image in enumerate(images_of(clip)):
        Image.fromarray(image).save(place / "drive" / f"{number:06d}.png", exif=exif)
    return place / "drive"


def as_video(clip: Path, place: Path) -> Path:
    with video_writer(place / "drive.mp4", 10) as append:
        for image in images_of(clip):
            append(image)
    return place / "drive.mp4"


INPUTS: dict[str, Callable[[Path, Path], Path]] = {"folder": as_folder, "images": as_images, "video": as_video}


def run_on(values: dict[str, Any], clip: Path, camera: dict[str, Any], speeds: bool) -> dict[str, Any]:
    """The run on an imported clip, with two steps."""
    source = {"kind": "folder", "root": str(clip)}
    data = values["data"] | {"train": [source], "val": [source]}
    training = values["training"] | {"epochs": 1, "epoch_steps": 2}
    objective = values["objective"] if speeds else values["objective"][:2]
    return values | {"data": data, "objective": objective, "training": training, "camera": camera}


def attach_speeds(clip: Path) -> None:
    """Write speeds into frames.csv, as a logger's import does."""
    rows = list(csv.DictReader((clip / "frames.csv").read_text().splitlines()))
    lines = ["frame,time_s,speed_mps", *(f"{row['frame']},{row['time_s']},5.0" for row in rows)]
    (clip / "frames.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("speeds", [False, True], ids=["no speeds", "speeds"])
@pytest.mark.parametrize("camera", [{"learn": True}, {"fov": 77.0}], ids=["learned", "stated"])
@pytest.mark.parametrize("kind", INPUTS)
def test_a_clip_without_calibration_goes_all_the_way(
    kind: str,
    camera: dict[str, Any],
    speeds: bool,
    run_values: dict[str, Any],
    moving_clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = INPUTS[kind](moving_clip, tmp_path)
    (clip,) = import_data(source, tmp_path / "mine", image_format="png")
    assert f"{clip / 'camera.yaml'}: is a guess, " in capsys.readouterr().out
    read = read_clip(clip)
    assert read.missing_camera == clip / "camera.yaml"
    assert str(read.guess).endswith(f" degrees across ({GUESSES[kind]})")
    (own,) = open_clips(source)
    assert (read.camera.fx, read.camera.fy) == pytest.approx((own.camera.fx, own.camera.fy), abs=0.05)

    checked = check(tmp_path / "mine")
    ((_, findings),) = checked.clips
    (calibration,) = [finding for finding in findings if finding.name == "calibration"]
    assert calibration.severity == "warning"
    assert GUESSES[kind] in calibration.found
    assert f"guessed {read.camera.fov():.0f} degrees across ({GUESSES[kind]})" in checked.text()
    assert checked.values()["clips"][0]["guess"] == read.guess
    assert checked.values()["clips"][0]["camera"] is None

    if speeds:
        attach_speeds(clip)
    train(run_on(run_values, clip, camera, speeds), tmp_path / "run")
    meta = checkpoint.read_description(tmp_path / "run" / "last")[1]
    (used,) = meta.cameras
    output = capsys.readouterr().out
    assert used.assumed == ("fov" in camera)
    assert f"camera: {used}" in output
    assert (meta.scale_source != "none") == speeds
    if used.assumed:
        assert used.camera.fov() == pytest.approx(77)
        assert "cameras    1 as stated, 77 degrees across (camera.fov)" in output
        assert "camera         as stated (camera.fov), 77 degrees across, for 96x48" in describe(tmp_path / "run/last")
    else:
        assert "cameras    1, learned from " in output
        assert f" degrees across ({GUESSES[kind]})" in output

    predict(tmp_path / "run" / "last", source, tmp_path / "out", save="depth,cloud")
    assert f"camera of the checkpoint: {used}" in capsys.readouterr().out
    with np.load(sorted((tmp_path / "out" / "depth").glob("*.npz"))[2]) as content:
        assert content["intrinsics"][0, 0] == pytest.approx(used.fx)
        assert (str(content["scale_source"]) != "none") == speeds
    assert len(list((tmp_path / "out" / "cloud").iterdir())) == 6


def test_a_stated_field_of_view_predicts_clouds_and_aligns(
    run_values: dict[str, Any], moving_clip: Path, tmp_path: Path
) -> None:
    """The video has the size of the images of the training, and so its camera, unless another one is stated."""
    values = run_values | {"training": run_values["training"] | {"epochs": 1, "epoch_steps": 1}}
    train(values, tmp_path / "run")
    video, last = as_video(moving_clip, tmp_path), tmp_path / "run" / "last"
    (trained,) = checkpoint.read(last).meta.trained_cameras
    for name, fov, fx in (("theirs", None, trained.fx), ("stated", 70.0, 48 / np.tan(np.radians(35)))):
        predict(last, video, tmp_path / name, save="depth,cloud", fov=fov)
        with np.load(tmp_path / name / "depth" / "000002.npz") as content:
            assert content["intrinsics"][0, 0] == pytest.approx(fx, rel=1e-6)
    with pytest.raises(InputError, match="--fov"):
        odometry(last, video, align=True)
    (report,) = odometry(last, video, align=True, fov=70.0)
    assert report.frames == 6


def test_without_a_choice_an_unknown_camera_is_refused(
    run_values: dict[str, Any], moving_clip: Path, tmp_path: Path
) -> None:
    clip = as_folder(moving_clip, tmp_path)
    with pytest.raises(InputError, match=r"no calibration .* 60 degrees across .* \{fov: DEGREES\}.* \{learn"):
        train(run_on(run_values, clip, {}, True), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_stated_field_of_view_leaves_calibrated_clips_alone(
    run_values: dict[str, Any], moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = run_on(run_values, moving_clip, {"fov": 150.0}, True)
    train(values, tmp_path / "run")
    assert "cameras " not in capsys.readouterr().out
    assert checkpoint.read_description(tmp_path / "run" / "last")[1].cameras == []


def test_an_edited_guess_is_still_a_guess_until_its_line_is_removed(moving_clip: Path, tmp_path: Path) -> None:
    source = as_folder(moving_clip, tmp_path)
    (clip,) = import_data(source, tmp_path / "mine")
    values = yaml.safe_load((clip / "camera.yaml").read_text())
    (clip / "camera.yaml").write_text(yaml.safe_dump(values | {"fx": 61.0}))
    assert read_clip(clip).missing_camera == clip / "camera.yaml"
    del values["guess"]
    (clip / "camera.yaml").write_text(yaml.safe_dump(values))
    assert (read_clip(clip).missing_camera, read_clip(clip).guess) == (None, None)


def test_learning_begins_with_the_guess_unless_a_field_of_view_is_stated(moving_clip: Path, tmp_path: Path) -> None:
    calibrated, images = open_clips(moving_clip)[0], open_clips(as_images(moving_clip, tmp_path))[0]
    first, second = first_guesses([calibrated, images, images], None)
    assert (first.fov(), second.fov()) == (pytest.approx(60), images.camera.fov())
    assert [camera.fov() for camera in first_guesses([calibrated, images], 70.0)] == pytest.approx([70, 70])


def test_run_files_of_earlier_versions_still_say_the_same() -> None:
    config = parse(CameraConfig, {"learn": True, "fov": 60.0}, "run.yaml")
    assert (config.learn, config.fov) == (True, 60)
    assert CameraConfig().fov is None
