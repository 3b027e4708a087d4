"""Errors of ego-motion in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from packdepth.evaluation.ego_motion import constant_motion, ego_motion_errors, measured_motion
from packdepth.geometry.camera import Camera
from packdepth.records import Clip, Frame
from packdepth.sources.files import ImageFile


def motions(count: int = 6) -> Tensor:
    """T_next_current [N, 4, 4]: mostly ahead, turning a little."""
    rng = np.random.default_rng(0)
    T = np.tile(np.eye(4), (count, 1, 1))
    T[:, :3, :3] = Rotation.from_rotvec(0.05 * rng.standard_normal((count, 3))).as_matrix()
    T[:, :3, 3] = [0.1, -0.05, -1.2] + 0.1 * rng.standard_normal((count, 3))
    return torch.from_numpy(T)


def scaled(T: Tensor, factor: float) -> Tensor:
    result = T.clone()
    result[:, :3, 3] *= factor
    return result


def clip(poses: Sequence[np.ndarray | None]) -> Clip:
    frames = tuple(Frame(str(i), i / 10, ImageFile(Path(str(i))), pose=pose) for i, pose in enumerate(poses))
    return Clip("clip", Path(), Camera(1.0, 1.0, 0.0, 0.0, 1, 1), frames)


def test_ground_truth_has_no_error() -> None:
    found = ego_motion_errors(motions().float(), motions())  # networks predict float32
    assert (found.translation, found.translation_scaled) == pytest.approx((0, 0), abs=1e-6)
    assert (found.scale, found.length_ratio) == pytest.approx((1, 1))
    assert found.rotation == pytest.approx(0, abs=1e-4)
    assert found.motions == 6
    assert found.distance == pytest.approx(np.linalg.norm(motions()[:, :3, 3], axis=1).sum())


def test_a_factor_is_forgiven_after_scaling() -> None:
    found = ego_motion_errors(scaled(motions(), 2.0), motions())
    assert found.translation == pytest.approx(1)
    assert found.translation_scaled == pytest.approx(0, abs=1e-12)
    assert (found.scale, found.length_ratio) == pytest.approx((0.5, 2))


def test_going_backward_is_not_forgiven() -> None:
    found = ego_motion_errors(scaled(motions(), -0.5), motions())
    assert found.translation == pytest.approx(1.5)
    assert found.translation_scaled == pytest.approx(2)


def test_rotations_are_compared_in_degrees() -> None:
    predicted = motions()
    turn = Rotation.from_rotvec([[0, angle, 0] for angle in (1, 2, 3, 1, 2, 3)], degrees=True).as_matrix()
    predicted[:, :3, :3] = predicted[:, :3, :3] @ torch.from_numpy(turn)
    assert ego_motion_errors(predicted, motions()).rotation == pytest.approx(2)


def test_standing_frames() -> None:
    measured = motions()
    measured[2:, :3, 3] = 0
    predicted = scaled(motions(), 1.1)
    found = ego_motion_errors(predicted, measured)
    assert found.length_ratio == pytest.approx(1.1)  # of the two that moved
    rest = predicted[2:, :3, 3].norm(dim=-1).sum().item()
    assert found.translation == pytest.approx((0.1 * found.distance + rest) / found.distance)


def test_a_network_that_predicts_no_motion() -> None:
    found = ego_motion_errors(torch.eye(4).expand(6, 4, 4), motions())
    assert (found.translation, found.translation_scaled, found.length_ratio) == pytest.approx((1, 1, 0))


def test_measured_motion_maps_the_current_camera_into_the_next() -> None:
    poses = [np.eye(4)]  # T_world_camera
    for T_next_current in motions().numpy():
        poses.append(poses[-1] @ np.linalg.inv(T_next_current))
    found = measured_motion(clip(list(poses)))
    assert found is not None
    torch.testing.assert_close(found, motions())


@pytest.mark.parametrize("poses", [[None, None], [np.eye(4), None, np.eye(4)], [np.eye(4)] * 3, [np.eye(4)]])
def test_clips_that_tell_no_motion(poses: list[np.ndarray | None]) -> None:
    assert measured_motion(clip(poses)) is None


def test_gaps_in_time_are_no_motion() -> None:
    """Frames half a second apart of a clip of ten frames a second are no neighbors."""
    poses = [np.eye(4), np.eye(4)]
    poses[1][2, 3] = 3.0
    apart = clip(poses)
    apart = replace(apart, frames=(apart.frames[0], replace(apart.frames[1], time=0.5)))
    torch.testing.assert_close(measured_motion(apart), torch.from_numpy(np.linalg.inv(poses[1]))[None])
    assert measured_motion(replace(apart, interval=0.1)) is None


def test_the_constant_motion() -> None:
    found = constant_motion(motions())
    assert torch.equal(found[:, :3, :3], torch.eye(3, dtype=torch.float64).expand(6, 3, 3))
    torch.testing.assert_close(found[:, :3, 3], motions()[:, :3, 3].mean(0).expand(6, 3))
    assert ego_motion_errors(found, motions()).translation < 0.3
