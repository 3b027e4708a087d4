"""Direct image alignment: ego-motion for which the predicted depth explains the following frame, pixel by pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.geometry.warp import carry, sample

LEVELS = 3  # from a quarter of the resolution to all of it: far motion is found first
ROUNDS = 4  # Gauss-Newton steps at each
TRANSLATION = 0.05  # harmonic mean depths, and
ROTATION = 0.02  # radians: how far off the first guess is (standard deviations)
NOISE = 0.005  # grey in [0, 1]: least difference of two images of the same
OUTLIER = 2.0  # standard deviations from where on a difference is one of moving objects, or of what is hidden
NEAREST = 0.1  # of its depth in the image: a point that comes nearer than that to the other camera


def aligned(image: Tensor, following: Tensor, inv_depth: Tensor, T: Tensor, camera: Camera) -> Tensor:
    """Motions, refined so that image and depth, moved so, explain the following frame best.

    Gauss-Newton steps on grey values, coarse to fine, with robust weights (Geman and McClure) and a normal distribution
    about the first guess as prior: where images tell nothing, the guess holds. So it does where the result explains
    the pixels that both see no better. Brightness and contrast of the frames may differ. The length of the motion has
    the scale of the depth, whatever the guess's was.

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
    inv_depth = inv_depth.clamp(min=1e-6)
    deviation = TRANSLATION / inv_depth.mean((1, 2, 3))  # [B] metres
    prior = torch.cat([deviation[:, None].expand(-1, 3), torch.full_like(T[:, 0, :3], ROTATION)], dim=1) ** -2
    grey, other = (images.mean(1, keepdim=True) for images in (image, following))
    found, back = T, se3.inverse(T)
    for level in reversed(range(LEVELS)):
        a, b, p = (F.avg_pool2d(x, 2**level, ceil_mode=True) for x in (grey, other, inv_depth))
        shown, smaller = torch.cat([b, *gradients(b)], dim=1), camera.pooled(2**level)
        for _ in range(ROUNDS):
            information, pull = _normal_equations(a, shown, 1 / p, found, smaller)
            off = se3.to_vector(found @ back)
            step = torch.linalg.solve(information + prior.diag_embed(), -(pull + prior * off))
            found = se3.from_vector(step) @ found
    before, after = (_explained(grey, other, 1 / inv_depth, each, camera) for each in (T, found))
    both = (before.isfinite() & after.isfinite()).flatten(1)
    better = (torch.where(both, (after - before).flatten(1), 0).sum(1) < 0) & found.isfinite().all((1, 2))
    return torch.where(better[:, None, None], found, T)


def gradients(image: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences of an image [B, C, H, W] along x and along y, a pixel apart; 0 at the border."""
    along_x = F.pad((image[..., 2:] - image[..., :-2]) / 2, (1, 1))
    along_y = F.pad((image[..., 2:, :] - image[..., :-2, :]) / 2, (0, 0, 1, 1))
    return along_x, along_y


def _normal_equations(grey: Tensor, shown: Tensor, depth: Tensor, T: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Information [B, 6, 6] and pull [B, 6] of all pixels about a small motion that follows T.

    Args:
        grey: [B, 1, h, w].
        shown: [B, 3, h, w], the following frame with its gradients along x and y.
        depth: [B, 1, h, w] metres.
        T: T_following_image [B, 4, 4].
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
    columns = [by_x, by_y, by_z, y * by_z - z * by_y, z * by_x - x * by_z, x * by_y - y * by_x]
    valid = there.valid & (z > nearest)
    difference, gain = _difference(seen, grey, valid)
    J = (gain * torch.cat(columns, dim=1)).flatten(2)  # [B, 6, h w], of the difference by the motion
    difference, valid = difference.flatten(1), valid.flatten(1)
    absolute = difference.abs().masked_fill(~valid, torch.nan)
    sigma = (1.4826 * absolute.nanmedian(1, keepdim=True).values).nan_to_num(NOISE).clamp(min=NOISE)
    weight = valid / (sigma * (1 + (difference / (OUTLIER * sigma)) ** 2)) ** 2
    weighted = J * weight[:, None]
    return weighted @ J.mT, (weighted @ difference[..., None])[..., 0]


def _difference(seen: Tensor, grey: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """What is seen less the grey values [B, 1, h, w], at their brightness and contrast, and the gain for that."""
    weight = valid / valid.sum((2, 3), keepdim=True).clamp(min=1)
    (mean_seen, spread_seen), (mean, spread) = (_moments(each, weight) for each in (seen, grey))
    gain = spread / spread_seen.clamp(min=NOISE)
    return gain * (seen - mean_seen) - (grey - mean), gain


def _moments(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [B, 1, 1, 1] of values [B, 1, h, w] by weights that add up to 1."""
    mean = (weight * values).sum((2, 3), keepdim=True)
    return mean, (weight * (values - mean).square()).sum((2, 3), keepdim=True).sqrt()


def _explained(grey: Tensor, other: Tensor, depth: Tensor, T: Tensor, camera: Camera) -> Tensor:
    """|difference| [B, 1, H, W] where T carries each pixel, infinite where that is out of view."""
    there = carry(depth, T, camera)
    difference, _ = _difference(sample(other, there.pixels), grey, there.valid)
    return difference.abs().masked_fill(~there.valid, torch.inf)
