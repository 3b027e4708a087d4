"""A run that takes seconds: PackNet tiny on the rendered clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture
def run_values(moving_clip: Path) -> dict[str, Any]:
    """The content of a run file, with everything that a run can do switched on."""
    source = {"kind": "folder", "root": str(moving_clip)}
    return {
        "data": {"train": [source], "val": [source], "image_size": [32, 64], "workers": 0},
        "networks": {
            "depth": {"kind": "packnet", "preset": "tiny", "dropout": 0.1, "initial_depth": 5.0},
            "pose": {"kind": "posenet", "initial_forward": 0.4},
        },
        "objective": [
            {"kind": "photometric", "scales": "own"},
            {"kind": "smoothness"},
            {"kind": "velocity", "weight": 0.1},
        ],
        "training": {
            "epochs": 3,
            "epoch_steps": 3,
            "batch_size": 2,
            "schedule": {"kind": "cosine", "warmup": 2},
            "clip_norm": 1.0,
            "seed": 3,
            "accelerator": "cpu",
        },
    }


@pytest.fixture
def run_file(run_values: dict[str, Any], tmp_path: Path) -> Path:
    """The same as a file."""
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(run_values))
    return path
