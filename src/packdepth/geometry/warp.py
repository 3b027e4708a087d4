"""View synthesis: it rebuilds the target view from a context image, depth and ego-motion (Zhou et al. 2017)."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.errors import check_choice
from packdepth.geometry import se3
from packdepth.geometry.camera import MIN_DEPTH, Camera

Padding = Literal["border", "zeros"]
"""Values beyond the border of an image: its edge pixels, repeated, or black."""
ROUNDING = 1e-3  # pixels beyond the outermost centers that are valid: in stereo, rounding moves the first and last row


class Carried(NamedTuple):
    """The points of the target view as the context camera sees them."""

    pixels: Tensor  # [B, 2, H, W] as (u, v)
    z: Tensor  # [B, 1, H, W] metres
    valid: Tensor  # [B, 1, H, W] bool: inside the context image and in front of its camera


class Synthesis(NamedTuple):
    """The target view, synthesized from a context image."""

    image: Tensor  # [B, C, H, W]
    valid: Tensor  # [B, 1, H, W] bool, the valid mask: inside the context image and in front of its camera


def sample(image: Tensor, pixels: Tensor, padding: Padding = "border") -> Tensor:
    """Return bilinear samples of an image.

    Args:
        image: [B, C, H, W].
        pixels: [B, 2, h, w] as (u, v). A pixel that is NaN gives some value of the image, and no gradient.
        padding: values beyond the border of the image.

    Returns:
        [B, C, h, w].

    Raises InputError for another padding.

    >>> import torch
    >>> sample(torch.tensor([[[[0.0, 1.0]]]]), torch.tensor([[[[0.25]], [[0.0]]]]))
    tensor([[[[0.2500]]]])
    """
    check_choice("padding", padding, get_args(Padding))
    height, width = image.shape[-2:]
    # Integer pixel centers, hence align_corners=True: -1 and 1 are the centers of the first and last pixel.
    u = 2 * pixels[:, 0] / max(width - 1, 1) - 1
    v = 2 * pixels[:, 1] / max(height - 1, 1) - 1
    grid = u.new_empty(*u.shape, 2)
    grid[..., 0], grid[..., 1] = u, v
    grid = grid.nan_to_num(nan=0.0).to(image.dtype)  # the gradient of a NaN crashes the process (pytorch#24823)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode=padding, align_corners=True)


def carry(depth: Tensor, T_context_target: Tensor, camera: Camera, context_camera: Camera | None = None) -> Carried:
    """Return the points of the target view as the context camera sees them.

    Args:
        depth: z-depth of the target view, [B, 1, H, W], metres.
        T_context_target: [B, 4, 4].
        camera: the camera of the target view, of size H x W.
        context_camera: the camera of the context image; the target's camera if left out.

    >>> import torch
    >>> camera = Camera.from_fov(90, width=4, height=2)
    >>> bool(carry(torch.ones(1, 1, 2, 4), torch.eye(4)[None], camera).valid.all())
    True
    """
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
    """Return the target view, synthesized from a context image.

    Source: PackNet, CVPR 2020, section 3.1.

    Args:
        context: values of any kind, [B, C, H, W].
        depth: z-depth of the target view, [B, 1, h, w], metres.
        T_context_target: [B, 4, 4].
        camera: the camera of the target view, of size h x w.
        context_camera: the camera of the context image, of size H x W; the target's camera if left out.
        padding: values beyond the border of the context image.

    Returns:
        The image [B, C, h, w] and its valid mask [B, 1, h, w].

    >>> import torch
    >>> camera, context = Camera.from_fov(90, width=4, height=2), torch.rand(1, 3, 2, 4)
    >>> view = synthesize(context, torch.ones(1, 1, 2, 4), torch.eye(4)[None], camera)
    >>> torch.allclose(view.image, context, atol=1e-5)
    True
    """
    pixels, _, valid = carry(depth, T_context_target, camera, context_camera)
    return Synthesis(sample(context, pixels, padding), valid)


def synthesize_each(
    context: Tensor, depth: Tensor, T_context_target: Tensor, camera: Camera, padding: Padding = "border"
) -> Synthesis:
    """Return the target view, synthesized from each of N context images of one camera.

    Args:
        context: values of any kind, [B, N, C, H, W].
        depth: z-depth of the target view, [B, 1, H, W], metres.
        T_context_target: [B, N, 4, 4].
        camera: the camera of all views, of size H x W.
        padding: values beyond the border of the context images.

    Returns:
        The images [B, N, C, H, W] and their valid masks [B, N, H, W].

    >>> import torch
    >>> camera, context = Camera.from_fov(90, width=4, height=2), torch.rand(1, 2, 3, 2, 4)
    >>> views = synthesize_each(context, torch.ones(1, 1, 2, 4), torch.eye(4).expand(1, 2, 4, 4), camera)
    >>> views.image.shape, views.valid.shape
    (torch.Size([1, 2, 3, 2, 4]), torch.Size([1, 2, 2, 4]))
    """
    motions = zip(context.unbind(1), T_context_target.unbind(1), strict=True)
    views = [synthesize(image, depth, T, camera, padding=padding) for image, T in motions]
    images, masks = [view.image for view in views], [view.valid for view in views]
    return Synthesis(torch.stack(images, dim=1), torch.cat(masks, dim=1))
