"""Structural similarity (Wang et al., IEEE TIP 2004) over 3x3 windows of equal weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

C1, C2 = 0.01**2, 0.03**2  # the published constants, for images in [0, 1]; they keep flat windows stable


class WindowStatistics(NamedTuple):
    """Images and the statistics of their 3x3 windows, which are kept if an image is compared more than once.

    >>> WindowStatistics.of(torch.ones(1, 1, 3, 4, 4)).mean.shape
    torch.Size([1, 1, 3, 4, 4])
    """

    reflected: Tensor  # [B, N, C, H + 2, W + 2], the images, reflected at their borders
    mean: Tensor  # [B, N, C, H, W], mean over each window
    variance: Tensor  # [B, N, C, H, W], variance over each window

    @classmethod
    def of(cls, images: Tensor) -> WindowStatistics:
        """Return the statistics of images.

        Args:
            images: [B, N, C, H, W].
        """
        x = F.pad(images, (1, 1, 1, 1, 0, 0), mode="reflect")
        mean = window_means(x)
        return cls(x, mean, window_means(x * x) - mean * mean)


def window_means(images: Tensor) -> Tensor:
    """Return the means over 3x3 windows.

    Sums of shifted images are several times faster on a CPU than average pooling, and exact where a convolution may
    round to TF32.

    Args:
        images: [..., H + 2, W + 2].

    Returns:
        [..., H, W].

    >>> window_means(torch.arange(9.0).view(3, 3))
    tensor([[4.]])
    """
    rows = images[..., :-2, :] + images[..., 1:-1, :]
    rows += images[..., 2:, :]
    windows = rows[..., :-2] + rows[..., 1:-1]
    windows += rows[..., 2:]
    return windows.div_(9)


def ssim_distance(images: Tensor, target: WindowStatistics) -> Tensor:
    """Return (1 - SSIM) / 2 at each pixel, in [0, 1] and differentiable in `images`; `target` is a constant.

    Args:
        images: [B, N, C, H, W].
        target: statistics of the image [B, 1, C, H, W] that each of the N images is compared with.

    Returns:
        [B, N, C, H, W].

    >>> images = torch.rand(1, 1, 3, 4, 4)
    >>> float(ssim_distance(images, WindowStatistics.of(images)).max()) < 1e-6
    True
    """
    distance: Tensor = _SsimDistance.apply(images, *target)  # type: ignore[no-untyped-call]
    return distance


class _SsimDistance(torch.autograd.Function):
    """(1 - S) / 2 with S = A1 A2 / (B1 B2), and its gradient in closed form.

    With E the mean over a window, A1 = 2 Ex Ey + C1, A2 = 2 (Exy - Ex Ey) + C2, B1 = Ex^2 + Ey^2 + C1 and
    B2 = Var x + Var y + C2. S depends on x through Ex, Exx and Exy. Only the derivatives by these three are kept for
    the gradient; autograd would keep a dozen images and take half again as long.
    """

    @staticmethod
    def forward(context: Any, images: Tensor, y: Tensor, mean_y: Tensor, variance_y: Tensor) -> Tensor:
        x, mean_x, variance_x = WindowStatistics.of(images)
        product = mean_x * mean_y
        a1 = (2 * product).add_(C1)
        a2 = window_means(x * y).sub_(product).mul_(2).add_(C2)
        b1 = (mean_x * mean_x).add_(mean_y * mean_y).add_(C1)
        b2 = variance_x.add_(variance_y).add_(C2)
        b1b2 = b1 * b2
        similarity = (a1 * a2).div_(b1b2)
        if context.needs_input_grad[0]:
            by_xx = (similarity / b2).neg_()
            by_xy = a1.mul_(2).div_(b1b2)
            by_mean = a2.mul_(2).div_(b1b2).sub_(by_xy).mul_(mean_y)
            by_mean -= (similarity / b1).add_(by_xx).mul_(mean_x).mul_(2)
            context.save_for_backward(x, y, by_mean, by_xx, by_xy)
        return (1 - similarity).div_(2).clamp_(0, 1)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, y, by_mean, by_xx, by_xy = context.saved_tensors
        gradient = gradient / -2
        gradient_x = _spread(gradient * by_mean)
        gradient_x += _spread(gradient * by_xx).mul_(x).mul_(2)
        gradient_x += _spread(gradient * by_xy).mul_(y)
        return _folded(gradient_x), None, None, None


def _spread(windows: Tensor) -> Tensor:
    """Return the gradient of `window_means`: [..., H, W] to [..., H + 2, W + 2]."""
    return window_means(F.pad(windows, (2, 2, 2, 2)))


def _folded(reflected: Tensor) -> Tensor:
    """Return the gradient of the reflection: [..., H + 2, W + 2] to [..., H, W]. It changes its argument."""
    reflected[..., 2, :] += reflected[..., 0, :]
    reflected[..., -3, :] += reflected[..., -1, :]
    reflected[..., 2] += reflected[..., 0]
    reflected[..., -3] += reflected[..., -1]
    return reflected[..., 1:-1, 1:-1]
