"""Maps: what a camera sees of a plane while it moves fuses into the plane, and what has moved is left out."""

from __future__ import annotations

import numpy as np
import pytest
import world

from packdepth.errors import InputError
from packdepth.geometry.poses import from_first
from packdepth.geometry.voxels import Cloud
from packdepth.inference.fusion import VOXEL_SHARE, ClipMap, moved, relative_difference
from packdepth.inference.options import PointOptions
from packdepth.records import Prediction

OPTIONS = PointOptions(thin=0.25, max_depth=12, all_points=True)


def predictions(count: int = world.FRAMES, step: float = 1.0) -> list[Prediction]:
    """Exact depth of the world, whose plane lies 1.5 m below the camera, with poses relative to the first one."""
    poses = from_first(np.stack([world.pose(step * index) for index in range(count)]))
    found = []
    for index, pose in enumerate(poses):
        image, depth = world.render(step * index)
        with np.errstate(divide="ignore"):
            pixels = (image * 255).astype(np.uint8)
            known = depth.astype(np.float32)
            found.append(Prediction(known, 1 / known, True, "test", pixels, world.CAMERA, pose=pose))
    return found


def fused(each: list[Prediction], options: PointOptions = OPTIONS) -> tuple[Cloud, np.ndarray, float]:
    clip_map = ClipMap(options)
    for prediction in each:
        clip_map.add(prediction)
    return clip_map.finish()


def distance_to_the_world(points: np.ndarray) -> np.ndarray:
    """The distance of points in the first camera's frame to the plane or the wall, whichever is nearer."""
    return np.minimum(np.abs(points[:, 1] - 1.5), np.abs(points[:, 2] - (world.WALL - world.START[0])))


def test_a_plane_seen_from_a_moving_camera_fuses_into_the_plane() -> None:
    (points, _, _), views, size = fused(predictions())
    assert len(points) > 500
    assert size == 0.25
    assert distance_to_the_world(points).max() < 1e-5
    assert views.min() >= 2
    assert views.max() <= world.FRAMES
    assert len({tuple(cell) for cell in np.floor(points / size).astype(int).tolist()}) == len(points)


def test_the_unit_of_depth_scales_the_map() -> None:
    scaled = []
    for each in predictions():
        pose = np.asarray(each.pose).copy()
        pose[:3, 3] *= 0.1
        scaled.append(
            Prediction(each.depth / 10, each.inv_depth * 10, False, "none", each.image, each.camera, pose=pose)
        )
    (points, _, _), _, size = fused(scaled, PointOptions(max_depth=1.2, thin=0.023, all_points=True))
    expected = fused(predictions(), PointOptions(max_depth=12, thin=0.23, all_points=True))
    assert size == expected[2] / 10
    assert len(points) == pytest.approx(len(expected[1]), rel=0.02)
    assert (distance_to_the_world(10 * points) < 1e-4).all()


def test_an_object_that_moves_is_left_out() -> None:
    frames = predictions()
    for index, each in enumerate(frames):
        each.depth[8:30, 40 + 3 * index : 52 + 3 * index] = 5.0 - 0.6 * index  # it comes nearer than the camera goes
    (points, _, _), _, _ = fused(frames)
    assert (distance_to_the_world(points) < 1e-5).mean() > 0.98


def test_noise_of_single_frames_does_not_enter_the_map() -> None:
    frames = predictions()
    generator = np.random.default_rng(0)
    for each in frames:
        wrong = generator.random(each.depth.shape) < 0.1
        each.depth[wrong] *= generator.uniform(0.4, 0.8, int(wrong.sum())).astype(np.float32)
    (points, _, _), _, _ = fused(frames)
    assert (distance_to_the_world(points) < 0.1).mean() > 0.95


def test_a_standing_camera_adds_no_view() -> None:
    frames = predictions(2)
    clip_map = ClipMap(OPTIONS)
    for each in (frames[0], frames[0], frames[0], frames[1], frames[1]):
        clip_map.add(each)
    assert clip_map.views == 2
    assert moved(frames[0], frames[1])
    assert not moved(frames[0], frames[0])


def test_a_turn_is_another_view() -> None:
    (first,) = predictions(1)
    angle = np.radians(6)
    turned = np.eye(4)
    turned[[0, 0, 2, 2], [0, 2, 0, 2]] = np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)
    after = Prediction(first.depth, first.inv_depth, True, "test", first.image, first.camera, pose=turned)
    assert moved(first, after)


def test_frames_that_agree_on_nothing_give_no_map() -> None:
    frames = predictions(3)
    for index, each in enumerate(frames):
        each.depth[:] *= 2.0**index
    with pytest.raises(InputError, match="no two frames with motion between them agree on any point"):
        fused(frames)
    with pytest.raises(InputError, match="no two frames"):
        fused(predictions(1))


def test_differences_are_zero_where_the_other_frame_sees_the_same() -> None:
    first, second = predictions(2)
    points = first.points(max_depth=12)
    difference = relative_difference(points, second)
    seen = np.isfinite(difference)
    assert 0.5 < seen.mean() < 1
    assert np.median(np.abs(difference[seen])) < 0.02
    nearer = relative_difference(0.8 * points, first)
    np.testing.assert_allclose(np.nanmedian(nearer), 0.25, atol=0.01)  # seen through
    np.testing.assert_allclose(np.nanmedian(relative_difference(1.25 * points, first)), -0.2, atol=0.01)  # hidden
    assert np.isnan(relative_difference(-points, first)).all()  # behind the camera


def test_the_default_reach_and_voxel_follow_the_median_depth() -> None:
    frames = predictions()
    median = float(np.median(frames[0].depth))
    (points, _, _), _, size = fused(frames, PointOptions(all_points=True))
    assert size == pytest.approx(VOXEL_SHARE * median)
    assert points[:, 2].max() <= median + world.STEP * world.FRAMES
