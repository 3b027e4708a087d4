"""The protocol on Cityscapes."""

from __future__ import annotations

from packdepth.evaluation.protocol import Protocol

TEST = Protocol(
    name="cityscapes",
    about=(
        "Cityscapes, the 1525 test images, against depth from their disparity maps (semi-global matching); "
        "the middle half, as ManyDepth evaluates"
    ),
    source={"kind": "cityscapes", "root": "cityscapes", "split": "test"},
    marker="disparity",
    images=1525,
    crop="cityscapes",
    median="mean",
    ego_motion=False,
)
