"""A tiny checkpoint with random weights, of a metric network."""

from __future__ import annotations

from pathlib import Path

import torch
from described import described
from present import present

from packdepth import checkpoint
from packdepth.checkpoint import Checkpoint
from packdepth.config import parse_run

HEIGHT, WIDTH = 32, 64  # of what the networks see
FORWARD = 0.5  # metres a frame that the pose network predicts, roughly


def write(folder: Path, seed: int = 0) -> Path:
    """Write the checkpoint, with weights of a seed, and return its folder."""
    run = parse_run(
        {
            "data": {"train": [{"kind": "folder", "root": "/clips"}], "image_size": [HEIGHT, WIDTH]},
            "networks": {
                "depth": {"kind": "packnet", "preset": "tiny"},
                "pose": {"kind": "posenet", "initial_forward": FORWARD},
            },
            "objective": [
                {"kind": "photometric"},
                {"kind": "smoothness", "weight": 1e-3},
                {"kind": "velocity", "weight": 0.05},
            ],
            "training": {"epochs": 3},
        },
        "test",
    )
    meta = described(
        git_commit="0123abc",
        epoch=3,
        step=1200,
        clips=["folder/a", "folder/b"],
        frames=51,
        scores={"abs_rel": 0.12345678, "loss": 0.25},
    )
    torch.manual_seed(seed)
    depth, pose = run.networks.depth.assemble(), present(run.networks.pose).assemble()
    weights = {f"depth.{name}": value for name, value in depth.state_dict().items()}
    weights |= {f"pose.{name}": value for name, value in pose.state_dict().items()}
    checkpoint.write(folder, Checkpoint(run, meta, weights))
    return folder
