"""Depth consistency: an exact world, closed forms, what is hidden, gradients in float64."""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter

import pytest
import torch
import world
from batches import make_batch, make_outputs
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.objectives.depth_consistency import DepthConsistency, depth_consistency
from packdepth.objectives.term import masked_mean

CAMERA = Camera(20.0, 20.0, 11.5, 7.5, 24, 16)


def shifted(x: float = 0.0, z: float = 0.0) -> Tensor:
    T = torch.eye(4, dtype=torch.float64)[None].clone()
    T[0, 0, 3], T[0, 2, 3] = x, z
    return T


def flat(depth: float) -> Tensor:
    return torch.full((1, 1, 16, 24), 1 / depth, dtype=torch.float64)


def in_the_world(offset: int, scale: float = 1.0) -> Tensor:
    """The loss of the true depth of two frames of the rendered world, times a factor, with their true motion."""
    target, context = (torch.from_numpy(scale * world.render(i)[1])[None, None] for i in (2, 2 + offset))
    T = torch.from_numpy(world.relative_pose(2 + offset, 2))[None]
    error, valid = depth_consistency(1 / target, 1 / context, T, world.CAMERA)
    assert valid.float().mean() > 0.6
    return masked_mean(error, valid)


@pytest.mark.parametrize("offset", [-2, -1, 1, 2])
def test_true_depth_and_motion_agree_at_the_true_scale_alone(offset: int) -> None:
    exact = in_the_world(offset)
    assert exact < 1e-3  # where wall meets ground inverse depth is not linear
    assert in_the_world(offset, 0.7) > 5 * exact
    assert in_the_world(offset, 1.4) > 5 * exact


def test_a_wall_in_closed_form() -> None:
    """5 m ahead; the camera goes 1 m nearer, where the network says 3 m: |4 - 3| / (4 + 3)."""
    error, valid = depth_consistency(flat(5), flat(3), shifted(z=-1), CAMERA)
    torch.testing.assert_close(error[valid], torch.full_like(error[valid], 1 / 7))
    # The image grows by 5/4 about its center: what was within four fifths of it is still in view.
    u, v = torch.meshgrid(torch.arange(24), torch.arange(16), indexing="xy")
    inside = ((u - 11.5).abs() * 1.25 <= 11.5) & ((v - 7.5).abs() * 1.25 <= 7.5)
    assert torch.equal(valid[0, 0], inside)


def test_depth_and_inverse_depth_give_the_same() -> None:
    error, _ = depth_consistency(flat(4), flat(6), shifted(), CAMERA)
    other, _ = depth_consistency(flat(6), flat(4), shifted(), CAMERA)
    torch.testing.assert_close(error, other)


def test_points_behind_others_and_behind_the_camera_do_not_count() -> None:
    """A post at 2 m before a wall at 20 m; the camera goes 0.4 m to the left, so the post moves 4 pixels right."""
    inv_depth = flat(20)
    inv_depth[..., 8:12] = 1 / 2
    context = flat(20)
    context[..., 12:16] = 1 / 2
    error, valid = depth_consistency(inv_depth, context, shifted(x=0.4), CAMERA)
    hidden = ~valid[0, 0, 8]
    assert hidden.nonzero().flatten().tolist() == [12, 13, 14, 15, 23]  # behind the post; beyond the border
    assert error[..., 12:16].min() > 0.5  # which would count, were they not left out
    assert valid[..., 8:12].all()
    assert error[..., 8:12].max() < 1e-9
    _, behind = depth_consistency(inv_depth, context, shifted(z=-2.5), CAMERA)
    assert not behind[..., 8:12].any()


def test_gradients_in_float64() -> None:
    generator = torch.Generator().manual_seed(0)
    target, context = 0.2 + 0.1 * torch.rand(2, 1, 1, 16, 24, generator=generator, dtype=torch.float64)
    T = shifted(0.13, -0.31)
    _, valid = depth_consistency(target, context, T, CAMERA)
    inputs = (target.requires_grad_(), context.requires_grad_(), T.requires_grad_())

    def error(target: Tensor, context: Tensor, T: Tensor) -> Tensor:
        return depth_consistency(target, context, T, CAMERA)[0][valid][::7]  # the mask is a constant

    assert torch.autograd.gradcheck(error, inputs)


def test_the_term_is_the_mean_over_frames_and_samples() -> None:
    batch = make_batch(dtype=torch.float64)
    outputs = make_outputs(batch)
    context = torch.stack([outputs.inv_depths[0].roll(1, 0), 1.5 * outputs.inv_depths[0]], dim=1)
    expected = [
        masked_mean(
            *depth_consistency(
                outputs.inv_depths[0][b : b + 1],
                context[b : b + 1, n],
                outputs.T_context_target[b : b + 1, n],
                batch.camera.map(itemgetter(slice(b, b + 1))),
            )
        )
        for b in range(2)
        for n in range(2)
    ]
    loss = DepthConsistency()(replace(outputs, context_inv_depths=context), batch)
    torch.testing.assert_close(loss, torch.stack(expected).mean())
    assert loss > 0.01
