"""Learning a camera: Gauss-Newton steps on its intrinsics, and how well the video determines the focal length.

Between steps the networks learn with the camera as it is. A step asks how synthesised views would have to be shifted
to fit, and which change of intrinsics explains that once depth and motion are free. (By the gradient of the loss alone
focal lengths shrink: a shorter one makes less of what the pose network gets wrong.)

Motion straight ahead moves a pixel away from the focus of expansion by its distance from it times the step over its
depth: the focal length cancels. Rotation moves pixels by an amount that depends on the focal length and not on depth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import jacfwd, vmap

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.geometry.warp import synthesize
from packdepth.records import Batch, Outputs
from packdepth.training.data import RunData
from packdepth.training.module import DepthModule

FOCAL, ASPECT, CENTRE = 0.3, 0.02, 0.02  # standard deviations of the prior: log f, log fx / fy, centre (image widths)
CELL = 8  # pixels: each cell of this size has a depth of its own
NOISE = 0.02  # grey in [0, 1]: least difference of two images of the same
PLACE = 0.5  # pixels: how well view synthesis tells a place, whatever the texture
FARTHEST = 1.5  # pixels: longest shift of a cell that its gradients tell
LONGEST = 0.3  # longest step of log f


class Calibration(pl.Callback):
    """Takes a step for each camera at the end of every epoch, before its checkpoint is written.

    Args:
        data: of the run; the same in every process, so that all take the same step.
    """

    def __init__(self, data: RunData) -> None:
        self.data = data

    @torch.no_grad()
    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Change the cameras of the module, and say how well they are determined."""
        assert isinstance(module, DepthModule)
        if module.cameras is None:
            return
        module.eval()
        for index in range(len(module.cameras.guesses)):
            batches = (module.calibrated(batch.to(module.device)) for batch in self.data.views(index))
            step = gauss_newton(((batch, module(batch)) for batch in batches), module.cameras.change[index].cpu())
            module.cameras.change[index] += step.change.to(module.device)
            module.cameras.deviation[index] = step.deviation
        module.train()


class Step(NamedTuple):
    """What views say about the intrinsics they were synthesised with."""

    change: Tensor  # [4] float64, to add to log fx and log fy, and to cx and cy in image widths
    deviation: float  # standard deviation of log f, which is the relative error of the focal length


def gauss_newton(views: Iterable[tuple[Batch, Outputs]], change: Tensor) -> Step:
    """One step towards the most probable intrinsics given views.

    The prior is a normal distribution about the guess: pixels are square to 2 %, the principal point is central to 2 %
    of the width, the focal length is known to 30 %. Where the views tell nothing, the deviation is that of the prior.

    Args:
        views: of one camera, unmirrored, a batch of one sample each, and what the networks make of it.
        change: [4] float64 by which the intrinsics differ from the guess so far.
    """
    information = prior()
    pull = -information @ change
    for batch, outputs in views:
        own, towards = view_system(batch, outputs)
        information, pull = information + own, pull + towards
    covariance = torch.linalg.inv(information)
    step = covariance @ pull
    return Step(step * min(1.0, LONGEST / float(step[:2].abs().max() + 1e-12)), float(covariance[:2, :2].mean().sqrt()))


def prior() -> Tensor:
    """Information [4, 4] that a guess holds about log fx, log fy, and cx and cy in image widths."""
    focal = torch.tensor([0.5, 0.5, 0, 0], dtype=torch.float64) / FOCAL
    aspect = torch.tensor([1.0, -1, 0, 0], dtype=torch.float64) / ASPECT
    centre = torch.tensor([0.0, 0, 1, 1], dtype=torch.float64) / CENTRE**2
    return torch.outer(focal, focal) + torch.outer(aspect, aspect) + torch.diag(centre)


