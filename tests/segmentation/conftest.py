"""Images of sky over road as CamVid has them, and a run file that trains on them in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """Bright sky over dark road, the border at a different height in each image; the last rows are unlabeled."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 2)):
        for folder in (part, f"{part}annot"):
            (tmp_path / "camvid" / folder).mkdir(parents=True)
        for index in range(count):
            border = int(rng.integers(16, 48))
            labels = np.where(np.arange(64)[:, None] < border, 0, 3).repeat(64, 1).astype(np.uint8)
            image = np.where(labels == 0, 220, 40)[..., None] + rng.integers(-30, 30, (64, 64, 3))
            labels[60:] = 11
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(tmp_path / "camvid" / part / f"{index}.png")
            Image.fromarray(labels).save(tmp_path / "camvid" / f"{part}annot" / f"{index}.png")
    return tmp_path / "camvid"


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
