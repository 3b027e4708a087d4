"""Clips that sources of other projects find are checked before they are used."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from packdepth.errors import InputError
from packdepth.records import Clip
from packdepth.sources.base import check_found
from packdepth.sources.folder import read_clip

TRANSPOSED = np.eye(4)
TRANSPOSED[3, 2] = 1.5


def changed(clip: Clip, **fields: Any) -> Clip:
    """The clip with other fields of its third frame."""
    frames = list(clip.frames)
    frames[2] = replace(frames[2], **fields)
    return replace(clip, frames=tuple(frames))


def test_what_is_right_is_taken(moving_clip: Path) -> None:
    clip = read_clip(moving_clip)
    check_found("mine", [clip, replace(changed(clip, speed=np.float32(3.0), pose=np.eye(4)), name="other")])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": 2}, "its name is 2; give a text"),
        ({"time": float("nan")}, "its time is nan; give seconds"),
        ({"time": "0.2"}, "its time is '0.2'; give seconds"),
        ({"speed": float("nan")}, "its speed is nan; give metres per second"),
        ({"speed": -2.0}, "its speed is -2.0; give metres per second"),
        ({"pose": TRANSPOSED}, "its pose is no rigid motion; give T_world_camera"),
        ({"pose": np.diag([1.0, 1, -1, 1])}, "its pose is no rigid motion"),
        ({"pose": np.eye(4)[:3]}, "its pose is no rigid motion"),
        ({"pose": np.full((4, 4), np.nan)}, "its pose is no rigid motion"),
    ],
)
def test_a_wrong_frame_is_named(moving_clip: Path, fields: dict[str, Any], message: str) -> None:
    clip = changed(read_clip(moving_clip), **fields)
    name = clip.frames[2].name
    with pytest.raises(InputError, match=re.escape(f"source 'mine': frame {name} of clip {clip.name}: {message}")):
        check_found("mine", [clip])


def test_clips_of_one_name_and_maps_of_other_sizes_are_refused(moving_clip: Path) -> None:
    clip = read_clip(moving_clip)
    with pytest.raises(InputError, match=f"two clips are named {clip.name}; give each its own name"):
        check_found("mine", [clip, clip])
    first = replace(clip.frames[0], moving=clip.frames[0].image)
    with pytest.raises(InputError, match=r"is read as uint8 \[48, 96, 3\]; return a numpy array of bool \[48, 96\]"):
        check_found("mine", [replace(clip, frames=(first, *clip.frames[1:]))])
