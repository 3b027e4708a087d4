"""`packdepth odometry`: sources, files, what is said."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import world
import yaml
from PIL import Image

from packdepth import cli
from packdepth.errors import InputError
from packdepth.evaluation import odometry_command
from packdepth.evaluation.odometry_command import OdometryReport, clip_odometry
from packdepth.geometry.camera import Camera
from packdepth.inference.predictor import PAIRS, Predictor
from packdepth.records import Clip, Frame

from .conftest import STEP


def report_on(*args: Any, **kwargs: Any) -> OdometryReport:
    """The report on a source of one clip."""
    (report,) = odometry_command.odometry(*args, **kwargs)
    return report


FILES = ["odometry.json", "odometry.txt", "path.png", "trajectory_kitti.txt", "trajectory_tum.txt"]


@pytest.fixture(autouse=True)
def straight(seer: Callable[..., Predictor], monkeypatch: pytest.MonkeyPatch) -> Predictor:
    """Whatever checkpoint is asked for, its network moves STEP ahead a frame."""
    predictor = seer()
    monkeypatch.setattr(odometry_command, "load", lambda checkpoint: predictor)
    return predictor


def test_a_kitti_sequence(odometry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sequence = odometry / "kitti_odometry/dataset/sequences/06"
    assert cli.main(["odometry", "any", str(sequence), "-o", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    content = json.loads((tmp_path / "out/odometry.json").read_text())
    assert content["frames"] == 51
    assert content["distance"] == pytest.approx(50 * STEP)
    assert content["errors"]["ate"] == pytest.approx(0, abs=1e-5)
    assert content["errors"]["scale"] == pytest.approx(1)
    assert content["errors"]["t_rel"] is None  # 40 metres
    text = (tmp_path / "out/odometry.txt").read_text()
    assert "snippet_ate_scaled" in text
    assert capsys.readouterr().out == text
    tum = np.loadtxt(tmp_path / "out/trajectory_tum.txt")
    np.testing.assert_allclose(tum[:, 0], np.arange(51) / 10)
    np.testing.assert_allclose(tum[:, 3], STEP * np.arange(51), rtol=1e-5)


def test_a_clip_in_another_world(moving_clip: Path, tmp_path: Path) -> None:
    report = report_on("any", moving_clip, tmp_path)
    assert report.errors is not None
    assert report.errors.scale == pytest.approx(world.STEP / STEP)
    assert report.errors.ate_scaled == pytest.approx(0, abs=1e-5)
    assert report.errors.rpe_translation == pytest.approx(STEP - world.STEP, rel=1e-5)


def test_images_without_poses(moving_clip: Path, tmp_path: Path) -> None:
    report = report_on("any", moving_clip / "frames", tmp_path)
    assert report.errors is None
    assert "no measured poses" in report.text()
    assert json.loads((tmp_path / "odometry.json").read_text())["errors"] is None


def test_the_picture_shows_both_paths(moving_clip: Path, tmp_path: Path) -> None:
    report_on("any", moving_clip, tmp_path)
    colors = np.asarray(Image.open(tmp_path / "path.png")).reshape(-1, 3)
    for color in (0xE64963, 0x3B0F6B):
        rgb = [color >> 16, color >> 8 & 255, color & 255]
        assert (colors == rgb).all(1).sum() > 50


def test_independent_images_have_no_trajectory(moving_clip: Path, tmp_path: Path) -> None:
    clip = Path(shutil.copytree(moving_clip, tmp_path / "clip"))
    camera = yaml.safe_load((clip / "camera.yaml").read_text())
    (clip / "camera.yaml").write_text(yaml.safe_dump(camera | {"independent": True}))
    with pytest.raises(InputError, match="its images are independent"):
        report_on("any", clip, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_image_leaves_no_file(moving_clip: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(moving_clip / "frames", tmp_path / "images"))
    damaged = bytearray((folder / "000004.png").read_bytes())
    damaged[200:400] = bytes(200)
    (folder / "000004.png").write_bytes(damaged)
    with pytest.raises(InputError, match=r"000004\.png"):
        report_on("any", folder, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_images_are_read_as_they_are_needed(straight: Predictor) -> None:
    read = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal read
        while True:
            read += 1
            yield np.zeros((40, 60, 3), dtype=np.uint8)

    motions = straight.motions(endless())
    for _ in range(3 * PAIRS):
        next(motions)
    assert read == 3 * PAIRS + 1


class Blank:
    """An image of 7 MB, made when it is read."""

    path = Path("blank.png")

    def read(self) -> np.ndarray:
        return np.zeros((1080, 2160, 3), dtype=np.uint8)


def test_memory_does_not_grow_with_the_video(straight: Predictor, tmp_path: Path) -> None:
    camera = Camera.from_fov(60, 2160, 1080)

    def peak(count: int) -> int:
        frames = tuple(Frame(name=f"{i:06d}", time=i / 10, image=Blank()) for i in range(count))
        clip = Clip("long", Path("long"), camera, frames)
        tracemalloc.start()
        clip_odometry(straight, clip, tmp_path, None, checkpoint="any", source="long")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)  # what is imported and drawn for the first time
    assert peak(6 * PAIRS) < peak(2 * PAIRS) + 1e6  # less than a seventh of one more image


def test_alignment_needs_a_camera(moving_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no camera is known, but --align needs one; name its file with"):
        report_on("any", moving_clip / "frames", tmp_path / "out", align=True)
    assert not (tmp_path / "out").exists()
    report = report_on("any", moving_clip / "frames", tmp_path / "named", True, moving_clip / "camera.yaml")
    assert report.scale_source == "velocity (poses), aligned with predicted depth"


def test_depth_puts_the_motion_right(
    moving_clip: Path, tmp_path: Path, seer: Callable[..., Predictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network says STEP a frame; the true depth of the world says what is true."""
    predictor = seer()
    predictor.run.data.__dict__["image_size"] = (world.CAMERA.height, world.CAMERA.width)
    monkeypatch.setattr(odometry_command, "load", lambda checkpoint: predictor)
    truth = iter(range(world.FRAMES))

    def depth(images: torch.Tensor) -> list[torch.Tensor]:
        maps = [1 / world.render(next(truth))[1] for _ in images]
        return [torch.from_numpy(np.stack(maps))[:, None].float()]

    monkeypatch.setattr(predictor, "depth", depth)
    report = report_on("any", moving_clip, tmp_path, align=True)
    assert report.errors is not None
    assert report.errors.scale == pytest.approx(1, rel=0.03)
    assert world.STEP / STEP < 0.7  # what it would be else


def test_several_clips_get_a_folder_each(moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("monday", "tuesday"):
        shutil.copytree(moving_clip, tmp_path / "clips" / name)
    assert cli.main(["odometry", "any", str(tmp_path / "clips"), "-o", str(tmp_path / "out")]) == 0
    texts = [(tmp_path / "out" / name / "odometry.txt").read_text() for name in ("monday", "tuesday")]
    assert capsys.readouterr().out == "\n".join(texts)
    assert texts[0].startswith("6 frames of folder/monday\n")
    assert sorted(path.name for path in (tmp_path / "out" / "tuesday").iterdir()) == FILES
