"""View synthesis: the target view, rebuilt from a context image through depth and ego-motion (Zhou et al. 2017)."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera

Padding = Literal["border", "zeros"]
"""What lies beyond an image: its edges, extended, or black."""
ROUNDING = 1e-3  # pixels beyond the outermost centers that still count: where a row stays in its place, as in stereo
MIN_DEPTH = 1e-3  # metres; what is nearer to the context camera, or behind it, is not seen


class Carried(NamedTuple):
    """Where the points of the target view are in a context frame."""

    pixels: Tensor  # [B, 2, H, W] as (u, v)
    z: Tensor  # [B, 1, H, W] metres
    valid: Tensor  # [B, 1, H, W] bool: inside the context image and in front of its camera


class Synthesis(NamedTuple):
    """What of the target view a context image shows."""

    image: Tensor  # [B, C, H, W]
    valid: Tensor  # [B, 1, H, W] bool: inside the context image and in front of its camera


def sample(image: Tensor, pixels: Tensor, padding: Padding = "border") -> Tensor:
    """Bilinear samples [B, C, h, w] of image [B, C, H, W] at pixels [B, 2, h, w] as (u, v).

    A pixel that is NaN gives some value of the image, and no gradient.
    """
    height, width = image.shape[-2:]
    # Integer pixel centers, hence align_corners=True: -1 and 1 are the centers of the first and last pixel.
    u = 2 * pixels[:, 0] / max(width - 1, 1) - 1
    v = 2 * pixels[:, 1] / max(height - 1, 1) - 1
    grid = u.new_empty(*u.shape, 2)
    grid[..., 0], grid[..., 1] = u, v
    grid = grid.nan_to_num(nan=0.0).to(image.dtype)  # the gradient of a NaN crashes the process (pytorch#24823)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode=padding, align_corners=True)


def carry(depth: Tensor, T_context_target: Tensor, camera: Camera, context_camera: Camera | None = None) -> Carried:
    """Carry the target's points into a context frame; arguments are those of `synthesize`."""
    context_camera = context_camera or camera
    pixels, z = context_camera.project(se3.transform(T_context_target, camera.unproject(depth)), min_depth=MIN_DEPTH)
    u, v = pixels[:, 0:1], pixels[:, 1:2]
    right, bottom = context_camera.width - 1 + ROUNDING, context_camera.height - 1 + ROUNDING
    inside = (u >= -ROUNDING) & (u <= right) & (v >= -ROUNDING) & (v <= bottom)
    return Carried(pixels, z, inside & (z > MIN_DEPTH))


def synthesize(
    context: Tensor,
    depth: Tensor,
    T_context_target: Tensor,
    camera: Camera,
    context_camera: Camera | None = None,
    padding: Padding = "border",
) -> Synthesis:
    """Rebuild the target view from a context image.

    Args:
        context: [B, C, H, W], values of any kind.
        depth: z-depth of the target view, [B, 1, h, w], metres.
        T_context_target: [B, 4, 4].
        camera: of the target view, of size h x w.
        context_camera: of the context image, of size H x W; the target's camera if left out.
        padding: what the image shows where the context image ends.

    Returns:
        the image and the mask of the pixels for which it is defined. Source: PackNet, CVPR 2020, section 3.1.
    """
    pixels, _, valid = carry(depth, T_context_target, camera, context_camera)
    return Synthesis(sample(context, pixels, padding), valid)