def view_system(batch: Batch, outputs: Outputs) -> tuple[Tensor, Tensor]:
    """The normal equations of the intrinsics, of one target and its context: [4, 4] and [4].

    The depth of each cell and the motion to each context frame are unknowns too; they are eliminated by Schur
    complements (the weak priors of 1 on log depth, metres and radians fix the scale that views leave open).
    """
    camera = batch.camera.map(lambda value: float(value[0]))
    depth = 1 / outputs.inv_depths[0].clamp(min=1e-6).double().cpu()
    motions = outputs.T_context_target[0].double().cpu()  # [N, 4, 4]
    image, contexts = batch.image.double().cpu(), batch.context.double().cpu().unbind(1)
    told = [_shifts(image, context, T, depth, camera) for context, T in zip(contexts, motions, strict=True)]
    weights = torch.stack([weight for weight, _ in told], dim=1)  # [C, N, 2, 2]
    shifts = torch.stack([shift for _, shift in told], dim=1)  # [C, N, 2]

    pixels, depths = _cells(camera, depth)
    over_cells = vmap(jacfwd(_projection(camera)), in_dims=(None, 0, 0, None))
    nothing = torch.zeros(11, dtype=torch.float64)
    J = torch.stack([over_cells(nothing, pixels, depths, T) for T in motions], dim=1)  # [C, N, 2, 11]
    frames = len(motions)
    shared = J.new_zeros(*J.shape[:3], 4 + 6 * frames)  # intrinsics, then the motion to each context frame
    shared[..., :4] = J[..., :4]
    for n in range(frames):
        shared[:, n, :, 4 + 6 * n : 10 + 6 * n] = J[:, n, :, 4:10]
    own = J[..., 10]  # of a cell: its depth

    own_square = torch.einsum("cni,cnij,cnj->c", own, weights, own) + 1
    own_pull = torch.einsum("cni,cnij,cnj->c", own, weights, shifts)
    mixed = torch.einsum("cni,cnij,cnjk->ck", own, weights, shared)
    square = torch.einsum("cnik,cnij,cnjl->kl", shared, weights, shared) - (mixed / own_square[:, None]).T @ mixed
    pull = torch.einsum("cnik,cnij,cnj->k", shared, weights, shifts) - (own_pull / own_square) @ mixed

    motion = square[4:, 4:] + torch.eye(6 * frames, dtype=torch.float64)
    gain = torch.linalg.solve(motion, square[4:, :4]).T  # [4, 6 N]
    return square[:4, :4] - gain @ square[4:, :4], pull[:4] - gain @ pull[4:]


def _projection(camera: Camera) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Where a pixel [2] of a depth lies in a context frame, by changes [11] of intrinsics, motion and log depth."""

    def place(change: Tensor, pixel: Tensor, depth: Tensor, T_context_target: Tensor) -> Tensor:
        fx, fy = camera.fx * change[0].exp(), camera.fy * change[1].exp()
        cx, cy = camera.cx + change[2] * camera.width, camera.cy + change[3] * camera.width
        ray = torch.stack([(pixel[0] - cx) / fx, (pixel[1] - cy) / fy, torch.ones_like(fx)])
        point = T_context_target[:3, :3] @ (ray * depth * change[10].exp()) + T_context_target[:3, 3]
        point = point + change[4:7] + se3.hat(change[7:10]) @ point
        return torch.stack([fx * point[0] / point[2] + cx, fy * point[1] / point[2] + cy])

    return place


def _cells(camera: Camera, depth: Tensor) -> tuple[Tensor, Tensor]:
    """The middles [C, 2] of all whole cells, pixels, and the depth [C] there."""
    rows, columns = (
        torch.arange(size // CELL, dtype=torch.float64) * CELL + (CELL - 1) / 2
        for size in (camera.height, camera.width)
    )
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([u, v], dim=-1).view(-1, 2), 1 / F.avg_pool2d(1 / depth, CELL).flatten()


def _shifts(
    image: Tensor, context: Tensor, T_context_target: Tensor, depth: Tensor, camera: Camera
) -> tuple[Tensor, Tensor]:
    """How far each cell lies from where synthesis takes it from: information [C, 2, 2] and shift [C, 2], pixels.

    The shift is Lucas and Kanade's. Its information is that of the texture, given how well the synthesis fits, but
    never better than a place can be told; none where the context frame does not see all of the cell.
    """
    seen = synthesize(context, depth, T_context_target[None], camera)
    difference = image - seen.image
    middle = (image + seen.image) / 2
    across, down = (torch.gradient(middle, dim=dim)[0] for dim in (-1, -2))
    products = [across * across, across * down, down * down, across * difference, down * difference, difference**2]
    sums = CELL**2 * F.avg_pool2d(torch.cat([product.mean(1) for product in products])[None], CELL)[0].flatten(1)
    xx, xy, yy, x, y, square = sums
    eye = torch.eye(2, dtype=image.dtype)
    tensor = torch.stack([xx, xy, xy, yy], dim=-1).view(-1, 2, 2)
    shift = torch.linalg.solve(tensor + CELL**2 * 1e-4 * eye, torch.stack([x, y], dim=-1))
    shift = shift * (FARTHEST / shift.norm(dim=-1, keepdim=True).clamp(min=FARTHEST))
    texture = tensor / (square / CELL**2 + NOISE**2)[:, None, None]
    visible = F.avg_pool2d(seen.valid.to(image), CELL).flatten() == 1
    return torch.linalg.solve(eye + PLACE**2 * texture, texture) * visible[:, None, None], shift
