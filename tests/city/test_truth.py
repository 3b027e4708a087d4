"""Everything that is said of a frame agrees: colors, depth, poses, stereo, LiDAR, classes, instances, motion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from packdepth.city.drive import Drive, Recipe, Shot
from packdepth.classes import PALETTE, Label
from packdepth.geometry import lidar
from packdepth.geometry.warp import synthesize
from packdepth.objectives.photometric import photometric_error

KINDS = ({Label.CAR}, {Label.TRUCK}, {Label.PERSON}, {Label.RIDER, Label.BICYCLE})


def tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].double() / 255


def residual(drive: Drive, target: Shot, sources: list[Tensor], T_source_target: list[np.ndarray]) -> Tensor:
    """Photometric error [H, W] of the target against its best synthesis from the sources; NaN where none sees it."""
    camera = drive.recipe.camera.map(lambda value: torch.tensor([value], dtype=torch.float64))
    depth = torch.from_numpy(np.where(target.depth > 0, target.depth, 1e3))[None, None].double()
    errors = []
    for source, T in zip(sources, T_source_target, strict=True):
        view = synthesize(source, depth, torch.from_numpy(T)[None], camera)
        errors.append(photometric_error(view.image[:, None], tensor(target.image))[0, 0])
        errors[-1][~view.valid[0, 0]] = torch.inf
    best = torch.stack(errors).amin(0)
    return torch.where(best.isinf(), torch.nan, best)


def test_depth_and_poses_rebuild_a_frame_from_its_neighbors(drive: Drive, shots: list[Shot]) -> None:
    before, target, after = shots
    still = torch.from_numpy(~target.moving & ~before.moving & ~after.moving & (target.depth > 0))
    images = [tensor(before.image), tensor(after.image)]
    motions = [np.linalg.inv(source.pose) @ target.pose for source in (before, after)]
    true = residual(drive, target, images, motions)[still].nanmean()
    assert true < residual(drive, target, images, [np.eye(4)] * 2)[still].nanmean() / 3.5
    for factor in (0.8, 1.25):  # a wrong depth fits worse than the true one
        wrong = replace(target, depth=target.depth * np.float32(factor))
        assert residual(drive, wrong, images, motions)[still].nanmean() > 1.8 * true


def test_the_right_image_is_the_left_one_through_the_depth(drive: Drive, shots: list[Shot]) -> None:
    target = shots[1]
    assert target.right is not None
    T = np.eye(4)
    T[0, 3] = -0.54  # T_right_left
    right = [tensor(target.right)]
    seen = torch.from_numpy(target.depth > 0)
    true = residual(drive, target, right, [T])[seen].nanmean()
    assert true < residual(drive, target, right, [np.eye(4)])[seen].nanmean() / 2.5


def test_the_scan_lies_on_the_depth(drive: Drive, shots: list[Shot]) -> None:
    shot = shots[1]
    assert shot.lidar is not None
    assert shot.lidar.dtype == np.float32
    sparse = lidar.depth_map(torch.from_numpy(shot.lidar), drive.recipe.camera)[0].numpy()
    both = (sparse > 0) & (shot.depth > 0)
    assert 0.1 < both.mean() < 0.6
    error = np.abs(sparse - shot.depth)[both] / shot.depth[both]
    assert np.median(error) < 0.01
    assert np.percentile(error, 85) < 0.05
    assert (shot.lidar[:, 2] < 0).any()  # all around the car


def test_the_pose_moves_at_the_speed(drive: Drive) -> None:
    for frame in range(1, len(drive)):
        step = np.linalg.norm(drive.ego.pose(frame)[:3, 3] - drive.ego.pose(frame - 1)[:3, 3]) * 10
        speed = (drive.ego.speed(frame) + drive.ego.speed(frame - 1)) / 2
        assert step == pytest.approx(speed, rel=0.02)
        R = drive.ego.pose(frame)[:3, :3]
        np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(R) == pytest.approx(1)


def test_the_lead_car_keeps_its_distance(drive: Drive, shots: list[Shot]) -> None:
    leader = drive.traffic.leader
    assert leader is not None
    depths = []
    for shot in shots:
        on_leader = shot.instance == leader
        assert on_leader.sum() > 30
        assert shot.moving[on_leader].all()
        assert set(np.unique(shot.semantic[on_leader])) <= {Label.CAR, Label.TRUCK}
        depths.append(np.median(shot.depth[on_leader]))
    assert np.ptp(depths) < 0.05


def test_classes_and_instances(shots: list[Shot]) -> None:
    shot = shots[1]
    assert shot.semantic.max() < len(PALETTE) == 19
    assert set(np.unique(shot.semantic)) >= {Label.ROAD, Label.SIDEWALK, Label.BUILDING, Label.VEGETATION, Label.SKY}
    np.testing.assert_array_equal(shot.depth == 0, shot.semantic == Label.SKY)
    for number in np.unique(shot.instance)[1:]:
        labels = set(np.unique(shot.semantic[shot.instance == number]))
        assert any(
            labels <= kind for kind in ({Label.CAR}, {Label.TRUCK}, {Label.PERSON}, {Label.RIDER, Label.BICYCLE})
        )
    assert not (shot.moving & (shot.instance == 0)).any()


def test_the_road_is_where_the_camera_stands_above(drive: Drive, shots: list[Shot]) -> None:
    shot, camera = shots[1], drive.recipe.camera
    depth = torch.from_numpy(shot.depth)[None, None].double()
    points = camera.unproject(depth)[0].permute(1, 2, 0).numpy()[shot.semantic == Label.ROAD]
    world = points @ shot.pose[:3, :3].T + shot.pose[:3, 3]
    assert np.abs(world[:, 2]).max() < 0.02  # metres; the road's height is 0


def test_all_around() -> None:
    drive = Drive(Recipe(frames=1, height=32, width=64, baseline=None, scanner=None, views=("front", "back")))
    front, back = drive.shot(0, "front"), drive.shot(0, "back")
    np.testing.assert_allclose(front.pose[:3, 2], -back.pose[:3, 2], atol=0.02)  # they look opposite ways
    assert front.right is None
    assert front.lidar is None
    assert (back.depth > 0).mean() > 0.5
