"""Depth, LiDAR, stereo and poses that cannot be right: what the motion of the images says about each."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import world
from arrays import Array
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from packdepth.data.faults import check_faults, faults
from packdepth.data.measured_depth import TURNED, Pair, depth_fault, motion_of
from packdepth.data.optical_flow import Flow
from packdepth.data.pose_jumps import jump_fault
from packdepth.data.stereo_pairs import stereo_fault
from packdepth.data.teacher_maps import teacher_maps
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.records import Clip, Frame
from packdepth.sources.files import DepthPng

CAMERA = Camera(fx=160.0, fy=160.0, cx=160.0, cy=100.0, width=320, height=200)
BASELINE = 0.5  # metres
STEP = 0.8  # of a frame of the world: 0.4 metres
FRAMES = 7


def picture(index: float, right: float = 0.0) -> np.ndarray:
    """Return the image of a moment of the world, [H, W, 3] uint8."""
    return world.detailed(index, CAMERA, right)


@pytest.fixture(scope="module")
def clip() -> Clip:
    """A drive with right images, LiDAR of each pixel, speeds and poses."""
    return world.detailed_clip(CAMERA, FRAMES, STEP, world.RATE, BASELINE)


def changed(clip: Clip, change: Callable[[int, Frame], Frame]) -> Clip:
    """Return a clip with every frame changed."""
    return replace(clip, frames=tuple(change(number, frame) for number, frame in enumerate(clip.frames)))


def with_points(clip: Clip, change: Callable[[np.ndarray], np.ndarray]) -> Clip:
    """Return a clip with other points."""
    return changed(clip, lambda _, f: f if f.lidar is None else replace(f, lidar=Array(change(f.lidar.read()))))


def test_sound_measurements_have_no_fault(clip: Clip) -> None:
    assert faults(clip) == []
    check_faults([clip], frozenset({"truth", "right", "distance"}))


WRONG_POINTS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "y upwards": (lambda p: p * [1, -1, 1], "its measured depth is upside down"),
    "centimetres": (lambda p: p * 100, r"motions that are \d+ times as long .*centimetres"),
    "millimetres": (lambda p: p * 1000, r"motions that are [\d.e+]+ times as long .*millimetres"),
    "depth maps in millimetres": (lambda p: p * 1000 / 256, r"motions that are [34]\.\d+ times .*in millimetres"),
}


@pytest.mark.parametrize("wrong", WRONG_POINTS)
def test_depth_of_another_frame_or_unit_is_found_and_not_trained_on(clip: Clip, wrong: str) -> None:
    change, text = WRONG_POINTS[wrong]
    broken = with_points(clip, change)
    with pytest.raises(InputError, match=text):
        check_faults([broken], frozenset({"truth"}))
    check_faults([broken], frozenset({"right", "distance"}))  # what a training does not use may be wrong


def test_depth_that_contradicts_the_height_of_the_camera_is_found_without_speeds(clip: Clip) -> None:
    alone = changed(clip, lambda _, f: replace(f, speed=None, pose=None))
    assert depth_fault(replace(alone, camera_height=1.5)) is None
    fault = depth_fault(with_points(replace(alone, camera_height=1.5), lambda p: p * 1000 / 256))
    assert fault is not None
    assert re.search(r"the ground is 5\.[89]\d m below the camera, 3\.9 times the 1\.5 m", fault.found)
    fault = depth_fault(with_points(alone, lambda p: p * 100))
    assert fault is not None
    assert re.search(r"the ground is 1(49|5\d)\.\d\d m below the camera", fault.found)


Written = Callable[[np.ndarray], np.ndarray]
MILLIMETRES = (
    r"makes motions that are [34]\.\d+ times as long .*\(depth maps in millimetres\?\); write PNGs as metres x 256"
)
WRONG_MAPS: dict[str, tuple[Written, bool, bool, str]] = {  # what depth becomes, inverse, metric, and the sentence
    "inverse depth": (
        lambda z: 90 / z,
        False,
        False,
        r"is inverted \(inverse depth\?\): .*; set inverse: true in the term",
    ),
    "shifted": (
        lambda z: 90 / z + 5,
        False,
        False,
        r"is inverted \(inverse depth\?\): .*; set inverse: true in the term",
    ),
    "depth": (lambda z: z, True, False, r"is inverted \(depth\?\): .*; remove inverse: true from the term teacher"),
    "turned over": (
        lambda z: z[::-1],
        False,
        False,
        "is upside down: .*; write maps whose rows and columns are those of",
    ),
    "turned inverse": (lambda z: 1 / z[::-1], True, False, "is upside down: .*, the upper row first"),
    "millimetres": (lambda z: z * 1000 / 256, False, True, MILLIMETRES),
}


def taught(clip: Clip, folder: Path, write: Written, inverse: bool, metric: bool, step: int = 1) -> None:
    """Check maps of the depth of a clip, of every `step`-th pixel, as a training does."""
    for number, frame in enumerate(clip.frames):
        values = write(world.render(number * STEP, CAMERA)[1][::step, ::step])
        arrays: dict[str, Any] = {"inv_depth" if inverse else "depth": values, "metric": metric}
        np.savez(folder / f"{frame.name}.npz", **arrays)
    teacher_maps(folder, [clip], inverse, metric).check([(clip, index) for index in range(FRAMES)])


@pytest.mark.parametrize("wrong", WRONG_MAPS)
def test_a_teachers_maps_are_checked_as_measured_depth_is(clip: Clip, tmp_path: Path, wrong: str) -> None:
    write, inverse, metric, text = WRONG_MAPS[wrong]
    with pytest.raises(InputError, match=rf"^a: the depth of the teacher's maps in {tmp_path} {text}"):
        taught(clip, tmp_path, write, inverse, metric)


def test_a_metric_teacher_is_held_against_the_height_of_the_camera(clip: Clip, tmp_path: Path) -> None:
    alone = replace(changed(clip, lambda _, f: replace(f, speed=None, pose=None)), camera_height=1.5)
    with pytest.raises(InputError, match=rf"maps in {tmp_path}, the ground is 5\.\d+ m below the camera, 3\.9 times"):
        taught(alone, tmp_path, lambda z: z * 1000 / 256, False, True)


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize(
    ("write", "inverse", "metric"),
    [
        (lambda z: z, False, True),
        (lambda z: z * 1000 / 256, False, False),  # shape alone counts
        (lambda z: 1 / z, True, False),
        (lambda z: 65535 * (1 / z - (1 / z).min()), True, False),  # scale and shift of relative depth are free
        (lambda z: 1 / z + np.median(1 / z), True, False),
    ],
)
def test_sound_maps_of_a_teacher_pass(
    clip: Clip, tmp_path: Path, write: Written, inverse: bool, metric: bool, step: int
) -> None:
    taught(clip, tmp_path, write, inverse, metric, step)


def test_noisy_depth_below_a_blank_sky_is_not_called_upside_down(clip: Clip) -> None:
    rng = np.random.default_rng(0)

    def noisy(_: int, frame: Frame) -> Frame:
        assert frame.lidar is not None
        image, points = frame.image.read().copy(), frame.lidar.read()
        image[: CAMERA.height // 2 - 4] = 200
        below = points[points[:, 1] > 0.02 * points[:, 2]]
        noise = np.exp(rng.normal(0, 2, (len(below), 1)))
        return replace(frame, image=Array(image), lidar=Array(below * noise), speed=None, pose=None)

    assert depth_fault(changed(clip, noisy)) is None


@settings(max_examples=20, deadline=None)
@given(
    motion=st.tuples(*[st.floats(-0.5, 0.5)] * 2, st.floats(0.3, 2.0)),
    rotation=st.tuples(*[st.floats(-0.01, 0.01)] * 3),
    unit=st.sampled_from([1.0, 0.01, 1000.0]),
    seed=st.integers(0, 99),
)
def test_flow_and_depth_give_the_motion_in_the_unit_of_depth(
    motion: tuple[float, ...], rotation: tuple[float, ...], unit: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(np.arange(10, 310, 20), np.arange(10, 190, 20)), -1).reshape(-1, 2).astype(float)
    depth = rng.uniform(4, 40, len(places))
    rays = np.concatenate([(places - 100) / 160 - [0.375, 0], np.ones((len(places), 1))], -1)
    points = rays * depth[:, None]
    moved = (points - np.array(motion)) @ Rotation.from_rotvec(rotation).as_matrix()
    vectors = moved[:, :2] / moved[:, 2:] * 160 + [160, 100] - places
    pair = Pair(Flow(places, vectors, np.ones(len(places), dtype=bool)), points, CAMERA, None)
    found = motion_of(pair, points * unit)
    assert found is not None
    assert np.linalg.norm(found[0]) == pytest.approx(np.linalg.norm(motion) * unit, rel=0.05)
    assert found[1] < 0.1
    inverted = points / points[:, 2:] ** 2
    wrong, right = (motion_of(pair, each) for each in (inverted, TURNED["inverted"](inverted)))
    assert wrong is not None
    assert right is not None
    assert right[1] < 0.1 < wrong[1]


def test_the_largest_value_of_a_depth_map_is_no_depth(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.array([[0, 512, 65534, 65535]], dtype=np.uint16)).save(path)
    assert DepthPng(path).read().tolist() == [[0.0, 2.0, 65534 / 256, 0.0]]


def test_copies_of_the_left_images_are_no_right_images(clip: Clip) -> None:
    fault = stereo_fault(changed(clip, lambda _, f: replace(f, right=f.image)))
    assert fault is not None
    assert "copies of the left ones" in fault.found


@pytest.mark.parametrize("late", [-1, 1])
def test_right_images_of_another_moment_are_found(clip: Clip, late: int) -> None:
    fault = stereo_fault(changed(clip, lambda n, f: replace(f, right=Array(picture((n + late) * STEP, BASELINE)))))
    assert fault is not None
    assert f"frames {'later' if late > 0 else 'earlier'}" in fault.found
    assert float(fault.found.split("are ")[1].split()[0]) == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("rows", [-2, 3])
def test_images_that_are_not_rectified_are_found(clip: Clip, rows: int) -> None:
    moved = changed(
        clip, lambda _, f: f if f.right is None else replace(f, right=Array(np.roll(f.right.read(), rows, 0)))
    )
    with pytest.raises(InputError, match=rf"left and right images lie {abs(rows)}\.0 rows apart"):
        check_faults([moved], frozenset({"right"}))


@pytest.mark.parametrize("jump", [30.0, -500.0])
def test_a_jump_of_poses_is_named_by_its_frame(clip: Clip, jump: float) -> None:
    shift = np.zeros((4, 4))
    shift[0, 3] = jump
    broken = changed(clip, lambda n, f: replace(f, speed=None, pose=world.pose(n * STEP) + shift * (n >= 4)))
    fault = jump_fault(broken)
    assert fault is not None
    assert f"jump by {abs(jump + 0.4):.3g} m before frame 000004, and by 0.4 m else" in fault.found
    with pytest.raises(InputError, match="before frame 000004"):
        check_faults([broken], frozenset({"distance"}))
    parted = replace(broken, frames=broken.frames[:4] + tuple(replace(f, time=f.time + 9) for f in broken.frames[4:]))
    assert jump_fault(parted) is None  # a gap in time is no neighborhood
