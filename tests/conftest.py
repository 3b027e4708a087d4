"""What tests share: real data and golden values where they exist, and a rendered clip with exact ground truth."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import settings

TESTS = Path(__file__).resolve().parent
PROJECT = TESTS.parent
sys.path.insert(0, str(TESTS))  # for `import world`
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the first import of ONNX Runtime, in whatever test

import world  # noqa: E402 - found through the line above

torch.set_num_threads(1)  # test processes run side by side
settings.register_profile("deterministic", derandomize=True, deadline=None, max_examples=25, database=None)
settings.load_profile("deterministic")


def _folder(variable: str, default: Path, what: str) -> Path:
    path = Path(os.environ.get(variable) or default)
    if not path.is_dir():
        pytest.skip(f"no {what} at {path}: set {variable} to the folder that holds them")
    return path


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data."""
    return _folder("PACKDEPTH_DATA", PROJECT.parent / "shared" / "data", "real data")


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of golden values: outputs of the reference implementation."""
    own = TESTS / "parity" / "golden"
    return _folder("PACKDEPTH_GOLDEN", own if own.is_dir() else PROJECT.parent / "shared" / "golden", "golden values")


@pytest.fixture(scope="session")
def moving_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered clip in the folder contract, with depth, speed and poses (see world.py). Not to be written to."""
    return world.write(tmp_path_factory.mktemp("world") / "moving_clip")
