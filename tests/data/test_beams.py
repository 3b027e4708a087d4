"""Beams: bands of elevation about the scanner, what is kept and what is left, real scans."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from packdepth.data.beams import BEAMS, HIGHEST, LOWEST, beam_depth, beam_numbers, kept, other_depth
from packdepth.data.dataset import measured_depth
from packdepth.data.targets import check_scans
from packdepth.errors import InputError
from packdepth.records import Clip
from packdepth.sources.ddad import Ddad
from packdepth.sources.folder import Folder
from packdepth.sources.kitti_raw import KittiRaw

NUMBERS = (1, 4, 8, 16, 32, 64)
ORIGIN = np.array([0.1, -0.25, -0.3])


def rings(distance: float) -> np.ndarray:
    """A point ahead on each of 64 lasers of KITTI's scanner, at a distance in metres: [64, 3]."""
    step = (HIGHEST - LOWEST) / BEAMS
    e = np.radians(HIGHEST - step * (np.arange(BEAMS) + 0.5))
    return ORIGIN + distance * np.stack([np.zeros(BEAMS), -np.sin(e), np.cos(e)], axis=-1)


@given(st.floats(1.0, 100.0))
def test_a_laser_is_one_beam_at_any_distance(distance: float) -> None:
    assert beam_numbers(rings(distance), ORIGIN).tolist() == list(range(BEAMS))


def test_all_elevations_belong_to_a_beam() -> None:
    points = np.array([[0.0, -9.0, 0.0], [0.0, 9.0, 0.0], [0.0, -9.0, 1.0], [0.0, 0.0, -5.0]])
    assert beam_numbers(points, np.zeros(3)).tolist() == [0, 63, 0, 4]


@pytest.mark.parametrize("beams", NUMBERS)
def test_kept_beams_lie_at_equal_distances_and_are_among_those_of_more(beams: int) -> None:
    numbers = np.flatnonzero(kept(rings(20.0), ORIGIN, beams))
    assert len(numbers) == beams
    assert set(np.diff(numbers)) <= {BEAMS // beams}
    assert all(set(numbers) <= set(np.flatnonzero(kept(rings(20.0), ORIGIN, n))) for n in NUMBERS if n > beams)


@dataclass(frozen=True)
class Points:
    points: np.ndarray
    origin: np.ndarray
    path: Path = Path("scan")

    def read(self) -> np.ndarray:
        return self.points


@pytest.fixture
def clip(moving_clip: Path) -> Clip:
    """The rendered clip, whose first frame has a scan of scattered points and no depth map."""
    clip = Folder(kind="folder", root=moving_clip).clips()[0]
    scattered = np.random.default_rng(0).uniform([-8, -3, 4], [8, 2, 30], (400, 3)).astype(np.float32)
    first = replace(clip.frames[0], depth=None, lidar=Points(scattered, ORIGIN))
    return replace(clip, frames=(first, *clip.frames[1:]))


@pytest.mark.parametrize("beams", NUMBERS)
def test_what_is_kept_and_what_is_left_are_the_whole_scan(clip: Clip, beams: int) -> None:
    frame = clip.frames[0]
    ours, others = beam_depth(clip, frame, beams), other_depth(clip, frame, beams)
    nearest = torch.where((ours > 0) & (others > 0), torch.minimum(ours, others), ours + others)
    torch.testing.assert_close(nearest, measured_depth(clip, frame))
    assert beams < 4 or (ours > 0).any()
    assert (others > 0).any() == (beams < 64)


def test_training_sees_scans_alone_and_validation_takes_maps_first(clip: Clip) -> None:
    mapped = clip.frames[1]
    assert not beam_depth(clip, mapped, 4).any()
    torch.testing.assert_close(other_depth(clip, mapped, 4), measured_depth(clip, mapped))


def test_beams_of_a_clip_without_scans_are_an_error(clip: Clip) -> None:
    check_scans([clip])
    bare = replace(clip, frames=clip.frames[1:])
    with pytest.raises(InputError, match=r"data\.beams chooses .* clip folder/moving_clip .* has no scan"):
        check_scans([clip, bare])


def scans(data: Path, kind: str) -> Clip:
    if kind == "kitti_raw":
        source = KittiRaw(kind="kitti_raw", root=data / "kitti_raw", drives=["2011_09_26_drive_0052_sync"])
        return source.clips()[0]
    if kind == "ddad":
        clips = Ddad(kind="ddad", root=data / "ddad_format").clips()
        return next(clip for clip in clips if any(frame.lidar for frame in clip.frames))
    return Folder(kind="folder", root=data / "clips" / "kitti360_3000").clips()[0]


@pytest.mark.parametrize("kind", ["kitti_raw", "ddad", "kitti360"])
def test_real_scans_thin_out_with_their_beams(data: Path, kind: str) -> None:
    clip = scans(data, kind)
    frame = next(frame for frame in clip.frames if frame.lidar is not None)
    counts = [int((beam_depth(clip, frame, beams) > 0).sum()) for beams in NUMBERS]
    assert counts == sorted(counts)
    assert counts[1] > 0
    assert counts[-1] == int((measured_depth(clip, replace(frame, depth=None)) > 0).sum())
    assert counts[1] < 0.2 * counts[-1]
    torch.testing.assert_close(beam_depth(clip, frame, 4), beam_depth(clip, frame, 4), rtol=0, atol=0)
