"""Direct image alignment, in the rendered world where depth and motion are known."""

from __future__ import annotations

import pytest
import torch
import world
from torch import Tensor

from packdepth.geometry import se3
from packdepth.geometry.align import aligned


def frames(first: int, second: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Image, following image, inverse depth and T_following_image, float32."""
    (image, depth), (following, _) = world.render(first), world.render(second)
    one, other = (torch.from_numpy(x).permute(2, 0, 1)[None].float() for x in (image, following))
    T = torch.from_numpy(world.relative_pose(second, first))[None].float()
    return one, other, 1 / torch.from_numpy(depth)[None, None].float(), T


@pytest.mark.parametrize("factor", [0.6, 0.93, 1.0, 1.31, 1.8])
@pytest.mark.parametrize("places", [(1, 2), (3, 2)])
def test_a_wrong_length_is_put_right(factor: float, places: tuple[int, int]) -> None:
    image, following, inv_depth, T = frames(*places)
    wrong = se3.with_length(T, factor * T[:, :3, 3].norm(dim=-1))
    found = aligned(image, following, inv_depth, wrong, world.CAMERA)
    torch.testing.assert_close(found, T, atol=0.05 * world.STEP, rtol=0)


def test_it_has_the_scale_of_the_depth() -> None:
    image, following, inv_depth, T = frames(1, 2)
    found = aligned(image, following, inv_depth / 1.5, T, world.CAMERA)
    assert found[0, :3, 3].norm().item() == pytest.approx(1.5 * world.STEP, rel=0.05)


def test_direction_and_rotation_are_put_right_too() -> None:
    image, following, inv_depth, T = frames(1, 2)
    off = torch.tensor([[0.15, -0.05, 0.1, 0.01, -0.015, 0.01]])
    found = aligned(image, following, inv_depth, se3.from_vector(off) @ T, world.CAMERA)
    torch.testing.assert_close(found[:, :3, 3], T[:, :3, 3], atol=0.05 * world.STEP, rtol=0)
    torch.testing.assert_close(found[:, :3, :3], T[:, :3, :3], atol=2e-3, rtol=0)


def test_motion_is_found_from_a_standstill() -> None:
    image, following, inv_depth, T = frames(1, 2)
    found = aligned(image, following, inv_depth, torch.eye(4)[None], world.CAMERA)
    torch.testing.assert_close(found, T, atol=0.05 * world.STEP, rtol=0)


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_depth_and_guess_in_another_unit_give_the_motion_in_that_unit(factor: float) -> None:
    image, following, inv_depth, T = frames(1, 2)
    guess = se3.with_length(T, 0.7 * T[:, :3, 3].norm(dim=-1))
    found = aligned(image, following, inv_depth, guess, world.CAMERA)
    guess[:, :3, 3] *= factor
    other = aligned(image, following, inv_depth / factor, guess, world.CAMERA)
    torch.testing.assert_close(other[:, :3, 3] / factor, found[:, :3, 3], atol=1e-3 * world.STEP, rtol=0)
    torch.testing.assert_close(other[:, :3, :3], found[:, :3, :3], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("gain", "offset"), [(1.2, 0.0), (0.8, 0.05), (1.0, 0.1)])
def test_exposure_does_not_matter(gain: float, offset: float) -> None:
    image, following, inv_depth, T = frames(1, 2)
    found = aligned(image, gain * following + offset, inv_depth, torch.eye(4)[None], world.CAMERA)
    torch.testing.assert_close(found, T, atol=0.02 * world.STEP, rtol=0)


@pytest.mark.parametrize("color", [0.0, 1.0])
@pytest.mark.parametrize("right", [True, False])
def test_what_moves_by_itself_hardly_matters(color: float, right: bool) -> None:
    """A black or white strip drives along at the left; the guess is right, or a standstill."""
    image, following, inv_depth, T = frames(1, 2)
    following[..., : following.shape[-1] // 10] = color
    found = aligned(image, following, inv_depth, T if right else torch.eye(4)[None], world.CAMERA)
    torch.testing.assert_close(found, T, atol=0.1 * world.STEP, rtol=0)


def test_where_images_tell_nothing_the_guess_stays() -> None:
    image, following, inv_depth, T = frames(1, 2)
    blank = torch.full_like(image, 0.5)
    torch.testing.assert_close(aligned(blank, blank, inv_depth, T, world.CAMERA), T)
    behind = se3.from_vector(torch.tensor([[0.0, 0.0, -500.0, 0.0, 0.0, 0.0]]))
    torch.testing.assert_close(aligned(image, following, inv_depth, behind, world.CAMERA), behind)


def test_each_pair_of_a_batch_is_aligned_by_itself() -> None:
    first, second = frames(1, 2), frames(3, 2)
    images, others, inv_depths, _ = (torch.cat(pair) for pair in zip(first, second, strict=True))
    found = aligned(images, others, inv_depths, torch.eye(4).expand(2, 4, 4), world.CAMERA)
    for index, (image, following, inv_depth, _) in enumerate((first, second)):
        alone = aligned(image, following, inv_depth, torch.eye(4)[None], world.CAMERA)
        torch.testing.assert_close(found[index : index + 1], alone, atol=1e-5, rtol=0)
