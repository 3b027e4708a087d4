"""Protocols on KITTI-360."""

from __future__ import annotations

from packdepth.evaluation.protocol import Protocol

FOUR_BEAMS = Protocol(
    name="kitti360-4-beams",
    about=(
        "KITTI-360, the 25 frames of clips/kitti360_3000 that have a scan, against the returns that training "
        "on 4 beams leaves out; other frames show the same street"
    ),
    source={"kind": "folder", "root": "clips", "names": ["kitti360_3000"]},
    marker="kitti360_3000",
    truth="lidar",
    left_out=4,
    images=25,
    split="ca2f370933cdea43",
    baseline="others_median",
)
