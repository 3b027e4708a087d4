"""Direct image alignment: it refines ego-motion until depth and motion explain the following frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.geometry.robust import DEVIATION_OVER_MEDIAN
from packdepth.geometry.warp import carry, sample

LEVELS = 3  # number of resolutions, from a quarter to full: the coarse ones find large motions
ROUNDS = 4  # Gauss-Newton steps at each resolution

# Standard deviations of the first guess, which form the prior. They are chosen wide: the prior decides only where the
# images say nothing.
TRANSLATION_DEVIATION = 0.05  # in harmonic mean depths
ROTATION_DEVIATION = 0.02  # radians
EXPOSURE_DEVIATION = 0.3  # of the gain (a factor) and of the offset (gray in [0, 1])

MIN_NOISE = 0.005  # gray in [0, 1]: smallest noise that is assumed, about one step of 8 bits
OUTLIER = 2.0  # standard deviations at which Geman and McClure's weight is a quarter: moving objects and occlusions
MIN_DEPTH_RATIO = 0.1  # a point must keep this share of its depth in the other camera, or its pixel is left out


def aligned(image: Tensor, following: Tensor, inv_depth: Tensor, T: Tensor, camera: Camera) -> Tensor:
    """Return motions that are refined so that image and depth, moved by them, explain the following frame best.

    Gauss-Newton steps on gray values estimate motion, gain and offset, from coarse to fine, with robust weights (Geman
    and McClure). The prior is a normal distribution about the first guess, so the guess stays where the images say
    nothing. The guess is also returned if the result does not lower the error of the pixels that are valid before and
    after. Where the images determine the length of the motion, it gets the scale of the depth, even if the guess is
    several times too long.

    Source: direct alignment as in DSO (Engel et al., PAMI 2018, section 2.1), of two frames and with fixed depth.

    Args:
        image: images [B, 3, H, W], RGB in [0, 1].
        following: the frames [B, 3, H, W] that T leads to.
        inv_depth: inverse depth of the images, [B, 1, H, W], 1/metres.
        T: T_following_image [B, 4, 4], the first guess.
        camera: the camera of both, of size H x W.

    Returns:
        T_following_image [B, 4, 4].

    >>> image, inv_depth = torch.full((1, 3, 16, 16), 0.5), torch.full((1, 1, 16, 16), 0.1)
    >>> camera = Camera.from_fov(90, width=16, height=16)
    >>> T = aligned(image, image, inv_depth, torch.eye(4)[None], camera)  # images without texture change nothing
    >>> torch.equal(T, torch.eye(4)[None])
    True
    """
    inv_depth = inv_depth.clamp(min=MIN_INV_DEPTH)
    translation = (TRANSLATION_DEVIATION / inv_depth.mean((1, 2, 3)))[:, None].expand(-1, 3)  # [B, 3] metres
    others = translation.new_tensor([ROTATION_DEVIATION] * 3 + [EXPOSURE_DEVIATION] * 2).expand(len(T), -1)
    prior = torch.cat([translation, others], dim=1) ** -2  # [B, 8]
    gray, other = (images.mean(1, keepdim=True) for images in (image, following))
    unchanged = prior.new_tensor([1.0, 0.0]).expand(len(T), -1)  # gain 1, offset 0
    found, exposure, back = T, unchanged, se3.inverse(T)
    for level in reversed(range(LEVELS)):
        a, b, p = (F.avg_pool2d(x, 2**level, ceil_mode=True) for x in (gray, other, inv_depth))
        a, b = smoothed(a), smoothed(b)
        with_gradients, smaller = torch.cat([b, *gradients(b)], dim=1), camera.pooled(2**level)
        for _ in range(ROUNDS):
            information, gradient = _normal_equations(a, with_gradients, 1 / p, found, exposure, smaller)
            change = torch.cat([se3.to_vector(found @ back), exposure - unchanged], dim=1)  # from the first guess
            step = torch.linalg.solve(information + prior.diag_embed(), -(gradient + prior * change))
            found, exposure = se3.from_vector(step[:, :6]) @ found, exposure + step[:, 6:]
    before, after = (_absolute_error(gray, other, 1 / inv_depth, each, exposure, camera) for each in (T, found))
    both = (before.isfinite() & after.isfinite()).flatten(1)
    better = (torch.where(both, (after - before).flatten(1), 0).sum(1) < 0) & found.isfinite().all((1, 2))
    return torch.where(better[:, None, None], found, T)


def aligned_from_afar(image: Tensor, following: Tensor, inv_depth: Tensor, T: Tensor, camera: Camera) -> Tensor:
    """Return motions aligned twice: the second time, the prior is about the first result instead of the first guess.

    The length of the result depends on depth alone, even if that of the first guess is wrong.

    Args:
        image: as in `aligned`.
        following: as in `aligned`.
        inv_depth: as in `aligned`.
        T: as in `aligned`.
        camera: as in `aligned`.

    Returns:
        T_following_image [B, 4, 4].
    """
    for _ in range(2):
        T = aligned(image, following, inv_depth, T, camera)
    return T


def smoothed(image: Tensor) -> Tensor:
    """Return the means over windows of 3 x 3 pixels.

    Bilinear samples are smooth already. Without smoothing, the sharper of two frames would look nearer.

    Args:
        image: [B, C, H, W]; it is continued beyond its borders by repetition.

    Returns:
        [B, C, H, W].

    >>> smoothed(torch.tensor([[[[0.0, 0.0, 9.0]]]]))
    tensor([[[[0., 3., 6.]]]])
    """
    return F.avg_pool2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def gradients(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return the central differences of an image along x and along y, per pixel; 0 at the border.

    Args:
        image: [B, C, H, W].

    Returns:
        Two tensors [B, C, H, W].

    >>> gradients(torch.tensor([[[[0.0, 1.0, 4.0]]]]))[0]
    tensor([[[[0., 2., 0.]]]])
    """
    along_x = F.pad((image[..., 2:] - image[..., :-2]) / 2, (1, 1))
    along_y = F.pad((image[..., 2:, :] - image[..., :-2, :]) / 2, (0, 0, 1, 1))
    return along_x, along_y


