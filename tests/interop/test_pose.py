"""packnet-sfm's pose networks: Euler angles, three frames at once, pairs in no order of time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from packdepth.config import parse_run
from packdepth.errors import InputError
from packdepth.geometry import se3
from packdepth.inference.predictor import PAIRS, Predictor
from packdepth.interop.pose import PacknetSfmPoseNet, PacknetSfmPoseResNet, from_euler

from .conftest import Golden

ANGLES = st.floats(-7, 7)


@given(ANGLES, ANGLES, ANGLES)
def test_euler_angles_turn_about_z_then_y_then_x(x: float, y: float, z: float) -> None:
    T = from_euler(torch.tensor([1.0, 2.0, 3.0, x, y, z], dtype=torch.float64))
    np.testing.assert_allclose(T[:3, :3], Rotation.from_euler("XYZ", [x, y, z]).as_matrix(), atol=1e-12)
    assert T[:, 3].tolist() == [1, 2, 3, 1]
    assert T[3].tolist() == [0, 0, 0, 1]


def test_the_gradient_of_euler_angles() -> None:
    vector = torch.randn(2, 3, 6, dtype=torch.float64, generator=torch.manual_seed(0)).requires_grad_()
    torch.autograd.gradcheck(from_euler, vector)
    torch.autograd.gradcheck(from_euler, torch.zeros(6, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("name", ["posenet", "poseresnet_18"])
def test_euler_angles_of_the_reference(reference: Golden, name: str) -> None:
    values = reference.values(name)
    T = from_euler(torch.from_numpy(values["pose_vec"])[:, 0])
    torch.testing.assert_close(T, torch.from_numpy(values["pose_mat"]), rtol=0, atol=1e-6)


def predictor(golden_run: dict[str, Any], pose: torch.nn.Module) -> Predictor:
    run = parse_run(golden_run, "test")
    return Predictor(run, None, torch.nn.Identity(), pose, torch.device("cpu"))  # type: ignore[arg-type]


RUN = {
    "data": {"train": [{"kind": "folder", "root": "/clips"}], "image_size": [64, 64]},
    "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
    "objective": [{"kind": "photometric"}],
    "training": {"epochs": 1},
}


def frames(number: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (number, 64, 64, 3), dtype=np.uint8))


def as_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).float().permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("number", [3, 4, PAIRS + 1, PAIRS + 2, 2 * PAIRS + 5])
def test_ego_motion_by_three_frames(number: int) -> None:
    torch.manual_seed(0)
    network, images = PacknetSfmPoseNet().eval(), frames(number)
    motions = predictor(RUN, network).ego_motion(iter(images))
    assert motions.shape == (number - 1, 4, 4)

    def seen(target: int) -> torch.Tensor:
        before, frame, after = (as_tensor(images[target + i]) for i in (-1, 0, 1))
        with torch.no_grad():
            return network(frame, torch.stack([before, after], dim=1), (-1, 1))[0].double()

    np.testing.assert_allclose(motions[0], se3.inverse(seen(1)[0]), atol=1e-6)
    for target in range(1, number - 1):
        np.testing.assert_allclose(motions[target], seen(target)[1], atol=1e-6)
    assert np.ptp(motions, axis=0).max() > 1e-4


@pytest.mark.parametrize("step", [2, 3, PAIRS + 1])
def test_three_frames_that_are_apart_are_those_of_a_slower_video(step: int) -> None:
    torch.manual_seed(0)
    network, images = predictor(RUN, PacknetSfmPoseNet().eval()), frames(4 * step + 1)
    motions = list(network.motions(images, step=step))
    assert len(motions) == len(images) - step
    for first in range(step):
        np.testing.assert_allclose(motions[first::step], network.ego_motion(images[first::step]), atol=1e-6)
    with pytest.raises(InputError, match=f"give at least {3 * step} images"):
        list(network.motions(images[: 3 * step - 1], step=step))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_three_frames_are_needed(number: int) -> None:
    with pytest.raises(InputError, match="give at least 3 images"):
        predictor(RUN, PacknetSfmPoseNet().eval()).ego_motion(frames(number))


def test_ego_motion_by_target_and_context() -> None:
    torch.manual_seed(0)
    network, images = PacknetSfmPoseResNet(18).eval(), frames(3)
    motions = predictor(RUN, network).ego_motion(images)
    a, b, c = (as_tensor(image) for image in images)
    with torch.no_grad():
        both = network(b, torch.stack([a, c], dim=1), (-1, 1))[0].double()
        backward = from_euler(network.pair_motion(torch.cat([b, a], dim=1)))[0].double()
    np.testing.assert_allclose(motions[1], both[1], atol=1e-6)
    np.testing.assert_allclose(both[0], backward, atol=1e-6)  # not the inverse of the motion forward
    assert not np.allclose(motions[0], se3.inverse(both[0]), atol=1e-6)


def test_images_may_be_files(tmp_path: Path) -> None:
    from PIL import Image

    for index, image in enumerate(frames(3)):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    network = PacknetSfmPoseNet().eval()
    motions = predictor(RUN, network).ego_motion(sorted(tmp_path.iterdir()))
    np.testing.assert_array_equal(motions, predictor(RUN, network).ego_motion(frames(3)))
