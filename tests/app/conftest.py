"""A tiny checkpoint, and an image and a video to drop."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import world
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
