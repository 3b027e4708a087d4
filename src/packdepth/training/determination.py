"""How well a video determines the focal length: the information that its views hold once depth and motion are free.

Motion straight ahead moves a pixel away from the focus of expansion by its distance from it times the step over its
depth: the focal length cancels. Rotation moves pixels by an amount that depends on the focal length and not on depth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import jacfwd, vmap

from packdepth.geometry.camera import Camera
from packdepth.geometry.warp import synthesize
from packdepth.networks.cameras import ASPECT, CENTRE, FOCAL
from packdepth.records import Batch, Outputs

CELL = 8  # pixels: each cell of this size has a depth of its own
NOISE = 0.02  # grey in [0, 1]: least difference of two images of the same
PLACE = 0.25  # pixels: how well view synthesis tells a place, whatever the texture


def focal_deviation(views: Iterable[tuple[Batch, Outputs]]) -> float:
    """Standard deviation of the logarithm of the focal length, which is its relative error.

    It is that of the posterior, in Gauss and Newton's approximation, of the intrinsics given the views, with a depth of
    its own for each cell of the image and a motion of its own for each context frame marginalised out. Without any
    information it is that of the prior, 0.3.

    Args:
        views: of one camera, unmirrored, a batch of one sample each, and what the networks make of it.
    """
    focal = torch.tensor([0.5, 0.5, 0, 0], dtype=torch.float64) / FOCAL
    aspect = torch.tensor([1.0, -1, 0, 0], dtype=torch.float64) / ASPECT
    centre = torch.diag(torch.tensor([0.0, 0, 1, 1], dtype=torch.float64)) / CENTRE**2
    information = torch.outer(focal, focal) + torch.outer(aspect, aspect) + centre
    for batch, outputs in views:
        information = information + view_information(batch, outputs)
    covariance = torch.linalg.inv(information)
    return float(covariance[:2, :2].mean().sqrt())


@torch.no_grad()
def view_information(batch: Batch, outputs: Outputs) -> Tensor:
    """Information [4, 4] of one target and its context about log fx, log fy, and cx and cy in image widths."""
    camera = batch.camera.map(lambda value: float(value[0]))
    depth = 1 / outputs.inv_depths[0].clamp(min=1e-6).double().cpu()
    motions = outputs.T_context_target[0].double().cpu()  # [N, 4, 4]
    pixels, depths = _cells(camera, depth)  # [C, 2], [C]
    weights = torch.stack(
        [
            _weights(batch.image.double().cpu(), context.double().cpu(), T, depth, camera)
            for context, T in zip(batch.context.unbind(1), motions, strict=True)
        ],
        dim=1,
    )  # [C, N, 2, 2]
    place = _projection(camera)
    zero = torch.zeros(11, dtype=torch.float64)
    over_cells = vmap(jacfwd(place), in_dims=(None, 0, 0, None))
    J = torch.stack([over_cells(zero, pixels, depths, T) for T in motions], dim=1)  # [C, N, 2, 11]
    frames = len(motions)
    unknowns = J.new_zeros(*J.shape[:3], 4 + 6 * frames)  # intrinsics, then the motion to each context frame
    unknowns[..., :4] = J[..., :4]
    for n in range(frames):
        unknowns[:, n, :, 4 + 6 * n : 10 + 6 * n] = J[:, n, :, 4:10]
    weighted = weights @ unknowns
    whole = torch.einsum("cnik,cnil->ckl", unknowns, weighted)
    towards = torch.einsum("cni,cnik->ck", J[..., 10], weighted)  # how each unknown and the cell's depth interact
    own = torch.einsum("cni,cnij,cnj->c", J[..., 10], weights, J[..., 10]) + 1.0
    total = (whole - towards[:, :, None] * towards[:, None] / own[:, None, None]).sum(0)
    motion = total[4:, 4:] + torch.eye(6 * frames, dtype=torch.float64)
    information: Tensor = total[:4, :4] - total[:4, 4:] @ torch.linalg.solve(motion, total[4:, :4])
    return information


def _projection(camera: Camera) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Where a pixel [2] of a depth lies in a context frame, by changes [11] of intrinsics, motion and log depth."""

    def place(change: Tensor, pixel: Tensor, depth: Tensor, T_context_target: Tensor) -> Tensor:
        fx, fy = camera.fx * change[0].exp(), camera.fy * change[1].exp()
        cx, cy = camera.cx + change[2] * camera.width, camera.cy + change[3] * camera.width
        ray = torch.stack([(pixel[0] - cx) / fx, (pixel[1] - cy) / fy, torch.ones_like(fx)])
        point = T_context_target[:3, :3] @ (ray * depth * change[10].exp()) + T_context_target[:3, 3]
        point = point + change[4:7] + torch.linalg.cross(change[7:10], point)
        return torch.stack([fx * point[0] / point[2] + cx, fy * point[1] / point[2] + cy])

    return place


def _cells(camera: Camera, depth: Tensor) -> tuple[Tensor, Tensor]:
    """The middles [C, 2] of all whole cells, pixels, and the depth [C] there."""
    sizes = camera.height, camera.width
    v, u = torch.meshgrid(
        *[torch.arange(size // CELL, dtype=torch.float64) * CELL + (CELL - 1) / 2 for size in sizes],
        indexing="ij",
    )
    inverse = F.avg_pool2d(1 / depth, CELL)[0, 0]
    return torch.stack([u, v], dim=-1).view(-1, 2), 1 / inverse.flatten()


def _weights(image: Tensor, context: Tensor, T_context_target: Tensor, depth: Tensor, camera: Camera) -> Tensor:
    """Information [C, 2, 2] about the place of each cell in a context frame, 1/pixels squared.

    That of its texture, given how well the synthesis fits, but never better than a place can be told; none where
    the context frame does not see it.
    """
    seen = synthesize(context, depth, T_context_target[None], camera)
    misfit = F.avg_pool2d((seen.image - image).pow(2).mean(1, keepdim=True), CELL).flatten()
    across, down = (torch.gradient(image, dim=dim)[0] for dim in (-1, -2))
    pairs = torch.stack([across * across, across * down, down * down], dim=1).mean(2)  # [1, 3, H, W]
    xx, xy, yy = CELL**2 * F.avg_pool2d(pairs, CELL).flatten(2)[0]
    texture = torch.stack([xx, xy, xy, yy], dim=-1).view(-1, 2, 2) / (misfit + NOISE**2)[:, None, None]
    eye = torch.eye(2, dtype=texture.dtype)
    limited: Tensor = texture @ torch.linalg.inv(eye + PLACE**2 * texture)
    visible = F.avg_pool2d(seen.valid.to(image), CELL).flatten() == 1
    return limited * visible[:, None, None]
