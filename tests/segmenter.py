"""A small segmentation network with random weights, as a checkpoint."""

from __future__ import annotations

from pathlib import Path

import torch

from packdepth.segmentation.checkpoint import SemanticMeta, write_checkpoint
from packdepth.segmentation.fpn import FPN
from packdepth.segmentation.run_file import SemanticRun

CLASSES = ("road", "sky", "car")


def write(folder: Path) -> Path:
    """The checkpoint, in `folder`."""
    torch.manual_seed(5)
    run = SemanticRun.model_validate(
        {
            "data": {"train": [{"kind": "camvid", "root": "camvid"}], "image_size": [32, 32]},
            "network": {"width": 8},
            "training": {"steps": 1},
        }
    )
    meta = SemanticMeta(packdepth="0", created="2026-01-01", steps=1, classes=list(CLASSES), images=1)
    write_checkpoint(folder, run, meta, FPN(CLASSES, layers=18, width=8).state_dict())
    return folder
