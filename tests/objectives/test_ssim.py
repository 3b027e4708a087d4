"""SSIM: scipy's windows, the closed gradient, bounds."""

from __future__ import annotations

import pytest
import torch
from graph import kept_for_the_gradient
from scipy.ndimage import uniform_filter
from torch import Tensor

from packdepth.objectives.ssim import WindowStatistics, ssim_distance, window_means


def expected_distance(x: Tensor, y: Tensor) -> Tensor:
    def mean(values: Tensor) -> Tensor:
        axes = values.ndim - 2
        return torch.from_numpy(uniform_filter(values.numpy(), size=(*[0] * axes, 3, 3), mode="mirror"))

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    ssim = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    return ((1 - ssim) / 2).clamp(0, 1)


@pytest.mark.parametrize("size", [(12, 15), (3, 3), (2, 5)])
def test_it_is_that_of_scipys_windows(size: tuple[int, int]) -> None:
    x, y = torch.rand(2, 4, 3, *size, dtype=torch.float64), torch.rand(2, 1, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(ssim_distance(x, WindowStatistics.of(y)), expected_distance(x, y.expand_as(x)))


@pytest.mark.parametrize("size", [(5, 6), (2, 3)])
def test_gradient_in_float64(size: tuple[int, int]) -> None:
    x, y = torch.rand(2, 2, 1, *size, dtype=torch.float64), torch.rand(2, 1, 1, *size, dtype=torch.float64)
    target = WindowStatistics.of(y)
    assert torch.autograd.gradcheck(lambda x: ssim_distance(x, target), x.requires_grad_())


def test_equal_images_have_no_distance_and_others_at_most_one() -> None:
    x = torch.rand(2, 1, 3, 20, 30)
    assert ssim_distance(x, WindowStatistics.of(x)).max() == 0  # to the last bit: auto-masking compares such errors
    stripes = torch.zeros(1, 1, 1, 8, 8)
    stripes[..., ::2] = 1
    distance = ssim_distance(1 - stripes, WindowStatistics.of(stripes))
    assert 0.8 < distance.max() <= 1


def test_little_is_kept_for_the_gradient() -> None:
    """The image, the target's windows and three derivatives."""
    x, target = torch.rand(1, 2, 3, 16, 16, requires_grad=True), WindowStatistics.of(torch.rand(1, 1, 3, 16, 16))
    _, kept = kept_for_the_gradient(lambda: ssim_distance(x, target))
    padded = 4 * 3 * 18 * 18  # bytes of an image with its border reflected
    assert sorted(kept.values()) == [padded, *3 * [x.nbytes], 2 * padded]


def test_window_means_are_those_of_average_pooling() -> None:
    images = torch.rand(2, 3, 7, 9, dtype=torch.float64)
    torch.testing.assert_close(window_means(images), torch.nn.functional.avg_pool2d(images, 3, stride=1))
