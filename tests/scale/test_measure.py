"""The scale of a network that remembers depth 1.7 times too near: each source finds the factor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import world
from scale.conftest import DEPTH_FACTOR, FRAMES, HEIGHT, MOTION_FACTOR, SIZE

from packdepth.errors import InputError
from packdepth.inference.predictor import Predictor
from packdepth.records import Clip
from packdepth.scale.measure import measure, motion_lengths
from packdepth.scale.measurement import SOURCES, ScaleSource
from packdepth.scale.points import read_points

BASELINE = 0.5  # metres


@dataclass(frozen=True)
class MemoryScan:
    """A LiDAR scan in memory."""

    index: int
    path: Path = Path("scan")
    origin = np.zeros(3)

    def read(self) -> np.ndarray:
        return world.scan(self.index).astype(np.float32)


@dataclass(frozen=True)
class MemoryImage:
    """The image of the right camera of a pair in memory."""

    index: int
    path: Path = Path("right")

    def read(self) -> np.ndarray:
        return world.picture(self.index, right=BASELINE)


@pytest.fixture(scope="module")
def measured(clip: Clip) -> Clip:
    """The clip with a scan and a right image for each frame."""
    frames = (replace(frame, lidar=MemoryScan(i), right=MemoryImage(i)) for i, frame in enumerate(clip.frames))
    return replace(clip, frames=tuple(frames), baseline=BASELINE)


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tape-measured points: the straight distance from the lens."""
    path = tmp_path_factory.mktemp("points") / "points.csv"
    lines = ["frame,u,v,metres"]
    for index, u, v in ((0, 10, 40), (0, 60, 44), (3, 46, 38), (5, 80, 45), (7, 20, 10), (9, 90, 46)):
        x, y = (u - world.CAMERA.cx) / world.CAMERA.fx, (v - world.CAMERA.cy) / world.CAMERA.fy
        distance = world.render(index)[1][v, u] * np.sqrt(x**2 + y**2 + 1)
        lines.append(f"{index:06d},{u},{v},{distance:.4f}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("source", "count", "tolerance"),
    [
        ("points", 6, 1e-3),
        ("lidar", FRAMES, 1e-3),
        ("depth", FRAMES, 2e-3),
        ("speed", FRAMES - 1, 0.03),  # alignment on 48 x 96 pixels
        ("poses", FRAMES - 1, 0.03),
        ("stereo", FRAMES, 0.03),
        ("camera height", FRAMES - 1, 0.03),
    ],
)
def test_every_source_finds_the_factor_of_depth(
    predictor: Predictor, measured: Clip, points: Path, source: ScaleSource, count: int, tolerance: float
) -> None:
    (found,) = measure(predictor, [measured], [source], points=read_points(points, [measured]))
    assert found.source == source
    assert (len(found.factors), found.tried) == (count, count)
    assert found.factor == pytest.approx(DEPTH_FACTOR, rel=tolerance)
    assert found.problem is None


def test_lengths_of_motion_have_the_scale_of_depth_and_the_networks_own(predictor: Predictor, clip: Clip) -> None:
    pairs = list(motion_lengths(predictor, [clip]))
    assert [pair.own for pair in pairs] == pytest.approx([world.STEP / MOTION_FACTOR] * (FRAMES - 1), rel=1e-5)
    assert np.median([pair.aligned for pair in pairs]) == pytest.approx(world.STEP / DEPTH_FACTOR, rel=0.03)
    (speed,) = measure(predictor, [clip], ["speed"])
    assert speed.motion_factor == pytest.approx(MOTION_FACTOR, rel=1e-4)


@pytest.mark.parametrize("source", ["speed", "poses"])
def test_a_network_that_predicts_no_motion_measures_none(
    predictor: Predictor, clip: Clip, source: ScaleSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor.pose, "scale", 0.0)
    assert {pair.own for pair in motion_lengths(predictor, [clip])} == {0.0}
    (found,) = measure(predictor, [clip], [source])
    assert (found.frames, found.tried, found.motion_factor) == (0, FRAMES - 1, None)
    assert found.problem == "the pose network predicts no motion"
    assert str(found) == f"{source}: the pose network predicts no motion"


