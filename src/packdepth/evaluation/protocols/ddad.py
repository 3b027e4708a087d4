"""Protocols on DDAD."""

from __future__ import annotations

from dataclasses import replace

from packdepth.evaluation.choices import STANDARD_METRICS
from packdepth.evaluation.protocol import ALL_CLASSES, Protocol

UNCOUNTED = ("train", "motorcycle")  # classes that the challenge of 2021 does not score

VAL = Protocol(
    name="ddad-val",
    about=(
        "DDAD, the front camera of the 50 validation scenes, against the full LiDAR at 1216x1936; "
        "as packnet-sfm evaluates"
    ),
    source={"kind": "ddad", "root": "ddad", "split": "val", "cameras": ["CAMERA_01"]},
    marker="ddad.json",
    truth="lidar",
    images=3950,
    cap=200.0,
    resizing="depth",
    ranges=(0, 20, 40, 60, 80, 100, 120, 140, 160, 180, 200),
    ego_motion=False,
)

VAL_CLASSES = replace(
    VAL,
    name="ddad-val-classes",
    about="DDAD, labeled images of the front camera, against the full LiDAR; by class, as the challenge of 2021 scores",
    images=None,
    resizing="depth_nearest",
    metrics=(*STANDARD_METRICS, "silog"),
    classes=tuple(name for name in ALL_CLASSES if name not in UNCOUNTED),
    scaled_by_class=True,
)
