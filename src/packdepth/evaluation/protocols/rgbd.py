"""Protocols on RGB-D recordings of rooms."""

from __future__ import annotations

from dataclasses import replace

from packdepth.evaluation.protocol import Protocol

RGBD = Protocol(
    name="rgbd",
    about="RGB-D sequences (7-Scenes, TUM) or clips in the folder contract, indoors, against their registered depth",
    source={"kind": "rgbd", "root": "."},
    folders=True,
    min_depth=0.1,
    cap=10.0,
    ranges=(0, 1, 2, 3, 4, 5, 10),
)

HOLOLENS_ROOM = replace(
    RGBD,
    name="hololens-room",
    about="100 frames of a hand-held RGB-D camera in a room, against its registered depth",
    source={"kind": "folder", "root": "clips", "names": ["hololens_room"]},
    marker="hololens_room",
    folders=False,
    images=100,
    split="876206b7cc6b2c61",
    baseline="pixel_median",
)
