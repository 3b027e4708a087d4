"""Ego-motion from colors and inferred depth: its scale, its gradients, what it does not see."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
import torch
from present import present
from torch import Tensor

from packdepth.networks.ego_motion import views
from packdepth.networks.options import Sparsity
from packdepth.networks.twostream import (
    DepthEncoding,
    Fusion,
    TwoStreamBlock,
    TwoStreamPoseNet,
    encoded,
    mean_inv_depth,
)

FUSIONS: tuple[Fusion, ...] = get_args(Fusion)
ALL = pytest.mark.parametrize("fusion", FUSIONS)


def scene(scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Views of a target and two context frames, all depth times `scale`."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 3, 64, 96, generator=generator)
    inv_depths = 0.02 + 0.3 * torch.rand(2, 3, 1, 64, 96, generator=generator)
    both = views(images, inv_depths / scale)
    return both[:, 0], both[:, 1:]


def network(fusion: Fusion = "middle", **options: Any) -> TwoStreamPoseNet:
    torch.manual_seed(0)
    return TwoStreamBlock(fusion=fusion, initial_forward=0.5, **options).build().eval()


@ALL
@pytest.mark.parametrize("encoding", get_args(DepthEncoding))
def test_translation_has_the_scale_of_the_depth_exactly(fusion: Fusion, encoding: DepthEncoding) -> None:
    with torch.no_grad():
        T, larger = (network(fusion, encoding=encoding)(*scene(scale), (-1, 1)) for scale in (1.0, 8.0))
    torch.testing.assert_close(larger[..., :3, 3], 8 * T[..., :3, 3], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(larger[..., :3, :3], T[..., :3, :3], rtol=1e-4, atol=1e-6)
    assert T[..., :3, 3].abs().max() > 0.1


@ALL
def test_in_metres_it_has_not(fusion: Fusion) -> None:
    with torch.no_grad():
        T, larger = (network(fusion, unit="metre")(*scene(scale), (-1, 1)) for scale in (1.0, 2.0))
    assert not torch.allclose(larger, T, atol=1e-5)
    assert not torch.allclose(larger[..., :3, 3], 2 * T[..., :3, 3], rtol=0.1)


@ALL
@pytest.mark.parametrize("channel", range(4))
def test_every_channel_of_both_views_is_seen(fusion: Fusion, channel: int) -> None:
    pose, (target, context) = network(fusion), scene()
    changed, other = target.clone(), context.clone()
    changed[:, channel, :, ::2] *= 0.5
    other[:, :, channel, ::2] *= 0.5
    with torch.no_grad():
        T = pose(target, context, (-1, 1))
        assert not torch.allclose(pose(changed, context, (-1, 1)), T, atol=1e-6)
        assert not torch.allclose(pose(target, other, (-1, 1)), T, atol=1e-6)


@ALL
def test_gradients_reach_all_layers_and_depth_if_told(fusion: Fusion) -> None:
    for depth_gradient in (False, True):
        pose = network(fusion, depth_gradient=depth_gradient)
        target, context = (x.requires_grad_() for x in scene())
        pose(target, context, (-1, 1))[..., :3, :].square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().max() > 0 for p in pose.parameters() if p.dim() > 1)
        assert target.grad is not None
        assert target.grad[:, :3].abs().max() > 0
        assert (target.grad[:, 3:].abs().max() > 0) == depth_gradient


def test_early_fusion_is_a_network_of_eight_channels() -> None:
    early, middle, late = (sum(p.numel() for p in network(fusion).parameters()) for fusion in FUSIONS)
    assert early == 1_588_790 + 2 * 16 * 49  # PoseNet with two channels more
    assert early < middle < late < 2 * early


def test_an_untrained_network_moves_forward_by_the_depth_of_the_scene() -> None:
    (target, context), pose = scene(), network()
    with torch.no_grad():
        T = pose(target, context, (1, 1))
    inv_depths = torch.stack([target[:, 3], context[:, 0, 3]], dim=1)
    expected = -0.5 / (10 * inv_depths.mean((1, 2, 3)))
    torch.testing.assert_close(T[:, 0, 2, 3], expected, atol=0.2 * 0.5, rtol=0)


def test_unknown_depth_is_left_out_of_the_mean() -> None:
    inv_depth = torch.tensor([[0.1, 0.0], [0.3, 0.0]]).view(1, 1, 2, 2)
    assert mean_inv_depth(inv_depth).item() == pytest.approx(0.2)
    assert mean_inv_depth(torch.zeros(1, 2, 2, 2)).item() == pytest.approx(0.1)


@pytest.mark.parametrize("encoding", get_args(DepthEncoding))
def test_encodings_are_zero_at_the_mean_and_where_depth_is_unknown(encoding: DepthEncoding) -> None:
    shown = encoded(torch.tensor([0.0, 1.0, 2.0, 0.5]), encoding)
    assert shown[:2].tolist() == [0, 0]
    expected = {"log": [math.log(2), -math.log(2)], "inverse": [1.0, -0.5]}[encoding]
    assert shown[2:].tolist() == pytest.approx(expected)


@ALL
def test_it_works_with_pixels_lost_even_all_of_them(fusion: Fusion) -> None:
    pose = network(fusion, depth_gradient=True).train()
    for start in (0.9, 1.0):
        pose.sparsity = Sparsity(start=start)
        target, context = (x.requires_grad_() for x in scene())
        T = pose(target, context, (-1, 1))
        T.sum().backward()
        rotations = T[..., :3, :3]
        torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3).expand_as(rotations), atol=1e-5, rtol=0)
        expected = -0.5 / (10 * torch.stack([target[:, 3], context[:, 0, 3]], dim=1).mean((1, 2, 3)))
        torch.testing.assert_close(T[:, 1, 2, 3], expected, atol=0.1, rtol=0)  # still about as far as it begins
        assert present(target.grad)[:, 3:].abs().amax((1, 2, 3)).min() > 0
    with torch.no_grad():
        T = pose(torch.zeros(1, 4, 64, 96), torch.zeros(1, 1, 4, 64, 96), (1,))
    straight = torch.eye(4)
    straight[2, 3] = -0.5
    torch.testing.assert_close(T[0, 0], straight)
