"""View synthesis against kornia, against a rendered world and against closed forms."""

from __future__ import annotations

import kornia
import pytest
import torch
import world
from present import present
from torch import Tensor
from torch.autograd import gradcheck

from packdepth.errors import InputError
from packdepth.geometry import se3, warp
from packdepth.geometry.camera import Camera

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
CAMERA = Camera(fx=10.0, fy=11.0, cx=5.5, cy=3.75, width=12, height=8)


def identity(batch: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.eye(4, dtype=dtype).repeat(batch, 1, 1)


def translation(x: float, y: float, z: float) -> Tensor:
    T = identity()
    T[0, :3, 3] = torch.tensor([x, y, z])
    return T


def smooth(batch: int, channels: int, height: int, width: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """A smooth image [batch, channels, height, width], different in each channel and sample."""
    v, u = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    phase = torch.arange(batch * channels).view(batch, channels, 1, 1)
    return (0.5 + 0.4 * torch.sin(0.4 * u + 0.3 * v + phase)).to(dtype)


def rendered(index: int) -> tuple[Tensor, Tensor]:
    """Image [1, 3, H, W] and depth [1, 1, H, W] of a frame of the world."""
    image, depth = world.render(index)
    return torch.from_numpy(image).permute(2, 0, 1)[None], torch.from_numpy(depth)[None, None]


def error(image: Tensor, target: Tensor, valid: Tensor) -> float:
    """Mean absolute difference over valid pixels."""
    return (image - target).abs().mean(1, keepdim=True)[valid].mean().item()


@DTYPES
@pytest.mark.parametrize("context", [1, 3], ids=["next", "third"])
def test_true_depth_and_motion_rebuild_the_target(context: int, dtype: torch.dtype) -> None:
    image, depth = (tensor.to(dtype) for tensor in rendered(0))
    other = rendered(context)[0].to(dtype)
    T_context_target = torch.from_numpy(world.relative_pose(context, 0))[None].to(dtype)
    rebuilt, valid = warp.synthesize(other, depth, T_context_target, world.CAMERA)
    assert rebuilt.dtype == dtype
    assert valid.double().mean() > 0.6
    explained = error(rebuilt, image, valid)
    assert explained < 0.02
    assert explained < error(other, image, valid) / 5
    # The wrong direction, the wrong scale and the wrong depth all explain less.
    backwards = warp.synthesize(other, depth, se3.inverse(T_context_target), world.CAMERA)
    far = warp.synthesize(other, depth * 2, T_context_target, world.CAMERA)
    for wrong in (backwards, far):
        assert error(wrong.image, image, wrong.valid & valid) > 3 * explained


def test_a_frame_behind_sees_the_whole_target() -> None:
    """The camera drives ahead, so the frame before shows all that the next one shows: every pixel is valid."""
    image, depth = rendered(1)
    T_context_target = torch.from_numpy(world.relative_pose(0, 1))[None]
    rebuilt, valid = warp.synthesize(rendered(0)[0], depth, T_context_target, world.CAMERA)
    assert valid.all()
    assert error(rebuilt, image, valid) < 0.02


@DTYPES
def test_synthesis_agrees_with_kornia(dtype: torch.dtype) -> None:
    context, depth = smooth(2, 3, 8, 12, dtype), 4 + 3 * smooth(2, 1, 8, 12, dtype)
    vector = torch.tensor([[0.3, -0.1, 0.2, 0.02, -0.03, 0.05], [-0.2, 0.1, -0.5, 0.0, 0.04, -0.02]], dtype=dtype)
    T = se3.from_vector(vector)
    rebuilt, valid = warp.synthesize(context, depth, T, CAMERA)
    K = CAMERA.matrix().to(dtype).expand(2, 3, 3)
    expected = kornia.geometry.depth.warp_frame_depth(context, depth, T, K)
    inside = valid.expand_as(rebuilt)
    assert 0.5 < inside.double().mean() < 1  # both kinds of pixels occur
    torch.testing.assert_close(
        rebuilt[inside], expected[inside], rtol=0, atol=1e-5 if dtype == torch.float32 else 1e-12
    )


def test_without_motion_the_image_is_itself() -> None:
    context = smooth(2, 3, 8, 12)
    depth = 4 + 3 * smooth(2, 1, 8, 12)
    torch.testing.assert_close(warp.synthesize(context, depth, identity(2), CAMERA).image, context)


def test_sampling_at_pixel_centers_and_between_them() -> None:
    image = torch.tensor([[[[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]]]])
    #                       first  last  between  left of the image
    u = torch.tensor([[[[0.0, 2.0, 0.5, -3.0]]]])
    v = torch.tensor([[[[0.0, 1.0, 0.5, 1.0]]]])
    assert warp.sample(image, torch.cat([u, v], dim=1))[0, 0, 0].tolist() == pytest.approx([0.0, 12.0, 5.5, 10.0])


def test_what_lies_beyond_the_image() -> None:
    image = torch.full((1, 1, 2, 3), 8.0)
    #                  inside  half a pixel out  far out
    u = torch.tensor([[[[0.0, 2.5, 30.0]]]])
    pixels = torch.cat([u, torch.zeros_like(u)], dim=1)
    assert warp.sample(image, pixels, "border")[0, 0, 0].tolist() == pytest.approx([8.0, 8.0, 8.0])
    assert warp.sample(image, pixels, "zeros")[0, 0, 0].tolist() == pytest.approx([8.0, 4.0, 0.0])


def test_sampling_an_image_of_one_pixel() -> None:
    pixels = torch.zeros(1, 2, 1, 1, requires_grad=True)
    value = warp.sample(torch.full((1, 1, 1, 1), 7.0), pixels)
    value.backward()
    assert value.item() == 7
    assert torch.equal(present(pixels.grad), torch.zeros(1, 2, 1, 1))  # it is the same wherever it is sampled


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), float("-inf"), 1e30])
def test_a_pixel_that_is_no_number_harms_no_other(wrong: float) -> None:
    """torch alone ends the process with a segmentation fault here: a diverging network would take training with it."""
    context = smooth(1, 3, 8, 12).requires_grad_()
    depth = torch.full((1, 1, 8, 12), 5.0, dtype=torch.float64)
    depth[..., 3, 4] = wrong
    T = translation(0.3, 0.2, 0.0).requires_grad_()
    rebuilt, valid = warp.synthesize(context, depth.requires_grad_(), T, CAMERA)
    (rebuilt * valid).sum().backward()
    right = warp.synthesize(context, torch.full_like(depth, 5.0), T.detach(), CAMERA)
    others = torch.ones(8, 12, dtype=torch.bool)
    others[3, 4] = False
    torch.testing.assert_close(rebuilt[..., others], right.image[..., others])
    assert bool(valid[0, 0, 3, 4]) == (wrong == 1e30)  # a number, if a large one
    (expected,) = torch.autograd.grad((right.image * right.valid * others).sum(), context)
    added = present(context.grad) - expected
    torch.testing.assert_close(added.sum((2, 3)), valid[..., 3, 4].double().expand(1, 3))  # by that pixel alone


