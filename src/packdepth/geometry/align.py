"""Direct image alignment: ego-motion for which the predicted depth explains the following frame, pixel by pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.geometry.warp import carry, sample

LEVELS = 3  # from a quarter of the resolution to all of it: far motion is found first
ROUNDS = 4  # Gauss-Newton steps at each
TRANSLATION = 0.05  # harmonic mean depths,
ROTATION = 0.02  # radians, and
EXPOSURE = 0.3  # of gain and offset: how far off the first guess is (standard deviations)
NOISE = 0.005  # gray in [0, 1]: least difference of two images of the same
OUTLIER = 2.0  # standard deviations from where on a difference is one of moving objects, or of what is hidden
NEAREST = 0.1  # of its depth in the image: a point that comes nearer than that to the other camera


def aligned(image: Tensor, following: Tensor, inv_depth: Tensor, T: Tensor, camera: Camera) -> Tensor:
    """Motions, refined so that image and depth, moved so, explain the following frame best.

    Gauss-Newton steps on gray values, coarse to fine, of motion, gain and offset, with robust weights (Geman and
    McClure) and a normal distribution about the first guess as prior: where images tell nothing, the guess holds. So
    it does where the result explains the pixels that both see no better. Where images tell it, the length of the motion
    has the scale of the depth; guesses up to several times too long are put right.

    Args:
        image: [B, 3, H, W] RGB in [0, 1].
        following: [B, 3, H, W], the frame that T leads to.
        inv_depth: of the image, [B, 1, H, W], 1/metres.
        T: T_following_image [B, 4, 4], the first guess.
        camera: of both, of size H x W.

    Returns:
        T_following_image [B, 4, 4].

    Source: direct alignment as in DSO (Engel et al., PAMI 2018, section 2.1), of two frames and with depth as it is.
    """
    inv_depth = inv_depth.clamp(min=MIN_INV_DEPTH)
    translation = (TRANSLATION / inv_depth.mean((1, 2, 3)))[:, None].expand(-1, 3)  # [B, 3] metres
    others = translation.new_tensor([ROTATION] * 3 + [EXPOSURE] * 2).expand(len(T), -1)
    prior = torch.cat([translation, others], dim=1) ** -2  # [B, 8]
    gray, other = (images.mean(1, keepdim=True) for images in (image, following))
    usual = prior.new_tensor([1.0, 0.0]).expand(len(T), -1)
    found, exposure, back = T, usual, se3.inverse(T)
    for level in reversed(range(LEVELS)):
        a, b, p = (F.avg_pool2d(x, 2**level, ceil_mode=True) for x in (gray, other, inv_depth))
        a, b = smoothed(a), smoothed(b)
        shown, smaller = torch.cat([b, *gradients(b)], dim=1), camera.pooled(2**level)
        for _ in range(ROUNDS):
            information, pull = _normal_equations(a, shown, 1 / p, found, exposure, smaller)
            off = torch.cat([se3.to_vector(found @ back), exposure - usual], dim=1)
            step = torch.linalg.solve(information + prior.diag_embed(), -(pull + prior * off))
            found, exposure = se3.from_vector(step[:, :6]) @ found, exposure + step[:, 6:]
    before, after = (_unexplained(gray, other, 1 / inv_depth, each, exposure, camera) for each in (T, found))
    both = (before.isfinite() & after.isfinite()).flatten(1)
    better = (torch.where(both, (after - before).flatten(1), 0).sum(1) < 0) & found.isfinite().all((1, 2))
    return torch.where(better[:, None, None], found, T)


def smoothed(image: Tensor) -> Tensor:
    """Means [B, C, H, W] over squares of 3 pixels. Bilinear samples are smooth, and a sharper frame looks nearer."""
    return F.avg_pool2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def gradients(image: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences of an image [B, C, H, W] along x and along y, a pixel apart; 0 at the border."""
    along_x = F.pad((image[..., 2:] - image[..., :-2]) / 2, (1, 1))
    along_y = F.pad((image[..., 2:, :] - image[..., :-2, :]) / 2, (0, 0, 1, 1))
    return along_x, along_y


def _normal_equations(
    gray: Tensor, shown: Tensor, depth: Tensor, T: Tensor, exposure: Tensor, camera: Camera
) -> tuple[Tensor, Tensor]:
    """Information [B, 8, 8] and pull [B, 8] of all pixels about a small motion that follows T, gain and offset.

    Args:
        gray: [B, 1, h, w].
        shown: [B, 3, h, w], the following frame with its gradients along x and y.
        depth: [B, 1, h, w] metres.
        T: T_following_image [B, 4, 4].
        exposure: gain and offset that make the following frame's gray values the image's, [B, 2].
        camera: of that size.
    """
    there = carry(depth, T, camera)
    seen, along_x, along_y = sample(shown, there.pixels)[:, :, None].unbind(1)  # [B, 1, h, w] each
    x, y, z = se3.transform(T, camera.unproject(depth))[:, :, None].unbind(1)
    K, nearest = camera.matrix().to(depth), NEAREST * depth
    by_x, by_y = (
        K[..., i, i].reshape(-1, 1, 1, 1) * along / z.maximum(nearest) for i, along in enumerate((along_x, along_y))
    )
    by_z = -(by_x * x + by_y * y) / z.maximum(nearest)
    motion = torch.cat([by_x, by_y, by_z, y * by_z - z * by_y, z * by_x - x * by_z, x * by_y - y * by_x], dim=1)
    gain, offset = exposure[:, :, None, None, None].unbind(1)  # [B, 1, 1, 1] each
    J = torch.cat([gain * motion, seen, torch.ones_like(seen)], dim=1).flatten(2)  # [B, 8, h w]
    difference, valid = (gain * seen + offset - gray).flatten(1), (there.valid & (z > nearest)).flatten(1)
    absolute = difference.abs().masked_fill(~valid, torch.nan)
    sigma = (1.4826 * absolute.nanmedian(1, keepdim=True).values).nan_to_num(NOISE).clamp(min=NOISE)
    weight = valid / (sigma * (1 + (difference / (OUTLIER * sigma)) ** 2)) ** 2
    weighted = J * weight[:, None]
    return weighted @ J.mT, (weighted @ difference[..., None])[..., 0]


def _unexplained(gray: Tensor, other: Tensor, depth: Tensor, T: Tensor, exposure: Tensor, camera: Camera) -> Tensor:
    """|difference| [B, 1, H, W] where T carries each pixel, infinite where that is out of view."""
    there = carry(depth, T, camera)
    gain, offset = exposure[:, :, None, None, None].unbind(1)
    difference = gain * sample(other, there.pixels) + offset - gray
    return difference.abs().masked_fill(~there.valid, torch.inf)
