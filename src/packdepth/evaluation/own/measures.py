"""Measures of depth that need no ground truth: each compares a prediction with the images, or with another prediction.

All of them are pure functions of tensors. A relative difference between two depths a and b is |log(a / b)|: it is the
same for depth and inverse depth, has no unit, and equals |a / b - 1| where it is small.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import MIN_INV_DEPTH, depth_from_inverse
from packdepth.geometry.warp import carry, sample, synthesize
from packdepth.objectives.photometric import photometric_error

SURE_MIRROR = 0.1  # largest relative difference of a sure pixel from the mirrored prediction; chosen by eye
SURE_NEIGHBOR = 0.1  # largest relative difference of a sure pixel from the neighboring frame; chosen by eye

SWEEP_STEP = 2 ** (1 / 6)  # ratio of neighboring factors: 12 %, which a parabola refines
SWEEP = tuple(SWEEP_STEP**step for step in range(-9, 10))  # factors of depth that are tried, from 0.35 to 2.8
SWEEP_WINDOW = 5  # pixels, side of the window over which errors of the sweep are averaged; 5 is usual in plane sweeps
MIN_PARALLAX = 0.5  # pixels by which a 1.26 times larger depth moves a pixel that counts; chosen by eye
MIN_CONTRAST = 0.02  # the smallest error must lie this far below the median error of the sweep; chosen by eye


class View(NamedTuple):
    """The photometric error of a synthesized view."""

    error: Tensor  # [B, 1, H, W], 0.85 (1 - SSIM) / 2 + 0.15 L1
    valid: Tensor  # [B, 1, H, W] bool: the pixel lies inside the other image and in front of its camera


class Sweep(NamedTuple):
    """The factors of depth that explain the other image best."""

    log_factor: Tensor  # [B, 1, H, W], the natural logarithm of the best factor
    clear: Tensor  # [B, 1, H, W] bool: pixels with enough parallax and texture


def relative_difference(depth: Tensor, other: Tensor) -> Tensor:
    """Return |log(depth / other)| of two depths or two inverse depths, in their shape.

    Args:
        depth: positive values.
        other: positive values of the same shape.

    >>> round(float(relative_difference(torch.tensor(1.1), torch.tensor(1.0))), 4)
    0.0953
    """
    return (depth.clamp(min=MIN_INV_DEPTH).log() - other.clamp(min=MIN_INV_DEPTH).log()).abs()


def view_error(image: Tensor, following: Tensor, depth: Tensor, T: Tensor, camera: Camera) -> View:
    """Return the photometric error of an image against its synthesis from the following frame.

    Source: PackNet, CVPR 2020, eq. 2.

    Args:
        image: [B, 3, H, W], RGB in [0, 1].
        following: the frame [B, 3, H, W] that T leads to.
        depth: depth of the image, [B, 1, H, W].
        T: T_following_image [B, 4, 4], in the unit of the depth.
        camera: the camera of both, of size H x W.

    >>> image, camera = torch.rand(1, 3, 8, 8), Camera.from_fov(60, 8, 8)
    >>> float(view_error(image, image, torch.ones(1, 1, 8, 8), torch.eye(4)[None], camera).error.max()) < 1e-4
    True
    """
    found = synthesize(following, depth, T, camera)
    return View(photometric_error(found.image[:, None], image), found.valid)


def identity_error(image: Tensor, following: Tensor) -> Tensor:
    """Return the photometric error of the identity reprojection, which takes the following frame as it is.

    Args:
        image: [B, 3, H, W], RGB in [0, 1].
        following: the other frame, [B, 3, H, W].

    Returns:
        [B, 1, H, W].

    >>> float(identity_error(torch.ones(1, 3, 4, 4), torch.ones(1, 3, 4, 4)).max())
    0.0
    """
    return photometric_error(following[:, None], image)


def neighbor_difference(inv_depth: Tensor, following: Tensor, T: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Return the relative difference between the depths of two frames, of the points that both see.

    Each point of the image is moved into the camera of the following frame; its depth there is compared with the depth
    that was predicted for the pixel it meets.

    Args:
        inv_depth: inverse depth of the image, [B, 1, H, W].
        following: inverse depth of the following frame, [B, 1, H, W].
        T: T_following_image [B, 4, 4], in the unit of the depth.
        camera: the camera of both, of size H x W.

    Returns:
        The relative difference [B, 1, H, W], and the mask [B, 1, H, W] of the points that the following frame sees.

    >>> inv_depth = torch.full((1, 1, 4, 4), 0.1)
    >>> float(neighbor_difference(inv_depth, inv_depth, torch.eye(4)[None], Camera.from_fov(60, 4, 4))[0].max())
    0.0
    """
    carried = carry(depth_from_inverse(inv_depth), T, camera)
    met = sample(following, carried.pixels)
    return relative_difference(carried.z.clamp(min=MIN_INV_DEPTH), depth_from_inverse(met)), carried.valid