def test_a_sideways_motion_shifts_a_plane_by_whole_pixels() -> None:
    """Half a metre to the right before a plane 5 m away, focal length 10 px: everything moves a pixel to the left."""
    context = smooth(1, 3, 8, 12)
    depth = torch.full((1, 1, 8, 12), 5.0, dtype=torch.float64)
    rebuilt, valid = warp.synthesize(context, depth, translation(0.5, 0, 0), CAMERA)
    torch.testing.assert_close(rebuilt[..., 1:10], context[..., 2:11])
    assert valid[..., 1:10].all()
    assert not valid[..., 11].any()  # these have left the view


def test_the_mask_ends_where_the_view_ends() -> None:
    camera = Camera(fx=10.0, fy=10.0, cx=5.5, cy=3.5, width=12, height=8)
    depth = torch.full((1, 1, 8, 12), 10.0, dtype=torch.float64)
    for x, y in ((3.5, 0), (-3.5, 0), (0, 2.5), (0, -2.5)):
        valid = warp.synthesize(smooth(1, 1, 8, 12), depth, translation(x, y, 0), camera).valid[0, 0]
        u, v = torch.arange(12) + x, torch.arange(8)[:, None] + y
        assert torch.equal(valid, (u >= 0) & (u <= 11) & (v >= 0) & (v <= 7))


def test_what_is_behind_the_context_camera_is_not_valid() -> None:
    """The context camera is 5 m ahead: what is 4 m from the target is behind it, and projects inside its view."""
    depth = torch.full((1, 1, 8, 12), 4.0, dtype=torch.float64)
    depth[..., 6:] = 500.0
    T = translation(0, 0, -5)
    camera = Camera(fx=1e-4, fy=1e-4, cx=5.5, cy=3.75, width=12, height=8)  # nothing is outside of the view
    valid = warp.synthesize(smooth(1, 1, 8, 12), depth, T, CAMERA, context_camera=camera).valid
    assert not valid[..., :6].any()
    assert valid[..., 6:].all()


