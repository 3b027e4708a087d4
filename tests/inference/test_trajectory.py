"""The trajectory of a clip: measured where depth is metric, otherwise predicted, over as much time as in training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import world
from described import described
from torch import Tensor, nn

from packdepth.config import parse_run
from packdepth.evaluation.predictions import PredictorPredictions
from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.geometry.poses import chained, from_first
from packdepth.inference.predictor import Predictor
from packdepth.inference.trajectory import frame_step, neighbor_motions, trajectory, trajectory_origin
from packdepth.networks.ego_motion import PairPoseNetwork
from packdepth.records import Clip, Frame
from packdepth.sources.open import open_clips

MEASURED = from_first(np.stack([world.pose(index) for index in range(world.FRAMES)]))
CAMERA = Camera.from_fov(60.0, 64, 32)


class Numbered:
    """An image whose gray tells its number."""

    path = Path("numbered.png")

    def __init__(self, number: int) -> None:
        self.number = number

    def read(self) -> np.ndarray:
        return np.full((32, 64, 3), self.number, dtype=np.uint8)


class Learned(PairPoseNetwork):
    """Predicts exact motions between frames `step` apart; between all others it errs, as a network that learned them.

    Args:
        poses: T_world_camera [N, 4, 4].
        step: number of frames.
    """

    def __init__(self, poses: np.ndarray, step: int) -> None:
        super().__init__()
        self.poses, self.step = poses, step

    def forward(self, target: Tensor, context: Tensor, offsets: tuple[int, ...]) -> Tensor:
        first, second = ((255 * each.mean((-3, -2, -1))).round().long().flatten().numpy() for each in (target, context))
        T = np.linalg.inv(self.poses[second]) @ self.poses[first]
        T[:, :3, 3] *= (self.step / (second - first))[:, None]
        return torch.from_numpy(T)[:, None]


def drive(motions: list[list[float]], rate: float = 30.0) -> Clip:
    """A clip without known poses, of one more frame than there are motions."""
    frames = tuple(Frame(str(index), index / rate, Numbered(index)) for index in range(len(motions) + 1))
    return Clip("test/drive", Path("drive"), CAMERA, frames)


def poses_of(motions: list[list[float]]) -> np.ndarray:
    """The poses [N + 1, 4, 4] of motions as six-vectors."""
    return chained(se3.from_vector(torch.tensor(motions, dtype=torch.float64)).numpy())


def learned(poses: np.ndarray, step: int, frame_interval: float | None = None) -> Predictor:
    """A predictor that was trained with frames `step` apart."""
    run = parse_run(
        {
            "data": {
                "train": [{"kind": "folder", "root": "/clips"}],
                "image_size": [32, 64],
                "context": [-step, step],
            },
            "networks": {"depth": {"kind": "depth_resnet"}, "pose": {"kind": "posenet"}},
            "objective": [{"kind": "photometric"}],
            "training": {"epochs": 1},
        },
        "test",
    )
    meta = described(frame_interval=frame_interval)
    return Predictor(run, meta, nn.Identity(), Learned(poses, step), torch.device("cpu"))


TURN = [0.02, -0.01, -0.8, 0.01, 0.03, -0.005]  # metres and radians a frame


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("count", [4, 5, 6, 7, 20])
def test_a_constant_motion_that_was_learned_over_several_frames_is_exact(step: int, count: int) -> None:
    motions = [TURN] * (count - 1)
    poses = poses_of(motions)
    clip, predictor = drive(motions), learned(poses, step)
    np.testing.assert_allclose(list(trajectory(predictor, clip, None)), poses, atol=1e-9)
    found = PredictorPredictions("learned", predictor).ego_motion(clip, [frame.image.read() for frame in clip.frames])
    assert found is not None
    np.testing.assert_allclose(chained(found), poses, atol=1e-9)


@pytest.mark.parametrize(("step", "error"), [(1, 1e-9), (2, 0.02), (3, 0.05)])
def test_a_changing_motion_is_near(step: int, error: float) -> None:
    """The camera brakes from 24 m/s to 2 m/s in 4 s, in a curve that becomes narrow and wide again."""
    phase = np.linspace(0, np.pi, 121)
    motions = [[0, 0, -0.44 - 0.37 * np.cos(each), 0, 0.02 * np.sin(each), 0] for each in phase]
    poses = poses_of(motions)
    found = np.stack(list(trajectory(learned(poses, step), drive(motions), None)))
    assert np.linalg.norm(found[:, :3, 3] - poses[:, :3, 3], axis=1).max() < error


def test_without_the_step_of_the_training_the_path_is_too_long() -> None:
    """This is the fault that the step prevents, and what `ego_motion` of neighbors still does."""
    motions = [[0, 0, -0.8, 0, 0, 0]] * 12
    clip, predictor = drive(motions), learned(poses_of(motions), 3)
    images = [frame.image.read() for frame in clip.frames]
    assert predictor.frame_step == 3
    assert chained(predictor.ego_motion(images))[-1, 2, 3] == pytest.approx(3 * 12 * 0.8)
    assert chained(predictor.ego_motion(images[:: predictor.frame_step]))[-1, 2, 3] == pytest.approx(12 * 0.8)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_frames_of_a_short_clip_are_as_far_apart_as_it_allows(count: int) -> None:
    motions = [TURN] * (count - 1)
    clip, predictor = drive(motions), learned(poses_of(motions), 5)
    predictor.pose = Learned(poses_of(motions), count - 1)  # exact between the first frame and the last
    np.testing.assert_allclose(list(trajectory(predictor, clip, None)), poses_of(motions), atol=1e-9)


@pytest.mark.parametrize(
    ("rate", "interval", "expected"),
    [
        (30.0, 1 / 30, 3),
        (10.0, 1 / 30, 1),  # neighbors are 0.1 s apart, as three frames in training
        (60.0, 1 / 30, 6),
        (2.0, 1 / 30, 1),
        (10.0, None, 3),  # older checkpoints do not record the frame rate
    ],
)
def test_frames_are_as_far_apart_in_time_as_in_training(rate: float, interval: float | None, expected: int) -> None:
    motions = [TURN] * 12
    predictor = learned(poses_of(motions), 3, interval)
    assert frame_step(predictor, drive(motions, rate)) == expected
    assert frame_step(predictor, drive([], rate)) == 3  # a single frame has no rate
    assert frame_step(predictor, replace(drive(motions, rate), times_assumed=True)) == 3


def test_a_gap_in_time_spoils_no_motion_beside_it() -> None:
    """Before the gap there are five frames, and five behind it; the camera moves by 100 m in between."""
    steps = [[0, 0, -0.8, 0, 0, 0]] * 4
    motions = [*steps, [0, 0, -100.0, 0, 0, 0], *steps]
    clip = drive(motions)
    frames = tuple(replace(f, time=f.time + 5 * (i > 4)) for i, f in enumerate(clip.frames))
    clip = replace(clip, frames=frames)
    found = [T[2, 3] for T in neighbor_motions(learned(poses_of(motions), 3), clip)]
    assert found[:4] + found[5:] == pytest.approx([-0.8] * 8)


def test_measured_poses_are_used_and_without_them_motion_is_predicted(predictor: Predictor, moving_clip: Path) -> None:
    (clip,) = open_clips(moving_clip)
    assert np.allclose(list(trajectory(predictor, clip, clip.camera)), MEASURED)
    assert trajectory_origin(predictor, clip, clip.camera) == "measured poses"
    bare = replace(clip, frames=tuple(replace(frame, pose=None) for frame in clip.frames))
    motions = predictor.motions(frame.image.read() for frame in bare.frames)
    assert np.allclose(list(trajectory(predictor, bare, None)), chained(motions))
    assert trajectory_origin(predictor, bare, None) == "predicted motion, not aligned with depth"
    assert trajectory_origin(predictor, bare, clip.camera) == "predicted motion, aligned with predicted depth"
