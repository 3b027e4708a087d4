"""The protocol on clips of one's own that have measured depth."""

from __future__ import annotations

from packdepth.evaluation.protocol import Protocol

FOLDER = Protocol(
    name="folder",
    about=(
        "clips in the folder contract, against the depth maps or LiDAR scans that they hold; of a frame with both, "
        "the depth map"
    ),
    source={"kind": "folder", "root": "."},
    truth="any",
    baseline="others_median",
    baseline_images=30,  # at 376x1241, the baseline of 30 dense images takes about ten seconds
    boundaries=True,
)