def test_the_context_camera_may_differ() -> None:
    """A context image of twice the size shows the same, and so it does when mirrored."""
    depth = torch.full((1, 1, 8, 12), 5.0, dtype=torch.float64)
    large = smooth(1, 1, 16, 24)
    rays, valid = warp.synthesize(large, depth, identity(), CAMERA, CAMERA.resized(16, 24))
    torch.testing.assert_close(rays, torch.nn.functional.avg_pool2d(large, 2), rtol=0, atol=1e-2)
    assert valid.all()
    T = se3.from_vector(torch.tensor([[0.3, 0.1, -0.2, 0.02, 0.03, 0.01]], dtype=torch.float64))
    straight = warp.synthesize(smooth(1, 3, 8, 12), depth, T, CAMERA)
    mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0], dtype=torch.float64))
    mirrored = warp.synthesize(smooth(1, 3, 8, 12).flip(-1), depth.flip(-1), mirror @ T @ mirror, CAMERA.flipped())
    torch.testing.assert_close(mirrored.image.flip(-1), straight.image)
    assert torch.equal(mirrored.valid.flip(-1), straight.valid)


def test_a_batch_is_each_view_by_itself() -> None:
    context, depth = smooth(3, 2, 8, 12), 4 + 3 * smooth(3, 1, 8, 12)
    vectors = torch.arange(18, dtype=torch.float64).view(3, 6).sin() / 10
    T, rows = se3.from_vector(vectors), torch.tensor([[10.0, 11, 5.5, 3.75], [8, 8, 6, 4], [14, 13, 5, 3]]).double()
    fx, fy, cx, cy = rows.unbind(-1)
    together = warp.synthesize(context, depth, T, Camera(fx, fy, cx, cy, 12, 8))
    for index in range(3):
        part = slice(index, index + 1)
        camera = Camera(fx[index].item(), fy[index].item(), cx[index].item(), cy[index].item(), 12, 8)
        alone = warp.synthesize(context[part], depth[part], T[part], camera)
        torch.testing.assert_close(together.image[part], alone.image)
        assert torch.equal(together.valid[part], alone.valid)


def test_gradients_of_synthesis() -> None:
    """With respect to the image, depth, ego-motion and intrinsics, where the samples lie within one cell each."""
    context, depth = smooth(2, 2, 4, 5), 4 + smooth(2, 1, 4, 5)
    vectors = torch.tensor([[0.3, -0.1, 0.2, 0.02, -0.03, 0.05], [-0.2, 0.1, -0.5, 0.0, 0.04, -0.02]]).double()
    intrinsics = torch.tensor([[5.0, 5.2, 2.1, 1.4], [6.0, 6.1, 1.9, 1.6]]).double()

    def image(
        context: Tensor, depth: Tensor, vectors: Tensor, fx: Tensor, fy: Tensor, cx: Tensor, cy: Tensor
    ) -> Tensor:
        camera = Camera(fx, fy, cx, cy, 5, 4)
        return warp.synthesize(context, depth, se3.from_vector(vectors), camera).image

    inputs = [tensor.clone().requires_grad_() for tensor in (context, depth, vectors, *intrinsics.unbind(-1))]
    assert gradcheck(image, inputs)


def test_gradients_point_downhill_to_the_true_motion() -> None:
    """From a motion that is a tenth too short, the photometric gradient lengthens it."""
    image, depth = rendered(0)
    other = rendered(1)[0]
    vector = se3.to_vector(torch.from_numpy(world.relative_pose(1, 0))[None])
    short = (0.9 * vector).requires_grad_()
    rebuilt, valid = warp.synthesize(other, depth, se3.from_vector(short), world.CAMERA)
    ((rebuilt - image).abs() * valid).mean().backward()
    assert short.grad is not None
    assert vector[0, 2] == pytest.approx(-0.5)  # the target's points come nearer
    assert short.grad[0, 2] > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sideways_motion_keeps_the_first_and_the_last_row(dtype: torch.dtype) -> None:
    """They are moved along themselves: rounding must not push them out of view."""
    generator = torch.Generator().manual_seed(0)
    camera = Camera(171.3, 164.9, 160.2, 47.3, width=321, height=97)
    depth = 3 + 60 * torch.rand(4, 1, 97, 321, generator=generator, dtype=dtype)
    T = torch.eye(4, dtype=dtype).repeat(4, 1, 1)
    T[:, 0, 3] = -0.5
    valid = warp.synthesize(torch.zeros(4, 3, 97, 321, dtype=dtype), depth, T, camera).valid
    assert valid[..., 200:].all()


def test_a_padding_that_does_not_exist_is_refused() -> None:
    image, depth = torch.rand(1, 3, 8, 12), torch.ones(1, 1, 8, 12)
    with pytest.raises(InputError, match="padding cannot be 'zero': valid names are border, zeros"):
        warp.sample(image, torch.zeros(1, 2, 1, 1), "zero")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="padding cannot be 'reflection'"):
        warp.synthesize(image, depth, identity(dtype=torch.float32), CAMERA, padding="reflection")  # type: ignore[arg-type]


def test_depth_of_another_size_than_the_camera_is_refused() -> None:
    with pytest.raises(InputError, match="the camera is for 12x8 pixels, but the depth map has 6x4"):
        warp.carry(torch.ones(1, 1, 4, 6), identity(dtype=torch.float32), CAMERA)
