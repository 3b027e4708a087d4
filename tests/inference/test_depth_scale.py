"""The length of ego-motion from depth, in the rendered world where both are known."""

from __future__ import annotations

import pytest
import torch
import world
from torch import Tensor

from packdepth.geometry import se3
from packdepth.inference.depth_scale import scaled_by_depth


def frames(first: int, second: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Image, following image, inverse depth and T_following_image, float32."""
    (image, depth), (following, _) = world.render(first), world.render(second)
    images = [torch.from_numpy(x).permute(2, 0, 1)[None].float() for x in (image, following)]
    T = torch.from_numpy(world.relative_pose(second, first))[None].float()
    return *images, 1 / torch.from_numpy(depth)[None, None].float(), T


@pytest.mark.parametrize("factor", [0.6, 0.93, 1.0, 1.31, 1.8])
@pytest.mark.parametrize("places", [(1, 2), (3, 2)])
def test_a_wrong_length_is_put_right(factor: float, places: tuple[int, int]) -> None:
    image, following, inv_depth, T = frames(*places)
    wrong = se3.with_length(T, factor * T[:, :3, 3].norm(dim=-1))
    found = scaled_by_depth(image, following, inv_depth, wrong, world.CAMERA)
    torch.testing.assert_close(found, T, atol=0.05 * world.STEP, rtol=0)


def test_it_has_the_scale_of_the_depth() -> None:
    image, following, inv_depth, T = frames(1, 2)
    found = scaled_by_depth(image, following, inv_depth / 1.5, T, world.CAMERA)
    assert found[0, :3, 3].norm().item() == pytest.approx(1.5 * world.STEP, rel=0.05)


def test_where_images_tell_nothing_the_length_stays() -> None:
    image, following, inv_depth, T = frames(1, 2)
    blank = torch.full_like(image, 0.5)
    torch.testing.assert_close(scaled_by_depth(blank, blank, inv_depth, T, world.CAMERA), T)
    still = torch.eye(4)[None]
    torch.testing.assert_close(scaled_by_depth(image, following, inv_depth, still, world.CAMERA), still)
    behind = se3.from_vector(torch.tensor([[0.0, 0.0, -500.0, 0.0, 0.0, 0.0]]))
    torch.testing.assert_close(scaled_by_depth(image, following, inv_depth, behind, world.CAMERA), behind)
