"""Pose networks: counts, the order of time, the start."""

from __future__ import annotations

import pytest
import torch

from packdepth.geometry import se3
from packdepth.networks.ego_motion import PairPoseNetwork
from packdepth.networks.pose_resnet import PoseResNet, PoseResNetBlock
from packdepth.networks.posenet import PoseNet, PoseNetBlock
from packdepth.networks.twostream import TwoStreamBlock


@pytest.fixture(scope="module", params=[PoseNetBlock, PoseResNetBlock, TwoStreamBlock])
def network(request: pytest.FixtureRequest) -> PairPoseNetwork:
    torch.manual_seed(0)
    pose: PairPoseNetwork = request.param().assemble().eval()
    return pose


def frames(network: PairPoseNetwork, *shape: int) -> torch.Tensor:
    """Random views [*shape, C, 64, 96]."""
    return torch.rand(*shape, 4 if network.uses_depth else 3, 64, 96)


def test_published_numbers_of_parameters() -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in PoseNet(images=3).parameters()) == 1_592_684
        assert sum(p.numel() for p in PoseResNet(18).parameters()) == 13_013_492 - 513_000  # less the classifier
        assert sum(p.numel() for p in PoseResNet(50).parameters()) == 27_274_228 - 2_049_000


def test_motion_back_in_time_is_the_inverse_of_motion_forward(network: PairPoseNetwork) -> None:
    a, b = frames(network, 2, 2)
    with torch.no_grad():
        T_b_a = network(a, b[:, None], (1,))[:, 0]
        T_a_b = network(b, a[:, None], (-1,))[:, 0]
    torch.testing.assert_close(T_a_b @ T_b_a, torch.eye(4).expand(2, 4, 4), atol=1e-6, rtol=0)
    assert (T_b_a - torch.eye(4)).abs().max() > 1e-5


def test_reversed_motion_is_seen_in_the_other_order(network: PairPoseNetwork) -> None:
    a, b = frames(network, 2, 2)
    with torch.no_grad():
        T_b_a = network.reversed_motion(a, b[:, None], (1,))[:, 0]
        as_if_b_were_earlier = network(a, b[:, None], (-1,))[:, 0]
        forward = network(a, b[:, None], (1,))[:, 0]
    assert torch.equal(T_b_a, as_if_b_were_earlier)
    assert not torch.equal(T_b_a, forward)


def test_context_frames_are_predicted_one_by_one(network: PairPoseNetwork) -> None:
    target, context = frames(network, 2), frames(network, 2, 2)
    with torch.no_grad():
        together = network(target, context, (-1, 1))
        apart = [network(target, context[:, i : i + 1], (offset,)) for i, offset in enumerate((-1, 1))]
    torch.testing.assert_close(together, torch.cat(apart, dim=1), atol=1e-5, rtol=1e-4)
    assert together.shape == (2, 2, 4, 4)


@pytest.mark.parametrize("kind", [PoseNet, PoseResNet])
def test_an_untrained_network_moves_forward_as_told(kind: type[PoseNet] | type[PoseResNet]) -> None:
    torch.manual_seed(0)
    network = kind(initial_forward=1.0).eval()
    with torch.no_grad():
        T = network(torch.rand(1, 3, 64, 96), torch.rand(1, 2, 3, 64, 96), (-1, 1))[0]
    for motion, z in zip(T, (1.0, -1.0), strict=True):
        # The camera moves along +z: points of the target move back in the next frame, forward in the previous one.
        torch.testing.assert_close(motion[:3, 3], torch.tensor([0.0, 0.0, z]), atol=0.1, rtol=0)
        assert se3.rotation_log(motion[:3, :3]).norm() < 0.1


def test_motion_stays_rigid_when_the_network_computes_in_bfloat16(network: PairPoseNetwork) -> None:
    target, context = frames(network, 1), frames(network, 1, 2)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        T = network(target, context, (-1, 1))[0]
    assert T.dtype == torch.float32
    torch.testing.assert_close(se3.inverse(T) @ T, torch.eye(4).expand(2, 4, 4), atol=1e-6, rtol=0)
    torch.testing.assert_close(T[:, :3, :3].det(), torch.ones(2), atol=1e-6, rtol=0)
