"""Golden values of networks, a file each, whatever their names and number."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest


def network_files() -> list[Path]:
    """The golden files of networks: those that hold the names and shapes of weights."""
    folder = Path(os.environ.get("PACKDEPTH_GOLDEN") or Path(__file__).with_name("golden"))
    return [path for path in sorted(folder.glob("*.npz")) if "keys" in np.load(path)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of a `depth_file` or `pose_file` runs for each of them."""
    for fixture, output in (("depth_file", "inv_depth_eval"), ("pose_file", "pose_vec")):
        if fixture in metafunc.fixturenames:
            files = [path for path in network_files() if output in np.load(path)]
            metafunc.parametrize(fixture, files, ids=[path.stem for path in files])
