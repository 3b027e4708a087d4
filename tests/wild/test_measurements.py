"""Measurements in other units, of other cameras and the wrong way round: each is found, with its number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import formats
import numpy as np
import pytest
import world

from packdepth.data.agreement import check_agreement, disagreements
from packdepth.errors import InputError
from packdepth.records import Clip, Frame
from packdepth.sources.folder import read_clip


@dataclass(frozen=True)
class Array:
    """An array in place of a file."""

    values: np.ndarray
    path: Path = Path("array")
    origin: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def read(self) -> np.ndarray:
        """Return the array."""
        return self.values


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """The world with right images, LiDAR, depth, speeds and poses."""
    return read_clip(formats.add_scans(formats.add_right(world.write(tmp_path_factory.mktemp("world") / "clip"))))


def changed(clip: Clip, change: Callable[[Frame], Frame]) -> Clip:
    """Return a clip with every frame changed."""
    return replace(clip, frames=tuple(map(change, clip.frames)))


def with_pose(clip: Clip, change: Callable[[np.ndarray], np.ndarray]) -> Clip:
    """Return a clip with every pose changed."""
    return changed(clip, lambda f: f if f.pose is None else replace(f, speed=None, pose=change(f.pose)))


def degrees(pose: np.ndarray) -> np.ndarray:
    """Return a pose whose position is in degrees of latitude and longitude."""
    pose = pose.copy()
    pose[:3, 3] = [48.1 + pose[0, 3] / 111_000, 11.5 + pose[1, 3] / 74_000, pose[2, 3] / 111_000]
    return pose


WRONG: dict[str, tuple[Callable[[Clip], Clip], Sequence[str], str]] = {
    "km/h": (lambda c: changed(c, lambda f: replace(f, speed=118.4)), ["distance"], r"118\.4 km/h would be 32\.9 m/s"),
    "millimetres between the cameras": (lambda c: replace(c, baseline=540.0), ["right"], r"540 m \(millimetres\?\)"),
    "left and right swapped": (
        lambda c: changed(c, lambda f: replace(f, image=f.right or f.image, right=f.image)),
        ["right"],
        r"show points \d+\.\d px farther right than the left ones",
    ),
    "depth maps in millimetres": (
        lambda c: changed(c, lambda f: replace(f, depth=Array((f.depth or f.image).read() * 1000 / 256))),
        ["truth"],
        r"3\.9\d times as deep as its LiDAR scans \(1000 / 256 = 3\.9: they hold millimetres\)",
    ),
    "LiDAR in millimetres": (
        lambda c: changed(c, lambda f: f if f.lidar is None else replace(f, lidar=Array(f.lidar.read() * 1000))),
        ["truth"],
        r"0\.00 times as deep as its LiDAR scans",
    ),
    "T_camera_world": (
        lambda c: with_pose(c, np.linalg.inv),
        ["distance"],
        r"they are the other way round \(T_camera_world\)",
    ),
    "latitude and longitude": (lambda c: with_pose(c, degrees), ["distance"], r"the scene at a distance of [\d.e-]+ m"),
}


def test_a_sound_clip_agrees_with_itself(clip: Clip) -> None:
    assert disagreements(clip) == []
    check_agreement([clip], frozenset({"distance", "right", "truth"}))
    check_agreement([with_pose(clip, lambda pose: pose)], frozenset({"distance"}))


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_right_is_found_and_not_trained_on(clip: Clip, wrong: str) -> None:
    change, fields, text = WRONG[wrong]
    with pytest.raises(InputError, match=text):
        check_agreement([change(clip)], frozenset(fields))
    check_agreement([change(clip)], frozenset())  # what a training does not use may be wrong
    assert len(disagreements(change(clip))) == 1


@pytest.mark.parametrize("turn", [0.02, -0.05])
def test_poses_the_other_way_round_are_found_in_bends_too(clip: Clip, turn: float) -> None:
    def bent(pose: np.ndarray) -> np.ndarray:
        c, s = np.cos(turn), np.sin(turn)
        world_turn = np.array([[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, 0], [0, 0, 0, 1]])
        moved: np.ndarray = world_turn @ pose
        return moved

    assert disagreements(with_pose(clip, bent)) == []  # another world frame changes nothing
    assert [each.name for each in disagreements(with_pose(clip, lambda pose: np.linalg.inv(bent(pose))))] == ["poses"]