def _normal_equations(
    gray: Tensor, following: Tensor, depth: Tensor, T: Tensor, exposure: Tensor, camera: Camera
) -> tuple[Tensor, Tensor]:
    """Return the normal equations of all pixels for a small motion after T and small changes of gain and offset.

    Args:
        gray: gray values of the image, [B, 1, h, w].
        following: gray values of the following frame and their gradients along x and y, [B, 3, h, w].
        depth: depth of the image, [B, 1, h, w], metres.
        T: T_following_image [B, 4, 4].
        exposure: gain and offset [B, 2] that turn gray values of the following frame into those of the image.
        camera: the camera of both, of size h x w.

    Returns:
        The information matrix [B, 8, 8] and the gradient [B, 8] of half the weighted sum of squares.
    """
    carried = carry(depth, T, camera)
    sampled, along_x, along_y = sample(following, carried.pixels)[:, :, None].unbind(1)  # [B, 1, h, w] each
    x, y, z = se3.transform(T, camera.unproject(depth))[:, :, None].unbind(1)
    K, nearest = camera.matrix().to(depth), MIN_DEPTH_RATIO * depth
    by_x, by_y = (
        K[..., i, i].reshape(-1, 1, 1, 1) * along / z.maximum(nearest) for i, along in enumerate((along_x, along_y))
    )
    by_z = -(by_x * x + by_y * y) / z.maximum(nearest)
    motion = torch.cat([by_x, by_y, by_z, y * by_z - z * by_y, z * by_x - x * by_z, x * by_y - y * by_x], dim=1)
    gain, offset = exposure[:, :, None, None, None].unbind(1)  # [B, 1, 1, 1] each
    J = torch.cat([gain * motion, sampled, torch.ones_like(sampled)], dim=1).flatten(2)  # [B, 8, h w]
    difference, valid = (gain * sampled + offset - gray).flatten(1), (carried.valid & (z > nearest)).flatten(1)
    absolute = difference.abs().masked_fill(~valid, torch.nan)
    median = absolute.nanmedian(1, keepdim=True).values
    sigma = (DEVIATION_OVER_MEDIAN * median).nan_to_num(MIN_NOISE).clamp(min=MIN_NOISE)
    weight = valid / (sigma * (1 + (difference / (OUTLIER * sigma)) ** 2)) ** 2
    weighted = J * weight[:, None]
    return weighted @ J.mT, (weighted @ difference[..., None])[..., 0]


def _absolute_error(gray: Tensor, other: Tensor, depth: Tensor, T: Tensor, exposure: Tensor, camera: Camera) -> Tensor:
    """Return the absolute difference [B, 1, H, W] of gray values after T, infinite where a pixel leaves the view."""
    carried = carry(depth, T, camera)
    gain, offset = exposure[:, :, None, None, None].unbind(1)
    difference = gain * sample(other, carried.pixels) + offset - gray
    return difference.abs().masked_fill(~carried.valid, torch.inf)
