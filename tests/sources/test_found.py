"""Clips that sources of other projects find are checked before they are used."""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Made:
    """A file of somebody else's that is read as zeros."""

    shape: tuple[int, ...]
    dtype: str
    path: Path = Path("made.npy")
    origin: Any = None

    def read(self) -> np.ndarray:
        if not self.shape:
            raise ValueError("cannot be decoded")
        return np.zeros(self.shape, self.dtype)


@pytest.mark.parametrize(
    ("field", "shape", "dtype", "expected"),
    [
        ("image", (48, 96, 3), "float32", "uint8 [48, 96, 3]"),
        ("image", (24, 48, 3), "uint8", "uint8 [48, 96, 3]"),
        ("right", (48, 96), "uint8", "uint8 [48, 96, 3]"),
        ("depth", (24, 48), "float32", "float32 [48, 96]"),
        ("depth", (48, 96), "float64", "float32 [48, 96]"),
        ("lidar", (9, 4), "float32", "float32 [N, 3]"),
        ("semantic", (48, 96), "int64", "uint8 [48, 96]"),
        ("instance", (48, 96, 1), "int32", "int32 [48, 96]"),
        ("moving", (48, 96), "uint8", "bool [48, 96]"),
    ],
)
def test_a_later_file_is_checked_whenever_it_is_read(
    moving_clip: Path, field: str, shape: tuple[int, ...], dtype: str, expected: str
) -> None:
    (clip,) = check_found("mine", [changed(read_clip(moving_clip), **{field: Made(shape, dtype)})])
    sentence = f"source 'mine': made.npy is read as {dtype} {list(shape)}; return a numpy array of {expected} for it"
    with pytest.raises(InputError, match=re.escape(sentence)):
        getattr(clip.frames[2], field).read()


def test_what_a_later_file_fails_with_names_the_file_and_the_line(moving_clip: Path) -> None:
    (clip,) = check_found("mine", [changed(read_clip(moving_clip), depth=Made((), "float32"))])
    with pytest.raises(InputError, match=r"^made.npy: source 'mine' \(.*\) fails in line \d+ of test_found.py "):
        clip.frames[2].depth.read()  # type: ignore[union-attr]


def test_checked_files_are_those_of_the_source(moving_clip: Path) -> None:
    found = read_clip(moving_clip)
    scan = Made((9, 3), "float32", origin=np.ones(3))
    (clip,) = check_found("mine", [changed(found, lidar=scan)])
    frame = pickle.loads(pickle.dumps(clip.frames[2]))  # as for a worker process
    np.testing.assert_array_equal(frame.depth.read(), found.frames[2].depth.read())  # type: ignore[union-attr]
    np.testing.assert_array_equal(frame.image.read(), found.frames[2].image.read())
    assert (frame.depth.path, type(frame.image)) == (found.frames[2].depth.path, type(found.frames[2].image))  # type: ignore[union-attr]
    assert (frame.lidar.read().shape, frame.lidar.origin.tolist()) == ((9, 3), [1, 1, 1])
