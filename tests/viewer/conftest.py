"""A tiny checkpoint, and what it predicts for the small world."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from packdepth.inference.run import predict


@pytest.fixture(scope="session")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A metric checkpoint of random weights. Not to be written to."""
    return tiny.write(tmp_path_factory.mktemp("checkpoint") / "best")


@pytest.fixture(scope="session")
def saved(checkpoint_folder: Path, moving_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `packdepth predict --save depth,cloud,map` wrote. Not to be written to."""
    folder = tmp_path_factory.mktemp("saved") / "out"
    predict(checkpoint_folder, moving_clip, folder, "depth,cloud,map")
    return folder
