"""Data sets as they are half-copied and mixed."""

from __future__ import annotations

from pathlib import Path

import formats
import numpy as np
import pytest
import yaml
from PIL import Image

from packdepth.sources.open import open_clips
from packdepth.sources.recognize import source_at

from .conftest import Command

DRIVES = {"2011_09_26_drive_0052_sync": (96, 48), "2011_09_28_drive_0001_sync": (90, 44)}  # width and height


@pytest.fixture
def kitti(tmp_path: Path) -> Path:
    """KITTI raw with two dates of two sizes, depth maps, and a split file beside them."""
    root = tmp_path / "kitti"
    for drive, (width, height) in DRIVES.items():
        formats.kitti_raw(root, drive, np.linspace(0, 5, 8))
        folder = root / drive[:10]
        maps = folder / drive / "proj_depth/groundtruth/image_02"
        maps.mkdir(parents=True)
        for file in (folder / drive / "image_02/data").iterdir():
            Image.open(file).resize((width, height)).save(file)
            Image.fromarray(np.full((height, width), 10 * 256, np.uint16)).save(maps / file.name)
        calibration = folder / "calib_cam_to_cam.txt"
        text = calibration.read_text().replace("S_rect_02: 96 48", f"S_rect_02: {width} {height}")
        calibration.write_text(text)
    lines = [f"{drive[:10]}/{drive} {number} l" for drive in DRIVES for number in (2, 3)]
    (tmp_path / "split.txt").write_text("\n".join(lines))
    return root


def test_dates_of_two_sizes_train_together_with_measured_depth(kitti: Path, train: Command) -> None:
    objective = [{"kind": "photometric"}, {"kind": "sparse_l1"}]
    status, output, messages = train({"kind": "kitti_raw", "root": str(kitti)}, objective)
    assert status == 0, messages
    first = output.splitlines()[0]
    assert first.startswith(f"data       kitti_raw {kitti}: 16 frames, 96x48, 90x44 pixels; depth maps of 16; metres")


def test_a_root_takes_a_split_file_in_every_command(kitti: Path, command: Command, tmp_path: Path) -> None:
    option = f"split_file={tmp_path / 'split.txt'}"
    clips = source_at(kitti, options=[option]).clips()
    assert [clip.targets for clip in clips] == [{"0000000002", "0000000003"}] * 2
    status, output, messages = command("data", "check", kitti, option)
    assert status == 0, messages
    assert all(f"kitti_raw/{drive}/left: 8 frames" in output for drive in DRIVES)
    status, _, messages = command("data", "import", kitti, tmp_path / "out", option)
    assert status == 0, messages
    lines = (tmp_path / "out/split.txt").read_text().splitlines()
    assert sum(line.startswith("folder/") for line in lines) == 4
    status, _, messages = command("data", "check", kitti / "2011_09_26", option)
    assert status == 2
    assert "drives and cameras are those that the split_file names; remove them (of a path, give the root)" in messages


@pytest.mark.parametrize("suffix", ["mp4", "png"])
def test_camera_yaml_counts_for_videos_and_images_as_for_folders(tmp_path: Path, suffix: str) -> None:
    camera = {"width": 96, "height": 64, "fx": 60, "fy": 60, "cx": 47.5, "cy": 31.5}
    stated = {"interval_s": 0.05, "drive": "monday", "height_m": 1.5, "independent": True}
    pattern = np.random.default_rng(0).integers(0, 255, (64, 120, 3), dtype=np.uint8)
    images = [pattern[:, index : index + 96] for index in range(6)]
    if suffix == "mp4":
        path = formats.video(tmp_path / "a.mp4", images)
    else:
        path = tmp_path
        for index, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / f"{index}.png")
    (tmp_path / "camera.yaml").write_text(yaml.safe_dump(camera | stated))
    (clip,) = open_clips(path)
    assert (clip.interval, clip.drive, clip.camera_height, clip.independent) == (0.05, "monday", 1.5, True)


def test_every_second_frame_of_a_video_has_twice_its_interval(tmp_path: Path) -> None:
    images = [np.full((64, 96, 3), index, np.uint8) for index in range(8)]
    path = formats.video(tmp_path / "a.mp4", images)
    (tmp_path / "a.yaml").write_text("{width: 96, height: 64, fx: 60, fy: 60, cx: 47.5, cy: 31.5, interval_s: 0.1}")
    (clip,) = open_clips(path, options=["step=2"])
    assert (len(clip.frames), clip.interval) == (4, 0.2)
