"""Situations of docs/results/2026-11-27-thirty-situations.md that were silently wrong, or blamed on another cause."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import tiny
import world
from arrays import Array
from PIL import Image

from packdepth.checkpoint import read_description
from packdepth.data.agreement import disagreements
from packdepth.data.faults import faults
from packdepth.data.measured_depth import depth_fault
from packdepth.data.pose_steps import pace_fault, repeated_fault
from packdepth.errors import InputError
from packdepth.inspection.findings import Finding, findings, survey_findings
from packdepth.inspection.survey import survey
from packdepth.records import Clip, Frame
from packdepth.sources.camera_file import read_camera
from packdepth.sources.files import PointsNpz
from packdepth.sources.folder import read_clip, read_frames
from packdepth.sources.open import open_clips
from packdepth.sources.rigid import pose, quaternion
from packdepth.sources.split import read_lines
from packdepth.sources.stills import moment_taken
from packdepth.sources.tracks.positions import places_of, speeds_from_places
from packdepth.sources.tracks.table import read_speed_table
from packdepth.thumbnail import shows_other_scene, thumbnail

from .conftest import Command
from .test_measurements import road_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """The world with depth, speeds and poses."""
    return read_clip(world.write(tmp_path_factory.mktemp("world") / "clip", 12))


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """A clip whose images show a textured road from 1.5 m above, with its depth."""
    clip = road_clip(tmp_path_factory.mktemp("road"), height=1.5, speeds=np.full(12, 8.0))
    v = np.arange(clip.camera.height)[:, None].repeat(clip.camera.width, 1)
    below = (v - clip.camera.cy) / clip.camera.fy
    depth = np.where(below > 0.03, 1.5 / np.maximum(below, 0.03), 0.0)
    return changed(clip, lambda f: replace(f, depth=Array(depth)))


def changed(clip: Clip, change: Callable[[Frame], Frame]) -> Clip:
    """Return a clip with every frame changed."""
    return replace(clip, frames=tuple(map(change, clip.frames)))


def with_depth(clip: Clip, change: Callable[[np.ndarray], np.ndarray]) -> Clip:
    """Return a clip with other depth."""
    return changed(clip, lambda f: f if f.depth is None else replace(f, depth=Array(change(f.depth.read()))))


def named(found: list[Finding], name: str) -> list[Finding]:
    """Return the findings of a name."""
    return [each for each in found if each.name == name]


# --- poses ------------------------------------------------------------------------------------------------------


def test_poses_faster_than_any_vehicle_are_in_another_unit(clip: Clip) -> None:
    def centimetres(frame: Frame) -> Frame:
        assert frame.pose is not None
        pose = frame.pose.copy()
        pose[:3, 3] *= 100
        return replace(frame, pose=pose)

    assert pace_fault(clip) is None
    fault = pace_fault(changed(clip, centimetres))
    assert fault is not None
    assert fault.found.startswith("its poses move at 500 m/s")


def test_poses_that_repeat_while_the_image_moves_are_those_of_a_slower_clock(clip: Clip) -> None:
    for every in (2, 12):  # half as often as the frames; never
        held = replace(
            clip, frames=tuple(replace(f, pose=clip.frames[i // every * every].pose) for i, f in enumerate(clip.frames))
        )
        found = [each.found for each in [*faults(held), *disagreements(held)] if each.name == "poses"]
        assert found == [
            f"{12 - 12 // every} of its 11 poses repeat the one before although the image moves, such as those of "
            f"000000 and 000001"
        ]
    stands = changed(clip, lambda f: replace(f, pose=clip.frames[0].pose, image=clip.frames[0].image))
    assert repeated_fault(stands) is None
    assert repeated_fault(clip) is None


def test_a_quaternion_that_begins_with_its_scalar_is_named(clip: Clip) -> None:
    start = np.linalg.inv(world.pose(0))
    places = [(T[:3, 3], np.roll(quaternion(T[:3, :3]), 1)) for T in (start @ world.pose(i) for i in range(12))]
    read = [pose([*place, *scalar_first], "") for place, scalar_first in places]
    frames = [replace(frame, pose=each) for frame, each in zip(clip.frames, read, strict=True)]
    (found,) = [each.found for each in disagreements(replace(clip, frames=tuple(frames))) if each.name == "poses"]
    assert "it is written qw, qx, qy, qz" in found


# --- depth ------------------------------------------------------------------------------------------------------


def test_the_road_tells_the_unit_of_depth_where_flow_does_not(road: Clip) -> None:
    """Maps of which the flow follows too few points still have a ground, at a height that the road and speeds deny."""
    assert depth_fault(road) is None
    fault = depth_fault(with_depth(road, lambda z: np.where(z * 5000 / 256 < 120, z * 5000 / 256, 0)))
    assert fault is not None
    assert "its measured depth" in fault.found
    alone = changed(road, lambda f: replace(f, speed=None))
    assert named(findings(survey(alone, 4)), "measured depth") == []
    (high,) = named(findings(survey(with_depth(alone, lambda z: z * 1000 / 256), 4)), "measured depth")
    assert high.severity == "warning"
    assert "the ground is 5.86 m below the camera" in high.found
    assert "as millimetres, they make it 1.50 m" in high.advice


def test_a_ground_that_is_flat_only_in_the_inverse_of_depth_gives_disparity_away(road: Clip) -> None:
    alone = changed(road, lambda f: replace(f, speed=None))
    fault = depth_fault(with_depth(alone, lambda z: np.where(z > 0, 80 / np.maximum(z, 1), 0)))
    assert fault is not None
    assert fault.found.startswith("its measured depth is inverted (disparity?)")
    unrelated = replace(with_depth(alone, lambda z: np.where(z > 0, 80 / np.maximum(z, 1), 0)), independent=True)
    fault = depth_fault(unrelated)
    assert fault is not None
    assert "it has no flat ground" in fault.found


def test_a_check_reads_the_maps_that_no_finding_needs(tmp_path: Path) -> None:
    folder = world.write(tmp_path / "clip")
    (folder / "semantic").mkdir()
    shutil.copy(folder / "frames" / "000002.png", folder / "semantic")
    with pytest.raises(InputError, match=r"semantic/000002\.png: is no 8-bit gray or palette PNG"):
        survey(read_clip(folder))


def test_points_in_columns_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", points=world.scan(0).T)
    with pytest.raises(InputError, match=r"'points' has shape \(3, 4608\); it must be \[N, 3\]"):
        PointsNpz(tmp_path / "a.npz").read()


# --- calibration ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [[-0.37, 0.2, -0.07, 0.002, 0.0003], [0.12, -0.3, 0.4, -0.2]])
def test_coefficients_in_another_order_or_of_a_fisheye_are_refused(tmp_path: Path, wrong: list[float]) -> None:
    start = "width: 640\nheight: 480\nfx: 500\nfy: 500\ncx: 320\ncy: 240\nlens: {kind: brown_conrady, coefficients: "
    path = tmp_path / "camera.yaml"
    path.write_text(f"{start}{[-0.37, 0.2, 0.002, 0.0003, -0.07]}}}")
    assert read_camera(path).lens is not None
    path.write_text(f"{start}{wrong}}}")
    with pytest.raises(InputError, match=r"p1 and p2 are .* write k1, k2, p1, p2, k3 in this order .*kannala_brandt"):
        read_camera(path)


# --- videos and images ------------------------------------------------------------------------------------------


def test_a_second_video_in_a_file_is_named_and_a_preview_is_none(tmp_path: Path) -> None:
    for codec, pixels in (("libx264", "yuv420p"), ("mjpeg", "yuvj420p")):
        path = tmp_path / f"{codec}.mkv"
        with av.open(str(path), "w") as container:
            streams = []
            for name, of_it in (("libx264", "yuv420p"), (codec, pixels)):
                stream = container.add_stream(name, rate=10)
                assert isinstance(stream, av.VideoStream)
                stream.height, stream.width, stream.pix_fmt = 48, 96, of_it
                streams.append(stream)
            for index in range(3):
                for stream in streams:
                    frame = av.VideoFrame.from_ndarray(world.picture(index), format="rgb24")
                    frame.pts = index
                    container.mux(stream.encode(frame))
            for stream in streams:
                container.mux(stream.encode())
        if codec == "mjpeg":
            open_clips(path)  # a warning would be an error
        else:
            with pytest.warns(UserWarning, match=r"holds 2 videos, .* -map 0:v:1"):
                open_clips(path)


def test_values_of_hdr_are_a_finding(tmp_path: Path) -> None:
    for transfer, expected in ((16, 1), (18, 0)):  # PQ; HLG, which looks right on other displays
        path = tmp_path / f"{transfer}.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=10)
            assert isinstance(stream, av.VideoStream)
            stream.height, stream.width, stream.pix_fmt = 48, 96, "yuv420p"
            stream.codec_context.color_trc = transfer
            for index in range(4):
                frame = av.VideoFrame.from_ndarray(world.picture(index), format="rgb24")
                frame.pts = index
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        (clip,) = open_clips(path)
        assert len(named(survey_findings(survey(clip)), "HDR")) == expected


def test_the_moments_of_exif_contradict_an_order_and_a_rate(tmp_path: Path) -> None:
    def album(name: str, names: list[str], seconds: float) -> list[Finding]:
        (tmp_path / name).mkdir()
        for index, file in enumerate(names):
            image, exif = Image.fromarray(world.picture(index)), Image.Exif()
            taken = seconds * index
            exif.get_ifd(0x8769).update({0x9003: f"2026:11:27 10:00:{int(taken):02d}", 0x9291: f"{taken % 1:.2f}"[2:]})
            image.save(tmp_path / name / f"{file}.jpg", exif=exif)
        (clip,) = open_clips(tmp_path / name)
        return [each for each in survey_findings(survey(clip)) if each.name in ("order", "time stamps")]

    numbers = [f"{index:03d}" for index in range(8)]
    assert album("sound", numbers, 0.1) == []
    assert moment_taken(tmp_path / "sound" / "003.jpg") == pytest.approx(1795773600.3)
    (order,) = album("names", ["bus", "car", "ape"], 0.1)
    assert (order.name, "bus was taken before ape" in order.found) == ("order", True)
    (rate,) = album("lapse", numbers, 2.0)
    assert rate.found == "by their EXIF, its images were taken in 14 s, and by their times in 0.7 s"
    assert "rate=0.5," in rate.advice


# --- logs and tables --------------------------------------------------------------------------------------------


def test_a_receiver_that_jumps_has_no_speed_there_and_its_noise_has() -> None:
    times, rng = np.arange(20.0), np.random.default_rng(0)
    north, east = 48 + times * 10 / 111_195, np.full(20, 11.0)
    noisy = speeds_from_places(times, places_of(north + rng.normal(0, 3, 20) / 111_195, east))
    assert np.isfinite(noisy).all()
    east[8] += 32 / 74_400  # 32 metres to the side, for one second
    speeds = speeds_from_places(times, places_of(north, east))
    known = np.isfinite(speeds)
    assert np.flatnonzero(~known).tolist() == [7, 8, 9]
    np.testing.assert_allclose(speeds[known], 10, atol=0.05)


def test_a_header_of_three_rows_is_read_by_its_names_and_units(tmp_path: Path) -> None:
    rows = "".join(f"{1.7e9 + index},0,,{index},{5 + index}\n" for index in range(6))
    path = tmp_path / "racechrono.csv"
    path.write_text(
        "Format,3\n\ntimestamp,fragment_id,lap_number,elapsed_time,speed\nunix time,,,s,m/s\n,,,calc,100: gps\n" + rows
    )
    track = read_speed_table(path)
    assert track.speeds.tolist() == [5, 6, 7, 8, 9, 10]
    assert track.start == 1.7e9


def test_tables_and_lists_of_other_systems_are_read(tmp_path: Path) -> None:
    split = tmp_path / "split.txt"
    split.write_text("2011_09_26\\2011_09_26_drive_0001_sync 10 l\r\n")
    assert read_lines(split)[0][1] == "2011_09_26/2011_09_26_drive_0001_sync 10 l"
    table = tmp_path / "frames.csv"
    table.write_text("frame  time_s speed_mps\na 0.0  5\nb 0.1  6 \n")
    assert [(row.frame, row.time, row.speed) for row in read_frames(table)] == [("a", 0, 5), ("b", 0.1, 6)]
    table.write_text("frame,time_s,x,y,z,qx,qy,qz,qw\na,0,nan,nan,nan,nan,nan,nan,nan\n")
    with pytest.raises(InputError, match=r"x is 'nan', no number; write one, or leave x, y, z, qx, qy, qz, qw empty"):
        read_frames(table)


def test_data_in_folders_of_folders_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "card" / "DCIM" / "100GOPRO"
    folder.mkdir(parents=True)
    (tmp_path / "card" / "loop").symlink_to(tmp_path / "card")
    Image.fromarray(world.picture(0)).save(folder / "GOPR0001.JPG")
    with pytest.raises(InputError, match=r"card: holds no data itself, but its folders do \(DCIM/100GOPRO"):
        open_clips(tmp_path / "card")


# --- checkpoints and predictions --------------------------------------------------------------------------------


def test_a_checkpoint_of_a_later_version_says_so_where_it_cannot_be_read(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "best")
    meta = json.loads((folder / "meta.json").read_text()) | {"packdepth": "9.10.0"}
    (folder / "meta.json").write_text(json.dumps(meta))
    assert read_description(folder)[1].packdepth == "9.10.0"
    (folder / "meta.json").write_text(json.dumps(meta | {"later": 1}))
    with pytest.raises(InputError, match=r"best: was written by packdepth 9\.10\.0, .*; update packdepth \(.*'later'"):
        read_description(folder)


def test_a_pointer_in_place_of_an_exported_network_is_called_so(tmp_path: Path, command: Command) -> None:
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: pip install 'packdepth[export]'")
    path = tmp_path / "model.onnx"
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    status, _, messages = command("predict", path, world.write(tmp_path / "clip"), "-o", tmp_path / "out")
    assert status == 2
    assert "model.onnx: is a pointer of Git LFS" in messages


def test_depth_that_was_predicted_from_other_data_is_not_evaluated(tmp_path: Path, command: Command) -> None:
    mine, other = world.write(tmp_path / "mine"), world.write(tmp_path / "other")
    for path in (other / "frames").iterdir():
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    assert command("predict", tiny.write(tmp_path / "best"), mine, "-o", tmp_path / "out", "--save", "depth")[0] == 0
    assert command("evaluate", tmp_path / "out", "--protocol", "folder", "--data", mine)[0] == 0
    status, _, messages = command("evaluate", tmp_path / "out", "--protocol", "folder", "--data", other)
    assert status == 2
    assert "000000.npz: was predicted from another image than frame 000000" in messages


def test_a_thumbnail_stays_in_other_sizes_and_qualities(tmp_path: Path) -> None:
    image = Image.fromarray(world.picture(0))
    image.resize((300, 140)).save(tmp_path / "a.jpg", quality=60)
    again = thumbnail(np.asarray(Image.open(tmp_path / "a.jpg")))
    assert not shows_other_scene(thumbnail(world.picture(0)), again)
    assert shows_other_scene(thumbnail(world.picture(0)), thumbnail(world.picture(0)[::-1]))
