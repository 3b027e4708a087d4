"""Resizing keeps pixels where the camera says they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.geometry.resize import resize_image, resize_inv_depth

RESIZES = [resize_image, resize_inv_depth]


@pytest.mark.parametrize("resize", RESIZES)
def test_the_same_size_changes_nothing(resize: Callable[[Tensor, int, int], Tensor]) -> None:
    image = torch.rand(2, 1, 7, 9)
    assert torch.equal(resize(image, 7, 9), image)


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("size", [(20, 36), (10, 18), (13, 50)])
def test_pixels_are_where_the_resized_camera_sees_them(
    resize: Callable[[Tensor, int, int], Tensor], size: tuple[int, int]
) -> None:
    camera = Camera(fx=30.0, fy=30.0, cx=9.0, cy=5.0, width=24, height=16)
    resized = camera.resized(*size)

    def tilt(camera: Camera) -> torch.Tensor:  # linear in the ray, as is the inverse depth of a plane
        points = camera.unproject(torch.ones(1, 1, camera.height, camera.width, dtype=torch.float64))
        return 0.5 + 0.3 * points[:, 0:1] - 0.4 * points[:, 1:2]

    result = resize(tilt(camera), *size)
    inside = ..., slice(2, -2), slice(2, -2)  # beyond the centers of the border pixels, the edge is repeated
    torch.testing.assert_close(result[inside], tilt(resized)[inside], atol=0.002, rtol=0)


def test_images_are_antialiased() -> None:
    board = (torch.arange(32)[:, None] + torch.arange(32)) % 2
    small = resize_image(board[None, None].float(), 8, 8)
    assert (small - 0.5).abs().max() < 0.02


def test_images_stay_in_range() -> None:
    image = (torch.rand(1, 3, 41, 53) > 0.5).float()
    small = resize_image(image, 17, 100)
    assert small.min() >= 0
    assert small.max() <= 1


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_an_image_of_integers_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(InputError, match=f"holds floats in .0, 1.; found {dtype}; divide by 255"):
        resize_image(torch.ones(1, 3, 4, 4, dtype=dtype), 2, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_image_keeps_its_dtype_and_its_range(dtype: torch.dtype) -> None:
    image = torch.tensor([[[[-1.0, 0.5, 2.0]]]], dtype=dtype)
    expected = torch.tensor([[[[0.0, 0.5, 1.0]]]], dtype=dtype)
    torch.testing.assert_close(resize_image(image, 1, 3), expected)
