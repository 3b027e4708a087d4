"""Images of sky over road as CamVid has them, and a run file that trains on them in seconds."""

from __future__ import annotations

from pathlib import Path

import formats
import pytest
import yaml


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """Return the folder of a small CamVid."""
    return formats.camvid(tmp_path / "camvid")


@pytest.fixture
def run_file(camvid: Path, tmp_path: Path) -> Path:
    """A run file of 40 steps."""
    source = {"kind": "camvid", "root": str(camvid)}
    values = {
        "data": {
            "train": [source | {"parts": ["train"]}],
            "val": [source | {"parts": ["val"]}],
            "image_size": [64, 64],
            "workers": 0,
        },
        "network": {"width": 8},
        "training": {
            "steps": 40,
            "batch_size": 2,
            "learning_rate": 3.0e-3,
            "checkpoint_steps": 40,
            "seed": 1,
            "accelerator": "cpu",
        },
    }
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(values))
    return path
