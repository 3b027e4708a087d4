"""A tiny checkpoint with random weights, and images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from packdepth.inference.predictor import Predictor, load


@pytest.fixture(scope="module", autouse=True)
def _on_the_cpu() -> Iterator[None]:
    """The device "auto" is the CPU, so that predictions can be compared to the bit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        yield


@pytest.fixture(scope="session")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A metric checkpoint of random weights. Not to be written to."""
    return tiny.write(tmp_path_factory.mktemp("checkpoint") / "best")


@pytest.fixture(scope="session")
def predictor(checkpoint_folder: Path) -> Predictor:
    return load(checkpoint_folder, "cpu")


@pytest.fixture(scope="session")
def image() -> np.ndarray:
    """[45, 83, 3] uint8: smooth, of odd size and not the network's."""
    v, u = np.mgrid[:45, :83]
    waves = [np.sin(u / 7 + phase) + np.cos(v / 5 - phase) for phase in (0, 1, 2)]
    return ((np.stack(waves, axis=-1) + 2) / 4 * 255).astype(np.uint8)
