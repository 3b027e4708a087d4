"""Measurements in other units, of other cameras and the wrong way round: each is found, with its number."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import formats
import numpy as np
import pytest
import world
import yaml
from arrays import Array
from PIL import Image, ImageFilter

from packdepth.config import parse_run
from packdepth.data.agreement import check_agreement, disagreements, height_by_motion
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.inspection.findings import findings
from packdepth.inspection.survey import survey
from packdepth.objectives.objective import Objective
from packdepth.records import Clip, Frame
from packdepth.sources.folder import read_clip
from packdepth.sources.open import open_clips
from packdepth.sources.speeds import SpeedLog, with_speeds
from packdepth.training.run import run_clips

from .conftest import Command


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """The world with right images, LiDAR, depth, speeds and poses."""
    return read_clip(formats.add_scans(formats.add_right(world.write(tmp_path_factory.mktemp("world") / "clip"))))


def changed(clip: Clip, change: Callable[[Frame], Frame]) -> Clip:
    """Return a clip with every frame changed."""
    return replace(clip, frames=tuple(map(change, clip.frames)))


def with_pose(clip: Clip, change: Callable[[np.ndarray], np.ndarray]) -> Clip:
    """Return a clip with every pose changed."""
    return changed(clip, lambda f: f if f.pose is None else replace(f, speed=None, pose=change(f.pose)))


def degrees(pose: np.ndarray) -> np.ndarray:
    """Return a pose whose position is in degrees of latitude and longitude."""
    pose = pose.copy()
    pose[:3, 3] = [48.1 + pose[0, 3] / 111_000, 11.5 + pose[1, 3] / 74_000, pose[2, 3] / 111_000]
    return pose


VEHICLE = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], float)  # T_body_camera
WRONG: dict[str, tuple[Callable[[Clip], Clip], Sequence[str], str]] = {
    "km/h": (lambda c: changed(c, lambda f: replace(f, speed=118.4)), ["distance"], r"118\.4 km/h would be 32\.9 m/s"),
    "millimetres between the cameras": (
        lambda c: replace(c, baseline=540.0),
        ["right"],
        r"540 m \(centimetres or millimetres\?\)",
    ),
    "left and right swapped": (
        lambda c: changed(c, lambda f: replace(f, image=f.right or f.image, right=f.image)),
        ["right"],
        r"show points \d+\.\d px farther right than the left ones",
    ),
    "depth maps in millimetres": (
        lambda c: changed(c, lambda f: replace(f, depth=Array((f.depth or f.image).read() * 1000 / 256))),
        ["truth"],
        r"3\.9\d times as deep as its LiDAR scans \(1000 / 256 = 3\.9: they hold millimetres\)",
    ),
    "LiDAR in millimetres": (
        lambda c: changed(c, lambda f: f if f.lidar is None else replace(f, lidar=Array(f.lidar.read() * 1000))),
        ["truth"],
        r"0\.00 times as deep as its LiDAR scans",
    ),
    "T_camera_world": (
        lambda c: with_pose(c, np.linalg.inv),
        ["distance"],
        r"they are the other way round \(T_camera_world\)",
    ),
    "axes of OpenGL": (
        lambda c: with_pose(c, lambda pose: pose @ np.diag([1.0, -1, -1, 1])),
        ["distance"],
        r"their axes are OpenGL's \(y up, z backwards\)",
    ),
    "axes of the vehicle": (
        lambda c: with_pose(c, lambda pose: pose @ np.linalg.inv(VEHICLE)),
        ["distance"],
        "their axes are x ahead, y to the left, z up",
    ),
    "latitude and longitude": (lambda c: with_pose(c, degrees), ["distance"], r"the scene at a distance of [\d.e-]+ m"),
}


def test_a_sound_clip_agrees_with_itself(clip: Clip) -> None:
    assert disagreements(clip) == []
    check_agreement([clip], frozenset({"distance", "right", "truth"}))
    check_agreement([with_pose(clip, lambda pose: pose)], frozenset({"distance"}))


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_right_is_found_and_not_trained_on(clip: Clip, wrong: str) -> None:
    change, fields, text = WRONG[wrong]
    with pytest.raises(InputError, match=text):
        check_agreement([change(clip)], frozenset(fields))
    check_agreement([change(clip)], frozenset())  # what a training does not use may be wrong
    assert len(disagreements(change(clip))) == 1


def test_poses_that_only_motions_are_taken_from_are_checked_too(clip: Clip) -> None:
    wrong = changed(with_pose(clip, np.linalg.inv), lambda f: replace(f, speed=5.0))
    check_agreement([wrong], frozenset({"distance"}))  # speeds alone
    with pytest.raises(InputError, match="they are the other way round"):
        check_agreement([wrong], frozenset({"distance", "motion"}))


@pytest.mark.parametrize("turn", [0.02, -0.05])
def test_poses_the_other_way_round_are_found_in_bends_too(clip: Clip, turn: float) -> None:
    def bent(pose: np.ndarray) -> np.ndarray:
        c, s = np.cos(turn), np.sin(turn)
        world_turn = np.array([[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, 0], [0, 0, 0, 1]])
        moved: np.ndarray = world_turn @ pose
        return moved

    assert disagreements(with_pose(clip, bent)) == []  # another world frame changes nothing
    assert [each.name for each in disagreements(with_pose(clip, lambda pose: np.linalg.inv(bent(pose))))] == ["poses"]


# --- units that only the road gives away ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """A clip whose images show a textured road from 1.5 m above, driven at 8 m/s, 16 frames."""
    return road_clip(tmp_path_factory.mktemp("road"), height=1.5, speeds=np.full(16, 8.0))


def road_clip(folder: Path, height: float, speeds: np.ndarray, turn: float = 0.0) -> Clip:
    """Render the ground plane below a camera that drives at given speeds, 10 frames a second, with a turn in each."""
    camera = Camera(fx=160.0, fy=160.0, cx=159.5, cy=40.0, width=320, height=128)
    texture = np.random.default_rng(0).integers(60, 200, (400, 4000)).astype(np.uint8).repeat(2, 0).repeat(2, 1)
    v, u = np.mgrid[: camera.height, : camera.width]
    below = (v - camera.cy) / camera.fy
    ahead = height / np.maximum(below, 1e-3)
    steps = np.concatenate([[0.0], (speeds[1:] + speeds[:-1]) / 20])
    headings = turn * (np.arange(len(speeds)) - len(speeds) / 2)
    places = np.cumsum(steps[:, None] * np.stack([np.sin(headings - turn / 2), np.cos(headings - turn / 2)], 1), axis=0)
    frames = []
    for index, (aside, along) in enumerate(places):
        right, (s, c) = (u - camera.cx) / camera.fx * ahead, (np.sin(headings[index]), np.cos(headings[index]))
        x, z = c * right + s * ahead + aside, c * ahead - s * right + along
        pixels = texture[np.clip((x * 20 + 400).astype(int), 0, 799), np.clip((z * 20).astype(int), 0, 7999)]
        image = np.where(below > 0.02, pixels, 128).astype(np.uint8)
        image = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(0.7)))
        file = Array(image[..., None].repeat(3, -1), folder / f"{index}.png")
        frames.append(Frame(name=str(index), time=index / 10, image=file, speed=float(speeds[index])))
    return Clip(name="road", path=folder, camera=camera, frames=tuple(frames))


def write_clip(clip: Clip, folder: Path) -> Path:
    """Write the images, the camera and the speeds of a clip into a folder."""
    (folder / "frames").mkdir(parents=True)
    numbers = {name: getattr(clip.camera, name) for name in ("width", "height", "fx", "fy", "cx", "cy")}
    (folder / "camera.yaml").write_text(yaml.safe_dump(numbers))
    rows = ["frame,time_s,speed_mps"]
    for index, frame in enumerate(clip.frames):
        Image.fromarray(frame.image.read()).save(folder / "frames" / f"{index:06d}.png")
        rows.append(f"{index:06d},{frame.time:.4f},{'' if frame.speed is None else frame.speed}")
    (folder / "frames.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_speeds_and_the_road_give_the_height_of_the_camera(road: Clip) -> None:
    found = height_by_motion(road)
    assert not isinstance(found, str)
    assert found.metres == pytest.approx(1.5, rel=0.05)
    assert disagreements(road) == []


@pytest.mark.parametrize(("factor", "severity"), [(1.0, "note"), (3.6, "warning")])
def test_the_stated_height_of_a_guessed_camera_tells_its_field_of_view(
    road: Clip, factor: float, severity: str
) -> None:
    """The camera is 90 degrees across, guessed to be 60; speeds 3.6 times too fast make it a telephoto lens."""
    guessed = replace(changed(road, lambda f: replace(f, speed=factor * (f.speed or 0.0))), camera_height=1.5)
    guessed = replace(guessed, camera=replace(road.camera, fx=277.0, fy=277.0), missing_camera=Path("road.yaml"))
    (found,) = [each for each in findings(survey(guessed)) if each.name == "by the road"]
    assert found.severity == severity
    told = float(found.found.rpartition("about ")[2].partition(" degrees")[0])
    assert math.tan(math.radians(told) / 2) == pytest.approx(1 / factor, rel=0.1)


@pytest.mark.parametrize(("factor", "height"), [(3.6, None), (3.6, 1.5), (2.237, 1.5), (1 / 3.6, 1.5)])
def test_speeds_in_another_unit_are_given_away_by_the_road(road: Clip, factor: float, height: float | None) -> None:
    wrong = replace(changed(road, lambda f: replace(f, speed=factor * (f.speed or 0.0))), camera_height=height)
    with pytest.raises(InputError, match="the motion of the road puts the camera"):
        check_agreement([wrong], frozenset({"distance"}))


@pytest.mark.parametrize(
    ("turn", "factor", "height"),
    [(turn, factor, 1.5) for turn in (-3.0, 2.0) for factor in (1.0, 2.237, 1 / 2.237)] + [(-3.0, 3.6, None)],
)
def test_bends_give_speeds_in_another_unit_away(
    tmp_path: Path, turn: float, factor: float, height: float | None
) -> None:
    """The turn is in degrees between two frames."""
    bend = road_clip(tmp_path, height=1.5, speeds=np.linspace(4.0, 7.0, 16), turn=np.radians(turn))
    told = replace(changed(bend, lambda f: replace(f, speed=factor * (f.speed or 0.0))), camera_height=height)
    assert [each.name for each in disagreements(told)] == ([] if factor == 1 else ["speeds"])


def test_a_height_that_few_vehicles_have_is_a_warning_until_it_is_confirmed(road: Clip) -> None:
    wrong = changed(road, lambda f: replace(f, speed=2.237 * (f.speed or 0.0)))
    for clip, severity in ((road, "note"), (wrong, "warning"), (replace(wrong, camera_height=3.4), "note")):
        assert [f.severity for f in findings(survey(clip)) if "puts the camera" in f.found] == [severity]


def test_speeds_that_the_images_cannot_confirm_are_said_to_be_so(road: Clip) -> None:
    plain = changed(road, lambda f: replace(f, image=Array(np.full((128, 320, 3), 128, np.uint8), f.image.path)))
    sparse = replace(road, frames=road.frames[:5])
    for clip, reason in ((plain, "too little of a road"), (sparse, "4 pairs of its frames")):
        assert disagreements(clip) == []
        said = check_agreement([clip], frozenset({"distance"}))
        assert said is not None
        assert re.search(f"its speeds could not be compared with its images: .*{reason}", said)
        assert said in [f.found for f in findings(survey(clip)) if f.severity == "note"]
    assert "puts the camera 1.4" in (check_agreement([plain, road], frozenset({"distance"})) or "")
    assert check_agreement([plain], frozenset()) is None


@pytest.mark.parametrize("late", [-12, 0, 8])  # frames, of 0.1 s
def test_speeds_of_another_time_than_the_images_are_noticed(tmp_path: Path, late: int) -> None:
    speeds = 6 + 3 * np.sin(np.arange(64) / 9)
    drive = road_clip(tmp_path, 1.5, speeds)
    known = dict(zip(range(64), speeds, strict=True))
    moved = replace(
        drive, frames=tuple(replace(frame, speed=known.get(int(frame.name) - late)) for frame in drive.frames)
    )
    said = check_agreement([moved], frozenset({"distance"}))
    (found,) = [each for each in findings(survey(moved)) if each.name == "by the road"]
    if late == 0:
        assert (found.severity, found.found) == ("note", said)
        assert "puts the camera 1." in found.found
    else:
        assert (found.severity, found.found) == ("warning", said)
        assert f"if they are taken {abs(late) / 10} s {'later' if late > 0 else 'earlier'}" in found.found


@pytest.mark.parametrize(("kmh", "said"), [(False, "m above it\n"), (True, "above it; packdepth data check tells")])
def test_an_import_says_what_the_road_says_of_a_log(
    road: Clip, tmp_path: Path, command: Command, kmh: bool, said: str
) -> None:
    folder = write_clip(changed(road, lambda f: replace(f, speed=None)), tmp_path / "drive")
    rows = "".join(f"{time / 10},{28.8 if kmh else 8.0}\n" for time in range(16))
    (tmp_path / "log.csv").write_text("time_s,speed\n" + rows)
    status, printed, _ = command(
        "data", "import", folder, tmp_path / "out", f"speeds={tmp_path / 'log.csv'}", "unit=m/s", "offset=0"
    )
    assert status == 0
    assert f"the motion of the road puts the camera {'5.' if kmh else '1.'}" in printed
    assert said in printed


def test_the_data_check_and_the_training_say_the_same_of_a_clip(tmp_path: Path, command: Command) -> None:
    """The logger began late: without the held-out tail, too few pairs with speeds are left to confirm them."""
    drive = road_clip(tmp_path, 1.5, np.full(36, 8.0))
    late = [frame if int(frame.name) >= 18 else replace(frame, speed=None) for frame in drive.frames]
    folder = write_clip(replace(drive, frames=tuple(late)), tmp_path / "drive")
    run = parse_run(
        {
            "data": {"train": [{"kind": "folder", "root": str(folder)}], "image_size": [32, 64], "val_tail": 0.3},
            "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
            "objective": [{"kind": "photometric"}, {"kind": "velocity"}],
            "training": {"epochs": 1},
        },
        "run",
    )
    trained_on = run_clips(run, Objective(run.objective))
    _, checked, _ = command("data", "check", folder)
    assert trained_on.validation
    assert "the motion of the road puts the camera 1.4" in (trained_on.said_by_road or "")
    assert f"by the road {trained_on.said_by_road}." in " ".join(checked.split())


@pytest.mark.parametrize("height", ["150", "0.0015"])
def test_a_height_in_another_unit_is_refused_wherever_it_stands(tmp_path: Path, height: str) -> None:
    clip = world.write(tmp_path / "clip")
    with pytest.raises(InputError, match="as no vehicle's camera is; write metres"):
        open_clips(clip, options=[f"height_m={height}"])
    with (clip / "camera.yaml").open("a") as file:
        file.write(f"height_m: {height}\n")
    with pytest.raises(InputError, match="as no vehicle's camera is; write metres"):
        open_clips(clip)


def test_a_log_that_seems_to_start_with_the_clip_is_denied_by_the_images(tmp_path: Path) -> None:
    times = np.arange(0, 12, 0.1)
    speeds = 8 + 3 * np.sin(times) + 1.5 * np.sin(2.3 * times)
    clip = road_clip(tmp_path, height=1.5, speeds=speeds[30:90])  # begins 3 s after the log
    log = tmp_path / "log.csv"
    log.write_text("time_s,speed_mps\n" + "".join(f"{t:.1f},{s:.3f}\n" for t, s in zip(times, speeds, strict=True)))
    with pytest.raises(InputError, match=r"the images say offset (2\.9|3\.0)\d? s"):
        with_speeds([clip], SpeedLog(log, None, None, None))
    (right,) = with_speeds([clip], SpeedLog(log, None, None, 3.0))
    assert right.frames[0].speed == pytest.approx(speeds[30], abs=0.01)
