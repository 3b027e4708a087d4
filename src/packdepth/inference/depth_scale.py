"""The length of ego-motion from depth: how far the camera went for the predicted depth to explain what it saw."""

from __future__ import annotations

import torch
from torch import Tensor

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.geometry.warp import synthesize
from packdepth.objectives.photometric import photometric_error
from packdepth.objectives.term import sample_means

REACH = 2.0  # the factor is looked for between its inverse and this
STEPS = 21  # factors that are tried, evenly spaced by their logarithms
FLAT = 1e-6  # a valley of the error that is no deeper tells nothing: it is rounding


def scaled_by_depth(image: Tensor, following: Tensor, inv_depth: Tensor, T: Tensor, camera: Camera) -> Tensor:
    """Motions with their translations stretched so that depth and motion explain the following frame best.

    Each is tried at several lengths, by the photometric error of the image's synthesis from the following frame over
    the pixels that are in view for all of them; a parabola through the best three gives the length. Direction and
    rotation stay, and the length too where the images tell none. The result has the scale of the depth.

    Args:
        image: [B, 3, H, W] RGB in [0, 1].
        following: [B, 3, H, W], the frame that T leads to.
        inv_depth: of the image, [B, 1, H, W], 1/metres.
        T: T_following_image [B, 4, 4].
        camera: of both, of size H x W.

    Returns:
        T_following_image [B, 4, 4].
    """
    grid = torch.linspace(-1, 1, STEPS, device=T.device, dtype=T.dtype)
    length = torch.linalg.vector_norm(T[:, :3, 3], dim=-1)
    depth = 1 / inv_depth.clamp(min=1e-6)
    lengths = [length * REACH**x for x in grid.tolist()]
    seen = [synthesize(following, depth, se3.with_length(T, each), camera) for each in lengths]
    valid = torch.stack([view.valid for view in seen]).all(0)  # [B, 1, H, W]
    errors = [sample_means(photometric_error(view.image[:, None], image), valid) for view in seen]
    return se3.with_length(T, length * REACH ** _lowest(grid, torch.stack(errors, dim=1)))


def _lowest(grid: Tensor, values: Tensor) -> Tensor:
    """Where values [B, S] on an even grid [S] are lowest, [B]: the vertex of the parabola through the lowest three.

    0 where that is no valley.
    """
    middle = values.argmin(1, keepdim=True).clamp(1, len(grid) - 2)
    before, lowest, after = (values.gather(1, middle + i)[:, 0] for i in (-1, 0, 1))
    curvature = before - 2 * lowest + after
    shift = ((before - after) / (2 * curvature.clamp(min=FLAT))).clamp(-1, 1)
    return torch.where(curvature > FLAT, grid[middle[:, 0]] + shift * (grid[1] - grid[0]), 0)
