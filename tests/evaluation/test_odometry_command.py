"""`packdepth.odometry`: sources, files, the record."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
import world
import yaml
from described import described
from PIL import Image
from torch import Tensor, nn

from packdepth import cli
from packdepth.checkpoint import ScaleCheck
from packdepth.errors import InputError
from packdepth.evaluation.odometry_command import clip_odometry, odometry
from packdepth.geometry.camera import Camera
from packdepth.inference.predictor import PAIRS, Predictor
from packdepth.inference.trajectory import check_trajectory
from packdepth.records import Clip, Frame
from packdepth.sources import Folder
from packdepth.sources.open import open_clips

from .conftest import META, STEP, Straight, reader, run

FILES = ["odometry.html", "odometry.json", "odometry.txt", "path.png", "trajectory_kitti.txt", "trajectory_tum.txt"]


@pytest.fixture
def sequence(request: pytest.FixtureRequest) -> Path:
    """A sequence of KITTI odometry with poses."""
    data: Path = request.getfixturevalue("odometry")
    return data / "kitti_odometry/dataset/sequences/06"


def test_a_kitti_sequence(sequence: Path, tmp_path: Path) -> None:
    (report,) = odometry(reader(), sequence, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    content = json.loads((tmp_path / "out/odometry.json").read_text())
    assert content["frames"] == report.frames == 51
    assert content["distance"] == pytest.approx(50 * STEP)
    assert content["errors"]["ate"] == pytest.approx(0, abs=1e-5)
    assert content["errors"]["scale"] == pytest.approx(1)
    assert content["errors"]["t_rel"] is None  # 40 metres
    assert (tmp_path / "out/odometry.txt").read_text() == f"{report.text()}\n"
    tum = np.loadtxt(tmp_path / "out/trajectory_tum.txt")
    np.testing.assert_allclose(tum[:, 0], np.arange(51) / 10)
    np.testing.assert_allclose(tum[:, 3], STEP * np.arange(51), rtol=1e-5)


def test_the_record_holds_the_trajectory_and_no_file_is_written(
    sequence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (report,) = odometry(reader(), sequence)
    assert list(tmp_path.iterdir()) == []
    np.testing.assert_allclose(report.poses[:, 2, 3], STEP * np.arange(51), rtol=1e-5)
    np.testing.assert_allclose(report.times, np.arange(51) / 10)
    assert report.poses[0].tolist() == np.eye(4).tolist()


def test_the_command_line_writes_the_numbers_of_the_record(
    moving_clip: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (report,) = odometry(trained, moving_clip, tmp_path / "record")
    assert cli.main(["odometry", str(trained), str(moving_clip), "-o", str(tmp_path / "command")]) == 0
    assert capsys.readouterr().out == f"{report.text()}\n"
    for name in FILES:
        assert (tmp_path / "record" / name).read_bytes() == (tmp_path / "command" / name).read_bytes()
    assert json.loads((tmp_path / "command/odometry.json").read_text())["distance"] == report.distance


def test_a_clip_in_another_world(moving_clip: Path, tmp_path: Path) -> None:
    (report,) = odometry(reader(), moving_clip, tmp_path)
    assert report.errors is not None
    assert report.errors.scale == pytest.approx(world.STEP / STEP)
    assert report.errors.ate_scaled == pytest.approx(0, abs=1e-5)
    assert report.errors.rpe_translation == pytest.approx(STEP - world.STEP, rel=1e-5)


def test_images_without_poses(moving_clip: Path, tmp_path: Path) -> None:
    (report,) = odometry(reader(), moving_clip / "frames", tmp_path)
    assert report.errors is None
    assert report.text().endswith("\nthe frames have no measured poses, so no errors")
    assert json.loads((tmp_path / "odometry.json").read_text())["errors"] is None


@pytest.mark.parametrize(
    ("lacking", "speeds", "lack"),
    [
        ([3], True, "1 of 6 frames has no measured pose"),
        ([0, 5], True, "2 of 6 frames have no measured pose"),
        ([3], False, "1 of 6 frames has no measured pose"),
        (list(range(world.FRAMES)), True, "the frames have no measured poses"),
    ],
)
def test_frames_without_a_pose_are_counted(
    moving_clip: Path, tmp_path: Path, lacking: list[int], speeds: bool, lack: str
) -> None:
    clip = Path(shutil.copytree(moving_clip, tmp_path / "clip"))
    head, *rows = ((clip / "frames.csv").read_text()).splitlines()
    cells = [row.split(",") for row in rows]
    for index, row in enumerate(cells):
        row[2:] = [row[2] if speeds else "", *([""] * 7 if index in lacking else row[3:])]
    (clip / "frames.csv").write_text("\n".join([head, *(",".join(row) for row in cells)]) + "\n")
    (report,) = odometry(reader(), clip, tmp_path / "out")
    assert report.errors is None
    assert report.text().endswith(f"\n{lack}, so no errors")
    end = f"Its shape is not judged, because {lack}." if speeds else f"but {lack}, and speeds are not measured for all"
    assert end in (tmp_path / "out/odometry.html").read_text()
    assert json.loads((tmp_path / "out/odometry.json").read_text())["posed"] == world.FRAMES - len(lacking)


@pytest.mark.parametrize(
    ("metric", "lacking", "lack"),
    [
        (True, range(world.FRAMES), "the frames have no measured poses"),
        (True, [3], "1 of 6 frames has no measured pose"),
        (False, [3], "1 of 6 frames has no measured pose"),
        (False, [], "its poses are in metres, and depth is not"),
    ],
)
def test_a_map_without_a_trajectory_is_refused_with_what_is_missing(
    moving_clip: Path, metric: bool, lacking: Sequence[int], lack: str
) -> None:
    (clip,) = open_clips(moving_clip)
    frames = tuple(replace(f, pose=None) if i in lacking else f for i, f in enumerate(clip.frames))
    whole = reader()
    predictor = Predictor(whole.run, described(metric=metric), whole.depth, None, whole.device)
    with pytest.raises(InputError, match=f"a map needs a trajectory, but {lack}, and the checkpoint holds no pose"):
        check_trajectory(predictor, replace(clip, frames=frames), "map")


def test_the_picture_shows_both_paths(moving_clip: Path, tmp_path: Path) -> None:
    odometry(reader(), moving_clip, tmp_path)
    colors = np.asarray(Image.open(tmp_path / "path.png")).reshape(-1, 3)
    for color in (0xE64963, 0x3B0F6B):
        rgb = [color >> 16, color >> 8 & 255, color & 255]
        assert (colors == rgb).all(1).sum() > 50


def test_the_page_begins_with_drift_and_length(moving_clip: Path, tmp_path: Path) -> None:
    """Each step is predicted with 0.8 m; the network without a scale is compared after one factor."""
    (report,) = odometry(reader(), moving_clip, tmp_path / "metric")
    true, ahead = 5 * world.STEP, 5 * STEP
    page = (tmp_path / "metric/odometry.html").read_text()
    assert report.measured == pytest.approx(true)
    off = f"Drift {100 * abs(ahead - true) / true:.1f} %: the predicted path ends {abs(ahead - true):.1f} m from"
    assert f"<strong>{off} the measured end after {true:.1f} m.</strong>" in page
    assert f"Its length is {100 * ahead / true:.0f} % of the measured one ({ahead:.1f} m for {true:.1f} m)." in page
    assert f"length {ahead:.2f} m, measured {true:.2f} m ({ahead / true:.0%})" in report.text()
    assert (
        page.index("Drift")
        < page.index("class='chart map'")
        < page.index("rpe_rotation: degrees")
        < page.index("Umeyama")
    )
    assert "The drive is too short for t_rel, r_rel, t_rel_scaled, scale_drift." in page

    relative = reader()
    relative.meta = described(metric=False, scale_source="none")
    (report,) = odometry(relative, moving_clip, tmp_path / "relative")
    page = (tmp_path / "relative/odometry.html").read_text()
    assert f"<strong>Drift 0.0 %: the predicted path ends 0.0 m from the measured end after {true:.1f} m" in page
    assert f"Its length is not in metres ({ahead:.1f} units where {true:.1f} m are measured)." in page


def test_the_checked_lengths_of_depth_are_not_said_of_motions_that_depth_has_not_aligned(moving_clip: Path) -> None:
    right = ScaleCheck(source="speed", ratio=0.99, spread=0.03, frames=40, held_out=True)
    checked = reader()
    checked.meta = described(metric=True, scale_source="velocity (speed)", scale_checks=[right])
    (own,) = odometry(checked, moving_clip)
    assert own.scale.startswith("metric, from velocity (speed); lengths are those of the ego-motion network")
    assert "within 1 %" not in own.scale
    assert "lengths within 1 %" in checked.meta.scale


def test_a_length_that_contradicts_the_measured_one_is_not_called_metric_alone(moving_clip: Path) -> None:
    """The network predicts STEP where world.STEP is measured, 160 % of it."""
    long = f"is {5 * STEP:.2f} m long where {5 * world.STEP:.2f} m are measured"
    with pytest.warns(UserWarning, match=f"folder/moving_clip: the trajectory is said to be metric, but it {long}; do"):
        (report,) = odometry(reader(), moving_clip)
    assert f"; but it {long}" in report.text()


def test_a_length_that_agrees_is_no_warning(sequence: Path, recwarn: pytest.WarningsRecorder) -> None:
    (report,) = odometry(reader(), sequence)
    assert "but it is" not in report.scale
    assert not recwarn.list


def test_independent_images_have_no_trajectory(moving_clip: Path, tmp_path: Path) -> None:
    clip = Path(shutil.copytree(moving_clip, tmp_path / "clip"))
    camera = yaml.safe_load((clip / "camera.yaml").read_text())
    (clip / "camera.yaml").write_text(yaml.safe_dump(camera | {"independent": True}))
    with pytest.raises(InputError, match="its images are independent"):
        odometry(reader(), clip, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("align", [False, True])
def test_images_of_several_sizes_have_no_trajectory(moving_clip: Path, tmp_path: Path, align: bool) -> None:
    """Nobody knows how the camera changed with the size."""
    images = Path(shutil.copytree(moving_clip / "frames", tmp_path / "images"))
    for name in ("000003.png", "000004.png", "000005.png"):
        Image.open(images / name).resize((64, 64)).save(images / name)
    with pytest.raises(InputError, match=r"00000\d\.png: is \d+x\d+ pixels, but other images of .* are .* of one size"):
        odometry(reader(), images, tmp_path / "out", align=align)
    assert not (tmp_path / "out").exists()


def test_a_gap_in_time_parts_the_trajectory(moving_clip: Path, tmp_path: Path) -> None:
    torn = shutil.copytree(moving_clip, tmp_path / "torn")
    for name in ("000002", "000005"):
        (torn / "frames" / f"{name}.png").unlink()
        (torn / "depth" / f"{name}.png").unlink()
    lines = (torn / "frames.csv").read_text().splitlines()
    (torn / "frames.csv").write_text("\n".join(line for line in lines if line[:6] not in ("000002", "000005")) + "\n")
    with pytest.warns(UserWarning, match=r"folder/torn: has 1 gap in time, the first after frame 000001, .*its own$"):
        reports = odometry(reader(), torn, tmp_path / "out")
    assert [report.source for report in reports] == ["folder/torn/000000-000001", "folder/torn/000003-000004"]
    assert [report.frames for report in reports] == [2, 2]
    assert [report.distance for report in reports] == pytest.approx([STEP, STEP])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"torn-000000-000001", "torn-000003-000004"}
    assert (tmp_path / "out/torn-000003-000004/trajectory_tum.txt").read_text().startswith("0.3")


def test_parts_of_a_single_frame_are_left_out_and_named(moving_clip: Path, tmp_path: Path) -> None:
    for name in ("000000", "000001", "000002", "000004"):
        shutil.copyfile(moving_clip / "frames" / f"{name}.png", tmp_path / f"{name}.png")
    with pytest.warns(UserWarning, match=r"1 part of fewer than 2 frames is left out"):
        (report,) = odometry(reader(), tmp_path)
    assert report.frames == 3


def test_a_damaged_image_leaves_no_file(moving_clip: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(moving_clip / "frames", tmp_path / "images"))
    damaged = bytearray((folder / "000004.png").read_bytes())
    damaged[200:400] = bytes(200)
    (folder / "000004.png").write_bytes(damaged)
    with pytest.raises(InputError, match=r"000004\.png"):
        odometry(reader(), folder, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_images_are_read_as_they_are_needed() -> None:
    read = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal read
        while True:
            read += 1
            yield np.zeros((40, 60, 3), dtype=np.uint8)

    motions = reader().motions(endless())
    for _ in range(3 * PAIRS):
        next(motions)
    assert read == 3 * PAIRS + 1


class Blank:
    """An image of 7 MB, made when it is read."""

    path = Path("blank.png")

    def read(self) -> np.ndarray:
        return np.zeros((1080, 2160, 3), dtype=np.uint8)


def test_memory_does_not_grow_with_the_video() -> None:
    camera = Camera.from_fov(60, 2160, 1080)

    def peak(count: int) -> int:
        frames = tuple(Frame(name=f"{i:06d}", time=i / 10, image=Blank()) for i in range(count))
        clip = Clip("long", Path("long"), camera, frames)
        tracemalloc.start()
        clip_odometry(reader(), clip, None, None, checkpoint="any", source="long")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)  # imports, on first use
    assert peak(6 * PAIRS) < peak(2 * PAIRS) + 1e6  # less than a seventh of one more image


def test_alignment_needs_a_camera(moving_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no camera is known, but --align needs one; name its file with"):
        odometry(reader(), moving_clip / "frames", tmp_path / "out", align=True)
    assert not (tmp_path / "out").exists()
    (report,) = odometry(reader(), moving_clip / "frames", align=True, camera=moving_clip / "camera.yaml")
    assert report.scale_source == "velocity (poses), aligned with predicted depth"


class TrueDepth(nn.Module):
    """Predicts the exact depth of the frames of the rendered world, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = iter(range(world.FRAMES))

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = [1 / world.render(next(self.frames))[1] for _ in images]
        return [torch.from_numpy(np.stack(maps))[:, None].float()]


