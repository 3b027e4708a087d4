"""`packdepth data check`: each finding on a clip that has it and not on one that has not; what is written."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import formats
import numpy as np
import pytest
import world
import yaml
from PIL import Image

from packdepth.cli import main
from packdepth.geometry.camera import Camera
from packdepth.inspection.check import DataCheck, check
from packdepth.inspection.findings import Finding, Severity, findings, unfit_log
from packdepth.inspection.picture import Bars
from packdepth.inspection.survey import Survey, survey
from packdepth.records import Clip
from packdepth.sources.recognize import source_at
from packdepth.sources.speeds import UnattachedError


@pytest.fixture(scope="module")
def clip(moving_clip: Path) -> Clip:
    return source_at(moving_clip).clips()[0]


@pytest.fixture(scope="module")
def sound(clip: Clip) -> Survey:
    """Measurements of twenty frames that nothing is wrong with."""
    frames = tuple(replace(clip.frames[0], name=f"{i:02d}", time=i / 10, speed=None, pose=None) for i in range(21))
    camera = Camera.from_fov(70, 96, 48)
    ones = np.ones(20)
    still = np.zeros((48, 96), dtype=bool)
    bare = replace(clip, camera=camera, frames=frames)
    flat = (0.012 * ones, ones < 0, 0.6 * ones, 0.4 * ones, ones, 0 * ones, still)
    return Survey(bare, np.arange(20), *flat, followed=ones, lost_rows=0 * ones, bars=Bars(0, 0, 0, 0))


def with_frames(survey: Survey, change: Callable[[int], dict[str, Any]]) -> Survey:
    frames = tuple(replace(frame, **change(i)) for i, frame in enumerate(survey.clip.frames))
    return replace(survey, clip=replace(survey.clip, frames=frames))


def with_camera(survey: Survey, **changes: Any) -> Survey:
    return replace(survey, clip=replace(survey.clip, camera=replace(survey.clip.camera, **changes)))


def some(values: np.ndarray, value: float, count: int) -> np.ndarray:
    return np.concatenate([values[:-count], np.full(count, value)])


def standing(survey: Survey, count: int) -> Survey:
    """The camera stands in the last frames."""
    return replace(
        survey,
        motion=some(survey.motion, 0.0, count),
        static_frames=some(survey.static_frames, True, count),
    )


def moved(i: int) -> np.ndarray:
    pose = np.eye(4)
    pose[2, 3] = i
    return pose


SPOILT: dict[str, tuple[Callable[[Survey], Survey], str, str, str]] = {
    "unrelated": (
        lambda s: replace(s, clip=replace(s.clip, independent=True)),
        "no neighbors",
        "error",
        "none of its 21 frames",
    ),
    "order": (lambda s: with_frames(s, lambda i: {"time": (i - (i > 1)) / 10}), "time stamps", "error", "is 02"),
    "ten times": (
        lambda s: with_frames(s, lambda i: {"time": float(i), "speed": 10.0}),
        "time stamps",
        "error",
        "1 frames a second",
    ),
    "milliseconds": (
        lambda s: with_frames(s, lambda i: {"time": 100.0 * i}),
        "time stamps",
        "error",
        "0.01 frames a second: as milliseconds, its stamps would give 10",
    ),
    "microseconds": (
        lambda s: with_frames(s, lambda i: {"time": 1e5 * i}),
        "time stamps",
        "error",
        "1e-05 frames a second: as microseconds",
    ),
    "nanoseconds": (lambda s: with_frames(s, lambda i: {"time": 1e8 * i}), "time stamps", "error", "as nanoseconds"),
    "timelapse": (lambda s: with_frames(s, lambda i: {"time": float(i)}), "frame rate", "note", "1 frames a second"),
    "gap": (lambda s: with_frames(s, lambda i: {"time": i / 10 + (i > 9)}), "gaps", "note", "1 gap in time"),
    "stops": (lambda s: standing(s, 6), "static frames", "warning", "30% .* 14 to 19"),
    "slow": (lambda s: replace(s, motion=0.3 * s.motion), "small motion", "warning", "0.36%"),
    "fast": (lambda s: replace(s, motion=6 * s.motion), "large motion", "warning", "7.20%"),
    "lost": (
        lambda s: replace(s, motion=some(s.motion, np.nan, 12)),
        "large motion",
        "warning",
        "in 60% of the frames",
    ),
    "blurred": (lambda s: replace(s, sharpness=some(s.sharpness, 0.2, 4)), "blur", "warning", "20% of the frames"),
    "soft": (lambda s: replace(s, sharpness=s.sharpness / 2), "blur", "warning", "little detail"),
    "flash": (
        lambda s: replace(s, change=some(s.change, 1.5, 1)),
        "exposure",
        "note",
        "after 1 frame, the first is 19",
    ),
    "black": (lambda s: replace(s, clipped=0.5 + s.clipped), "clipping", "warning", "50% of the pixels"),
    "hood": (
        lambda s: replace(s, static_region=np.indices((48, 96))[0] > 40),
        "fixed parts",
        "warning",
        "14.6% .* 85%",
    ),
    "uncalibrated": (
        lambda s: replace(s, clip=replace(s.clip, missing_camera=Path("drive.yaml"), guess="EXIF of a.jpg")),
        "calibration",
        "warning",
        r"none found; the camera is guessed to be \d+ degrees across \(EXIF of a.jpg\)",
    ),
    "corrected": (lambda s: replace(s, clip=replace(s.clip, corrected="it is")), "corrected", "note", "it is"),
    "other size": (lambda s: with_camera(s, cx=10.0), "intrinsics", "warning", r"principal point \(10, 24\)"),
    "fisheye": (lambda s: with_camera(s, fx=20.0, fy=20.0), "intrinsics", "warning", "135 degrees"),
    "stretched": (lambda s: with_camera(s, fy=30.0), "intrinsics", "note", "pixels 0.438 times as wide as high"),
    "twice as large": (
        lambda s: with_camera(s, fx=137.0, fy=137.0, cx=95.5, cy=47.5),
        "intrinsics",
        "error",
        r"principal point \(96, 48\) .* for 96x48 pixels; they suit images of about 192x96",
    ),
}


def test_a_missing_calibration_is_to_be_written_and_a_guess_to_be_replaced(sound: Survey, tmp_path: Path) -> None:
    file = tmp_path / "drive.yaml"
    spoilt = replace(sound, clip=replace(sound.clip, missing_camera=file))
    (finding,) = findings(spoilt)
    assert finding.advice.startswith(f"Name its calibration with camera=FILE, or write a calibration as {file} (width")
    for name in ("front_camera_info.yaml", "front_calibration.json"):  # which are not read, but can be given
        beside = tmp_path / name
        beside.touch()
        (finding,) = findings(spoilt)
        assert finding.advice.startswith(f"Name its calibration with camera={beside}, if that is its calibration, or ")
        beside.unlink()
    file.write_text("guess: assumed")
    (finding,) = findings(spoilt)
    assert finding.found.startswith(f"none in {file}; ")
    assert finding.advice.startswith("Name its calibration with camera=FILE, or write a calibration into it (width")


def test_data_that_gives_no_metres_is_called_so(sound: Survey) -> None:
    words = "scale: none, depth will be known up to a factor; add speeds=LOG or height_m=METRES"
    bare = with_frames(sound, lambda i: {"speed": None, "pose": None, "depth": None, "lidar": None})
    alone = replace(bare, clip=replace(bare.clip, baseline=0.5))
    stereo = with_frames(alone, lambda i: {"right": alone.clip.frames[i].image})
    for surveyed, told in ((sound, False), (bare, True), (alone, True), (stereo, False)):
        assert (words in DataCheck(Path("drive"), "folder", [(surveyed, [])]).text().splitlines()) == told


def test_stereo_pairs_that_lack_something_are_a_warning_of_the_clip_that_lacks_it(tmp_path: Path) -> None:
    rigs = tmp_path / "rigs"
    for name in ("a", "b", "c"):
        formats.add_right(world.write(rigs / name))
    (rigs / "b" / "right" / "000003.png").unlink()
    shutil.rmtree(rigs / "c" / "right")
    found = {
        surveyed.clip.name: [each.found for each in every if each.name == "stereo" and each.severity == "warning"]
        for surveyed, every in check(rigs).clips
    }
    assert found == {
        "folder/a": [],
        "folder/b": [
            "no right image for 1 of its 6 frames, the first is 000003, so that packdepth init uses no stereo pairs"
        ],
        "folder/c": ["no right images, so that packdepth init uses no stereo pairs"],
    }


def test_the_height_of_a_camera_without_calibration_is_no_scale(sound: Survey) -> None:
    bare = with_frames(sound, lambda i: {"speed": None, "pose": None, "depth": None, "lidar": None})
    scale = "scale: none, depth will be known up to a factor; add "
    for height, missing, words in (
        (None, Path("drive.yaml"), "speeds=LOG, or height_m=METRES with fov=DEGREES or camera=FILE"),
        (1.3, Path("drive.yaml"), "fov=DEGREES or camera=FILE, which height_m needs for metres, or speeds=LOG"),
        (1.3, None, None),
    ):
        stated = replace(bare, clip=replace(bare.clip, camera_height=height, missing_camera=missing))
        lines = DataCheck(Path("drive"), "folder", [(stated, [])]).about()
        found = [line for line in lines if line.startswith("scale:")]
        assert found == ([] if words is None else [f"{scale}{words}"])


def test_data_without_metres_whose_log_could_not_be_used_is_not_asked_for_a_log(sound: Survey) -> None:
    bare = with_frames(sound, lambda i: {"speed": None, "pose": None, "depth": None, "lidar": None})
    refused = unfit_log(UnattachedError("log.csv: covers none of the frames", "give another offset"))
    told = DataCheck(Path("drive"), "folder", [(bare, refused)]).about()
    assert "scale: none, because the log of speeds could not be used; see its error" in told
    assert "speeds=LOG" not in " ".join(told)


def test_a_time_lapse_of_a_fast_camera_is_no_error_of_units(sound: Survey) -> None:
    fast = with_frames(replace(sound, motion=6 * sound.motion), lambda i: {"time": float(i), "speed": 10.0})
    assert {(finding.name, finding.severity) for finding in findings(fast)} == {
        ("large motion", "warning"),
        ("frame rate", "note"),
        ("by the road", "note"),
    }


def test_a_sound_clip_has_no_findings(sound: Survey) -> None:
    assert findings(sound) == []


@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_is_wrong_is_found_and_nothing_else(spoilt: str, sound: Survey) -> None:
    spoil, name, severity, text = SPOILT[spoilt]
    (finding,) = [finding for finding in findings(spoil(sound)) if finding.name != "by the road"]
    assert (finding.name, finding.severity) == (name, severity)
    assert re.search(text, finding.found), finding.found
    assert finding.advice.endswith(".")


@pytest.mark.parametrize(
    ("severities", "verdict"),
    [
        ([], "fit to train on"),
        (["note"], "fit to train on"),
        (["warning"], "fit to train on, with 1 warning: the findings say what makes depth worse, and what to do"),
        (["error", "note"], "1 error to correct before training"),
        (["error", "warning", "warning"], "1 error to correct before training; 2 warnings of what makes depth worse"),
    ],
)
def test_the_verdict_says_whether_training_is_possible(severities: list[Severity], verdict: str, sound: Survey) -> None:
    found = [Finding("name", severity, "found", "Do this.") for severity in severities]
    assert DataCheck(Path("data"), "folder", [(sound, found)]).verdict() == verdict


def test_poses_and_speeds_that_disagree_are_found_and_images_that_do_not_tell_which_say_so(sound: Survey) -> None:
    found = findings(with_frames(sound, lambda i: {"speed": 1.0, "pose": moved(i)}))
    assert {(finding.name, finding.severity) for finding in found} == {
        ("time stamps", "error"),
        ("by the road", "note"),
    }
    assert any("makes 2.0 m, the poses lie 20.0 m" in finding.found for finding in found)


def test_the_stride_that_is_advised(sound: Survey) -> None:
    (finding,) = findings(replace(sound, motion=sound.motion / 4))
    assert "frame stride of 4: context: [-4, 4]" in finding.advice


def test_scans_that_miss_the_image(moving_clip: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(moving_clip, tmp_path / "clip"))
    (folder / "lidar").mkdir()
    ahead = np.random.default_rng(0).uniform([-2, -1, 9], [2, 1, 11], (500, 3))
    np.savez(folder / "lidar" / "000001.npz", points=ahead)
    (note,) = [finding for finding in findings(survey(source_at(folder).clips()[0])) if finding.name == "LiDAR"]
    assert note.severity == "note"
    np.savez(folder / "lidar" / "000001.npz", points=ahead[:, [1, 2, 0]])  # axes in another order
    (error,) = [finding for finding in findings(survey(source_at(folder).clips()[0])) if finding.name == "LiDAR"]
    assert error.severity == "error"
    check(folder).write(tmp_path / "out")
    with Image.open(tmp_path / "out" / "contact_sheet.jpg") as sheet:
        assert sheet.width == 4 * 480  # three frames and the overlay


def test_the_survey_of_a_clip(clip: Clip) -> None:
    measured = survey(clip)
    assert measured.indices.tolist() == [0, 1, 2, 3, 4]
    moving = measured.motion[~np.isnan(measured.motion)]
    assert ((moving > 0.01) & (moving < 0.1)).all()
    assert measured.typical_motion == pytest.approx(np.median(moving))
    assert not measured.static_frames.any()
    single = survey(replace(clip, frames=clip.frames[:1]))
    assert np.isnan(single.motion).tolist() == [True]
    assert np.isnan(single.typical_motion)


def test_text_json_and_sheet(moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(moving_clip), "-o", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "folder/moving_clip: 6 frames, 96x48, 10 frames a second" in text
    found = (tmp_path / "out" / "check.txt").read_text()
    assert text.removeprefix(found).startswith(f"pictures: {tmp_path / 'out' / 'contact_sheet.jpg'}; the findings: ")
    values = json.loads((tmp_path / "out" / "check.json").read_text())
    assert (values["kind"], values["clips"][0]["frames"]) == ("folder", 6)
    assert values["clips"][0]["camera"]["fx"] == 60
    with Image.open(tmp_path / "out" / "contact_sheet.jpg") as sheet:
        assert sheet.size == (3 * 480, 240 + 4)  # three frames of 96x48, and a gap


def test_without_an_output_nothing_is_written(
    moving_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "check", str(moving_clip)]) == 0
    assert list(tmp_path.iterdir()) == []


def test_what_no_source_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(tmp_path)]) == 2
    assert "looks like no data set that is known" in capsys.readouterr().err


def test_options_of_the_source(moving_clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(moving_clip), "frames=[0, 4]", "--kind", "folder"]) == 0
    assert "folder/moving_clip: 4 frames" in capsys.readouterr().out


def test_a_car_that_stops_and_a_camera_that_nobody_knows(data: Path) -> None:
    ((_, braking),) = check(data / "kitti_raw/2011_09_26/2011_09_26_drive_0052_sync").clips
    (static,) = [finding for finding in braking if finding.name == "static frames"]
    assert "to 0000000076" in static.found
    ((_, dashcam),) = check(data / "video/highway_dashcam.mp4", options=["frames=[0, 40]"]).clips
    (calibration,) = [finding for finding in dashcam if finding.name == "calibration"]
    assert calibration.severity == "warning"
    assert "60 degrees across (assumed)" in calibration.found
    assert all(
        choice in calibration.advice
        for choice in ("camera=FILE", "write a calibration", "{fov: DEGREES}", "{learn: true}")
    )


def test_stamps_that_are_ten_times_too_large(data: Path) -> None:
    checked = check(data / "ddad_format", options=["scenes=[scene_02]"])
    assert [surveyed.clip.name for surveyed, _ in checked.clips] == [
        f"ddad/scene_02/CAMERA_0{number}" for number in (1, 5, 6, 7, 8, 9)
    ]
    for _, found in checked.clips:
        assert ["time stamps are ten times too large" in finding.found for finding in found].count(True) == 1
        assert {finding.severity for finding in found} == {"note"}


def test_every_calibration_is_named_once_with_what_it_says(moving_clip: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        shutil.copytree(moving_clip, tmp_path / "clips" / name)
    camera = yaml.safe_load((moving_clip / "camera.yaml").read_text())
    lens = {"kind": "brown_conrady", "coefficients": [-0.01, 0.0, 0.0, 0.0]}
    (tmp_path / "clips/c/camera.yaml").write_text(yaml.safe_dump(camera | {"fx": 70.0, "lens": lens}))
    text = check(tmp_path / "clips").text()
    same, other = [line for line in text.splitlines() if line.startswith("calibration of")]
    assert same.startswith(f"calibration of 2 clips: fx {camera['fx']:.1f}")
    assert f"{tmp_path / 'clips/a/camera.yaml'} and 1 more file" in same
    assert "fx 70.0" in other
    assert "lens brown_conrady (-0.01, 0, 0, 0)" in other
    assert str(tmp_path / "clips/c/camera.yaml") in other


def test_a_guess_is_not_called_a_calibration(moving_clip: Path, tmp_path: Path) -> None:
    clip = shutil.copytree(moving_clip, tmp_path / "clip")
    (clip / "camera.yaml").unlink()
    assert "calibration of" not in check(clip).text()
