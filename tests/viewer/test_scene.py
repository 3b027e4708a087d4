"""The scene of a frame: its points, their colors and limits, and the first view."""

from __future__ import annotations

import numpy as np
import pytest
import world

from packdepth.geometry.camera import Camera
from packdepth.viewer.scene import (
    MAX_POINTS,
    MEASURED_COLOR,
    Material,
    cloud_of,
    colorings,
    depth_colors,
    matched,
    shot_of,
    start_reach,
    start_view,
    thinning,
)

FAR = (0.0, 1e3)


def material(error: float = 0.0) -> Material:
    """The world, whose depth is predicted too far by a relative error and measured at every fourth pixel."""
    image, depth = world.render(0)
    measured = np.zeros_like(depth, dtype=np.float32)
    measured[::4, ::4] = depth[::4, ::4]
    reliable = np.ones(depth.shape, bool)
    reliable[:, 0] = False
    return Material(
        camera=world.CAMERA,
        image=(image * 255).astype(np.uint8),
        depth=((1 + error) * depth).astype(np.float32),
        reliable=reliable,
        measured=measured,
        classes=np.zeros(depth.shape, np.uint8),
    )


def test_points_lie_on_the_world_in_the_axes_of_the_camera() -> None:
    shot = shot_of("0", material(), (0.01, 1.0), metric=True)
    points, colors = cloud_of(shot, "image", FAR, (0.01, 1.0), all_points=True)[:2]
    assert len(points) == world.CAMERA.width * world.CAMERA.height
    height, wall = points[:, 1] - 1.5, points[:, 2] - (world.WALL - world.START[0])  # y points down, to the ground
    assert np.minimum(np.abs(height), np.abs(wall)).max() < 1e-4
    assert np.array_equal(colors, material().image.reshape(-1, 3))  # type: ignore[union-attr]


def test_limits_and_reliability_choose_the_points() -> None:
    shot = shot_of("0", material(), (0.01, 1.0), metric=True)
    points = cloud_of(shot, "depth", (3.0, 6.0), (0.01, 1.0)).points
    depth = world.render(0)[1][:, 1:]  # the first column is not reliable
    assert len(points) == np.count_nonzero((depth >= 3) & (depth <= 6))
    assert points[:, 2].min() >= 3
    assert points[:, 2].max() <= 6


def test_error_shows_the_measured_points_and_is_red_where_prediction_is_too_far() -> None:
    shot = shot_of("0", material(error=0.5), (0.01, 1.0), metric=True)
    points, colors = cloud_of(shot, "error", FAR, (0.01, 1.0))[:2]
    assert len(points) == (world.CAMERA.width // 4) * (world.CAMERA.height // 4)
    assert np.unique(colors, axis=0).tolist() == [[200, 40, 40]]
    assert shot.measured is not None
    assert shot.measured.errors == pytest.approx(0.5, abs=1e-5)


def test_only_what_is_known_can_be_shown() -> None:
    known = material()
    assert colorings(shot_of("0", known, (0.01, 1.0), True)) == ("image", "depth", "error", "class")
    bare = Material(known.camera, depth=known.depth)
    assert colorings(shot_of("0", bare, (0.01, 1.0), True)) == ("depth",)
    lidar = Material(known.camera, image=known.image, measured=known.measured)
    assert colorings(shot_of("0", lidar, (0.01, 1.0), True)) == ("image", "depth")
    assert list(shot_of("0", lidar, (0.01, 1.0), True).pictures) == ["image", "measured depth"]


def test_measured_depth_takes_the_unknown_unit_of_predicted_depth() -> None:
    scene = material()
    assert scene.measured is not None
    assert scene.depth is not None
    assert matched(scene.measured * 7, scene.depth) == pytest.approx(scene.measured, rel=1e-5)


def test_large_images_are_thinned() -> None:
    camera = Camera.from_fov(90, width=1920, height=1080)
    shot = shot_of("0", Material(camera, depth=np.full((1080, 1920), 5.0, np.float32)), (0.1, 0.3), True)
    assert shot.predicted is not None
    assert MAX_POINTS / 2 < len(shot.predicted.places) <= MAX_POINTS
    assert shot.predicted.places[1, 0] - shot.predicted.places[0, 0] == pytest.approx(thinning(camera) * 5 / camera.fx)
    assert shot.pictures["predicted depth"].shape[0] == 360


def test_the_first_view_is_behind_and_above_the_camera_and_looks_ahead() -> None:
    shot = shot_of("0", material(), depth_colors(material()), True)
    reach, greatest = start_reach(shot)
    assert 0 < reach <= greatest == pytest.approx(world.WALL - world.START[0])
    position, aim = start_view(shot)
    assert position[2] < 0 < aim[2]
    assert position[1] < 0  # y points down
    assert MEASURED_COLOR[1] > MEASURED_COLOR[0]