def test_a_pair_without_predicted_motion_is_left_out(
    predictor: Predictor, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    motions, still = predictor.motions, iter([True])

    def first_one_still(images: list[np.ndarray]) -> Iterator[np.ndarray]:
        *others, found = motions(images)
        yield from others
        found[:3, 3] *= not next(still, False)
        yield found

    monkeypatch.setattr(predictor, "motions", first_one_still)
    (found,) = measure(predictor, [clip], ["speed"])
    assert (found.frames, found.tried) == (FRAMES - 2, FRAMES - 1)
    assert found.motion_factor == pytest.approx(MOTION_FACTOR, rel=1e-4)


def test_all_offered_sources_are_measured_in_order(predictor: Predictor, measured: Clip) -> None:
    assert [each.source for each in measure(predictor, [measured])] == list(SOURCES[1:])
    bare = replace(
        measured,
        camera_height=None,
        frames=tuple(
            replace(frame, speed=None, pose=None, depth=None, lidar=None, right=None) for frame in measured.frames
        ),
    )
    assert measure(predictor, [bare]) == []
    (height,) = measure(predictor, [bare], height=2 * HEIGHT)
    assert height.factor == pytest.approx(2 * DEPTH_FACTOR, rel=0.03)


def test_frames_are_spread_evenly_and_only_targets(predictor: Predictor, clip: Clip) -> None:
    (found,) = measure(predictor, [clip], ["depth"], frames=4)
    assert [name.split("/")[-1] for name in found.names] == ["000001", "000004", "000007", "000010"]
    targets = replace(clip, targets=frozenset({"000002", "000003"}))
    (found,) = measure(predictor, [targets], ["depth"])
    assert [name.split("/")[-1] for name in found.names] == ["000002", "000003"]


def test_a_frame_without_speed_breaks_its_pairs_alone(predictor: Predictor, clip: Clip) -> None:
    frames = tuple(replace(frame, speed=None) if i == 4 else frame for i, frame in enumerate(clip.frames))
    (found,) = measure(predictor, [replace(clip, frames=frames)], ["speed"])
    assert len(found.factors) == FRAMES - 3


def test_a_standing_camera_measures_no_length(predictor: Predictor, clip: Clip) -> None:
    frames = tuple(replace(frame, image=clip.frames[0].image, speed=0.0) for frame in clip.frames)
    assert measure(predictor, [replace(clip, frames=frames)], ["speed"]) == []


def test_an_unknown_camera_leaves_depth_maps_alone(predictor: Predictor, measured: Clip) -> None:
    unknown = replace(measured, missing_camera=Path("camera.yaml"))
    assert [each.source for each in measure(predictor, [unknown])] == ["depth"]


def test_without_ground_no_height_is_measured(predictor: Predictor, clip: Clip) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictor.depth, "inv_depths", torch.full((FRAMES, 1, *SIZE), 0.1))
        (found,) = measure(predictor, [clip], ["camera height"])
    assert (len(found.factors), found.tried) == (0, FRAMES - 1)
    assert found.problem == f"only 0 of {FRAMES - 1} are frames with a visible road, but 5 are needed"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,u,v\n", "lacks the column metres"),
        ("frame,u,v,metres\n", "holds no point"),
        ("frame,u,v,metres\n000099,1,1,2\n", "line 2: frame: '000099' is not among the frames, such as 000000"),
        ("frame,u,v,metres\n000000,96,1,2\n", "line 2: u, v: (96, 1) lies outside of the image of 96x48 pixels"),
        ("frame,u,v,metres\n000000,1,1,-2\n", "line 2: metres: is -2; give the distance"),
        ("frame,u,v,metres\n000000,1,one,2\n", "line 2: v: must be a number (found 'one')"),
    ],
)
def test_points_that_cannot_be_used_are_named(clip: Clip, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "points.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_points(path, [clip])
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_a_frame_of_two_clips_is_named_with_its_clip(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("frame,u,v,metres\n000000,1,1,2\n")
    other = replace(clip, name="folder/other")
    with pytest.raises(InputError, match="is in 2 clips; write it as clip/frame, such as folder/drive/000000"):
        read_points(path, [clip, other])
    path.write_text("frame,u,v,metres\nfolder/other/000000,1,1,2\n")
    assert read_points(path, [clip, other])[0].clip is other
