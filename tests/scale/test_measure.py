"""The scale of a network that remembers depth 1.7 times too near: each source finds the factor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import world
from present import present
from scale.conftest import DEPTH_FACTOR, FRAMES, HEIGHT, MOTION_FACTOR, SIZE

from packdepth.checkpoint import is_metric
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.geometry.lens import BrownConrady, KannalaBrandt, Lens
from packdepth.inference.predictor import Predictor, load
from packdepth.records import Clip, Frame
from packdepth.scale.measure import measure, motion_lengths
from packdepth.scale.measurement import SOURCES, ScaleSource
from packdepth.scale.points import read_points
from packdepth.sources.undistort import undistorted

BASELINE = 0.5  # metres
STEP = world.STEP


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


def test_without_ground_no_height_is_measured(folder: Path, clip: Clip) -> None:
    predictor = load(folder, "cpu")
    predictor.depth.inv_depths = torch.full((FRAMES, 1, *SIZE), 0.1)
    (found,) = measure(predictor, [clip], ["camera height"])
    assert (len(found.factors), found.tried) == (0, FRAMES - 1)
    assert found.problem == f"only 0 of {FRAMES - 1} are frames with a visible road, but 5 are needed"


SLOW = 0.5  # metres per second, of a robot


@dataclass(frozen=True)
class NoisyImage:
    """An image in memory with noise of 2 levels of 255."""

    index: int
    path: Path = Path("image")

    def read(self) -> np.ndarray:
        noise = np.random.default_rng(self.index).normal(0, 2, (*SIZE, 3))
        return (world.picture(self.index) + noise).round().clip(0, 255).astype(np.uint8)


def slow_clip(clip: Clip, rate: float, moves: bool = True) -> Clip:
    """Return 2 seconds of a slow camera, the first one of targets, with noise of 5 mm in poses and of 5 % in speeds.

    Without motion, the noise is that of GPS, 5 cm and 0.1 m/s. `world.STEP` must be that of the camera.
    """
    random, frames = np.random.default_rng(1), []
    for index in range(round(2 * rate)):
        pose = world.pose(index if moves else 0)
        pose[:3, 3] += random.normal(0, 0.005 if moves else 0.05, 3)
        speed = max(random.normal(SLOW, 0.05 * SLOW) if moves else random.normal(0, 0.1), 0.0)
        image = NoisyImage(index) if moves else MemoryImage(0)
        frames.append(Frame(f"{index:06d}", index / rate, image, speed=speed, pose=pose))
    targets = frozenset(frame.name for frame in frames if frame.time < 1)
    return replace(clip, frames=tuple(frames), targets=targets, interval=None)


def remembering(folder: Path, clip: Clip, factor: float, step: float) -> Predictor:
    """Return networks that predict depth, and motion of `step` metres, too long by a factor."""
    predictor = load(folder, "cpu")
    images = np.stack([frame.image.read() for frame in clip.frames]).transpose(0, 3, 1, 2) / 255
    depths = np.stack([world.render(index, clip.camera)[1] for index in range(len(clip.frames))])[:, None]
    predictor.depth.images = torch.from_numpy(images).float()
    predictor.depth.inv_depths = torch.from_numpy(1 / (factor * depths)).float()
    present(predictor.pose).scale = factor * step * MOTION_FACTOR / STEP
    return predictor


@pytest.mark.parametrize("rate", [10.0, 30.0])
def test_the_depth_of_a_slow_camera_is_metric_if_it_is_right(
    folder: Path, clip: Clip, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "STEP", SLOW / rate)
    slow = slow_clip(clip, rate)
    for factor, metric in ((1.0, True), (1.2, False)):
        predictor = remembering(folder, slow, factor, world.STEP)
        measurements = measure(predictor, [slow], ["speed", "poses"], frames=6)
        assert [(found.frames, found.tried) for found in measurements] == [(6, 6)] * 2
        for found in measurements:
            assert found.factor == pytest.approx(1 / factor, rel=0.06)
            assert found.motion_factor == pytest.approx(1 / factor, rel=0.06)
            assert is_metric(f"velocity ({found.source})", [found.check(held_out=True)]) is metric


def test_pairs_of_a_slow_camera_are_the_nearest_that_move_within_a_second(
    folder: Path, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "STEP", SLOW / 30)
    slow = slow_clip(clip, 30)
    predictor = remembering(folder, slow, 1.0, world.STEP)
    pairs = list(motion_lengths(predictor, [slow], frames=6, source="speed"))
    assert all(0.3 < pair.second / 30 - pair.first / 30 <= 1 for pair in pairs)
    assert [pair.own for pair in pairs] == pytest.approx([(p.second - p.first) * world.STEP for p in pairs], rel=1e-4)
    late = tuple(replace(frame, time=frame.time + 5 * (i > 20)) for i, frame in enumerate(slow.frames))
    across = [
        (pair.first, pair.second)
        for pair in motion_lengths(predictor, [replace(slow, frames=late)], frames=8)
        if pair.first <= 20 < pair.second
    ]
    assert across == []


def test_noise_of_a_standing_camera_measures_no_length(folder: Path, clip: Clip) -> None:
    standing = slow_clip(clip, 10, moves=False)
    predictor = remembering(folder, standing, 1.0, SLOW / 10)
    assert measure(predictor, [standing], ["speed", "poses"]) == []


LENSES = [BrownConrady(-0.25), KannalaBrandt(0.05, -0.01)]


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: lens.name)
def test_points_are_pixels_of_the_distorted_image_on_disk(folder: Path, clip: Clip, lens: Lens, tmp_path: Path) -> None:
    clip = undistorted(replace(clip, lens=lens))
    predictor = remembering(folder, clip, 1 / DEPTH_FACTOR, STEP)
    lines = ["frame,u,v,metres"]
    for index, u, v in ((0, 10, 40), (0, 84, 40), (3, 12, 42), (5, 80, 41), (7, 30, 44), (9, 14, 39)):
        distorted = torch.tensor([(u - world.CAMERA.cx) / world.CAMERA.fx, (v - world.CAMERA.cy) / world.CAMERA.fy])
        x, y = lens.undistort(distorted.double())[0].tolist()
        z = world.render(index, Camera(fx=1, fy=1, cx=-x, cy=-y, width=1, height=1))[1].item()  # one pixel, that ray
        lines.append(f"{index:06d},{u},{v},{z * np.sqrt(x**2 + y**2 + 1):.4f}")
    path = tmp_path / "points.csv"
    path.write_text("\n".join(lines) + "\n")
    (found,) = measure(predictor, [clip], ["points"], points=read_points(path, [clip]))
    assert found.factors == pytest.approx([DEPTH_FACTOR] * 6, rel=0.03)  # half a pixel of a row
    path.write_text("frame,u,v,metres\n000000,0,0,5\n")
    with pytest.raises(InputError, match=r"line 2: u, v: \(0, 0\) is cut off where the lens is undistorted"):
        read_points(path, [clip])


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
