"""A tiny checkpoint, and an image and a video to drop."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny
import world
import yaml
from PIL import Image

from packdepth.app.work import Workshop
from packdepth.inference.options import AppOptions
from packdepth.inference.writers.video import video_writer


@pytest.fixture(scope="session")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A metric checkpoint of random weights. Not to be written to."""
    return tiny.write(tmp_path_factory.mktemp("checkpoint") / "best")


@pytest.fixture(scope="session")
def workshop(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop([checkpoint_folder], tmp_path_factory.mktemp("served"), AppOptions(max_megabytes=1.0, max_frames=4))


@pytest.fixture(scope="session")
def unmirrored(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same checkpoint as one whose training has seen no mirrored image, and one camera. Not to be written to."""
    folder = tmp_path_factory.mktemp("unmirrored") / "best"
    shutil.copytree(checkpoint_folder, folder)
    run, meta = yaml.safe_load((folder / "run.yaml").read_text()), json.loads((folder / "meta.json").read_text())
    run["data"]["augmentation"] = {"flip": 0.0}
    fx, fy, cx, cy = world.CAMERA.numbers
    trained = {"width": world.CAMERA.width, "height": world.CAMERA.height, "fx": fx, "fy": fy, "cx": cx, "cy": cy}
    (folder / "run.yaml").write_text(yaml.safe_dump(run))
    (folder / "meta.json").write_text(json.dumps(meta | {"trained_cameras": [trained]}))
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a street.png"
    Image.fromarray(world.picture(0)).save(path)
    return path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "drive.mp4"
    with video_writer(path, world.RATE) as append:
        for index in range(world.FRAMES):
            append(world.picture(index))
    return path