def test_depth_corrects_the_motion(moving_clip: Path) -> None:
    """The network predicts STEP per frame; depth is that of the rendered world."""
    of_world = run(world.CAMERA.height, world.CAMERA.width)
    predictor = Predictor(of_world, META, TrueDepth(), Straight(), torch.device("cpu"))
    (report,) = odometry(predictor, moving_clip, align=True)
    assert report.errors is not None
    assert report.errors.scale == pytest.approx(1, rel=0.03)
    assert world.STEP / STEP < 0.7  # the scale without alignment


def test_several_clips_get_a_folder_each(
    moving_clip: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("monday", "tuesday"):
        shutil.copytree(moving_clip, tmp_path / "clips" / name)
    assert cli.main(["odometry", str(trained), str(tmp_path / "clips"), "-o", str(tmp_path / "out")]) == 0
    texts = [(tmp_path / "out" / name / "odometry.txt").read_text() for name in ("monday", "tuesday")]
    assert capsys.readouterr().out == "\n".join(texts)
    assert texts[0].startswith("6 frames of folder/monday\n")
    assert sorted(path.name for path in (tmp_path / "out" / "tuesday").iterdir()) == FILES


def test_clips_of_one_short_name_are_refused_before_anything_is_written(moving_clip: Path, tmp_path: Path) -> None:
    class TwoSides(Folder):
        """A source with two clips that differ in the kind of their names alone."""

        kind: Literal["two_sides"] = "two_sides"  # type: ignore[assignment]

        def find(self) -> list[Clip]:
            (clip,) = super().find()
            return [clip, replace(clip, name=f"other/{clip.short_name}")]

    expected = r"clip: has several clips of one name \(moving_clip\); process them one by one"
    with pytest.raises(InputError, match=expected):
        odometry(reader(), moving_clip, tmp_path / "out", kind="two_sides")
    assert not (tmp_path / "out").exists()
    assert len(odometry(reader(), moving_clip, kind="two_sides")) == 2