def swept(image: Tensor, following: Tensor, inv_depth: Tensor, T: Tensor, camera: Camera) -> Sweep:
    """Return by which factor each pixel's depth must be multiplied to explain the following frame best.

    It is a plane sweep around the predicted depth: the depth is multiplied by each of `SWEEP`, and the factor with the
    smallest photometric error, averaged over a window, is refined by a parabola. It measures the error of depth by
    parallax alone, at pixels that have some: `clear` leaves out pixels without parallax or texture.

    Source: plane sweep of Collins (CVPR 1996), here around a given depth.

    Args:
        image: [B, 3, H, W], RGB in [0, 1].
        following: the frame [B, 3, H, W] that T leads to.
        inv_depth: inverse depth of the image, [B, 1, H, W].
        T: T_following_image [B, 4, 4], in the unit of the depth.
        camera: the camera of both, of size H x W.

    >>> image = torch.full((1, 3, 16, 16), 0.5)  # no texture: no pixel is clear
    >>> bool(swept(image, image, torch.ones(1, 1, 16, 16), torch.eye(4)[None], Camera.from_fov(60, 16, 16)).clear.any())
    False
    """
    depth = depth_from_inverse(inv_depth)
    errors, valid = [], torch.ones_like(depth, dtype=torch.bool)
    for factor in SWEEP:
        view = view_error(image, following, depth * factor, T, camera)
        errors.append(
            F.avg_pool2d(view.error, SWEEP_WINDOW, stride=1, padding=SWEEP_WINDOW // 2, count_include_pad=False)
        )
        valid = valid & view.valid
    stacked = torch.cat(errors, dim=1)  # [B, factors, H, W]
    best = stacked.argmin(1, keepdim=True)
    inside = (best > 0) & (best < len(SWEEP) - 1)
    middle = best.clamp(1, len(SWEEP) - 2)
    before, at, after = (stacked.gather(1, middle + step) for step in (-1, 0, 1))
    curvature = (before - 2 * at + after).clamp(min=1e-9)
    offset = ((before - after) / (2 * curvature)).clamp(-0.5, 0.5)
    logs = torch.tensor(SWEEP, dtype=depth.dtype, device=depth.device).log()
    log_factor = logs[best] + torch.where(inside, offset * (logs[1] - logs[0]), 0)
    here, there = (carry(depth * factor, T, camera).pixels for factor in (1.0, SWEEP[len(SWEEP) // 2 + 2]))
    parallax = (there - here).norm(dim=1, keepdim=True)
    contrast = stacked.median(1, keepdim=True).values - stacked.amin(1, keepdim=True)
    return Sweep(log_factor, valid & (parallax > MIN_PARALLAX) & (contrast > MIN_CONTRAST))


def sure_pixels(mirror: Tensor, neighbor: Tensor, error: Tensor, identity: Tensor, valid: Tensor) -> Tensor:
    """Return the pixels that are sure: three independent checks agree on their depth.

    A pixel is sure if its depth differs by at most `SURE_MIRROR` from that of the mirrored image and by at most
    `SURE_NEIGHBOR` from that of the following frame, and if depth and motion explain the following frame better than
    the identity reprojection does.

    Args:
        mirror: relative difference from the mirrored prediction, [B, 1, H, W].
        neighbor: relative difference from the following frame, [B, 1, H, W].
        error: photometric error of the synthesized view, [B, 1, H, W].
        identity: photometric error of the identity reprojection, [B, 1, H, W].
        valid: pixels that the following frame sees, [B, 1, H, W] bool.

    >>> zero, one = torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 1, 2)
    >>> sure_pixels(zero, torch.tensor([[[[0.0, 0.2]]]]), zero, one, one > 0)
    tensor([[[[ True, False]]]])
    """
    return valid & (mirror <= SURE_MIRROR) & (neighbor <= SURE_NEIGHBOR) & (error < identity)
