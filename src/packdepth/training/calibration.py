"""Learning a camera: its intrinsics from the ground in turns, and how well the video determines the focal length.

Within an epoch the networks learn with the camera as it is. At its end, views that they synthesize are adjusted: how
would each cell of them have to be shifted to fit, and which intrinsics and motions explain that? Motions begin as the
networks see them and are then forgotten. (By the gradient of the loss alone focal lengths shrink: a shorter one makes
less of what the pose network gets wrong.)

Motion straight ahead moves a pixel away from the focus of expansion by its distance from it times the step over its
depth: the focal length cancels. A car turns along a circle with its camera along the tangent, and that is critical
while depth is free (Sturm, CVPR 2001): across the direction from the focus of expansion only the product of focal
length and rotation is seen, along it another depth makes up for another focal length. So depth must be known from
elsewhere: it is that of the ground, which is the same in bends as in straights, where networks learn it without f.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import jacfwd, vmap

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.geometry.warp import synthesize
from packdepth.records import Batch, Outputs
from packdepth.training.cameras import changed
from packdepth.training.data import RunData
from packdepth.training.module import DepthModule

FOCAL, ASPECT, CENTER = 0.3, 0.02, 0.02  # standard deviations of the prior: log f, log fx / fy, center (image widths)
BELIEVABLE = 3  # standard deviations of the prior: a focal length farther off than this is not believed
ROUNDS = 6  # of an adjustment
LONGEST = 0.2  # longest step of log f in a round
CELL = 8  # pixels: side of the cells that are looked at
SPREAD = 0.2  # standard deviation over the views of log depth at a place, up to which it is one of the ground
DEPTH = 0.05  # of log depth: farther than this from the ground a cell shows something else, and so well it is known
TILT = 0.05  # standard deviation of log depth by which a view's ground leans a focal length aside, at its median depth
NOISE = 0.02  # gray in [0, 1]: least difference of two images of the same
PLACE = 0.5  # pixels: how well view synthesis tells a place, whatever the texture
FARTHEST = 1.5  # pixels: longest shift of a cell that its gradients tell
USUAL = 0.25  # pixels: shifts up to this, or up to the view's median, are no outliers


class Calibration(pl.Callback):
    """Adjusts each camera at the end of every epoch, before its checkpoint is written.

    Args:
        data: of the run; the same in every process, so that all come to the same cameras.
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
        for index, guess in enumerate(module.cameras.guesses):
            batches = (batch.to(module.device) for batch in self.data.views(index))
            views = [view_of(batch, module(batch)) for batch in batches]
            solution = adjust(views, guess, module.cameras.change[index].cpu())
            module.cameras.change[index] = solution.change.to(module.device)
            module.cameras.deviation[index] = solution.deviation
        module.train()


class View(NamedTuple):
    """A target and its context, with their geometry as it is thought to be."""

    image: Tensor  # [1, 3, H, W]
    context: Tensor  # [N, 3, H, W]
    depth: Tensor  # [1, 1, H, W] float64
    motions: Tensor  # [N, 4, 4] float64, T_context_target


class Solution(NamedTuple):
    """What views say about the intrinsics of their camera."""

    change: Tensor  # [4] float64, of log fx and log fy, and of cx and cy in image widths, from the guess
    deviation: float  # standard deviation of log f, which is the relative error of the focal length


class System(NamedTuple):
    """Normal equations of a view, solved for all but the intrinsics."""

    information: Tensor  # [4, 4] about the intrinsics
    pull: Tensor  # [4]
    motion: Tensor  # [6 N, 4 + 1] by which motions change: of the step of the intrinsics, and of 1


def view_of(batch: Batch, outputs: Outputs) -> View:
    """A view of a batch of one unmirrored sample, and of what the networks make of it."""
    depth = 1 / outputs.inv_depths[0].clamp(min=MIN_INV_DEPTH).double()
    return View(batch.image.cpu(), batch.context[0].cpu(), depth.cpu(), outputs.T_context_target[0].double().cpu())


def adjust(views: Sequence[View], guess: Camera, change: Tensor, rounds: int = ROUNDS) -> Solution:
    """The most probable intrinsics given views, by Gauss-Newton steps of these and of each view's motions.

    The prior is a normal distribution about the guess: pixels are square to 2 %, the principal point is central to 2 %
    of the width, the focal length is known to 30 %. Where the views tell nothing, the deviation is that of the prior.

    Views of depth that has not been learned, or of traffic that moves along, may tell a focal length beyond belief:
    three standard deviations of the prior off, 2.5 times too long or short. They then tell nothing: the guess holds.

    Args:
        views: of one camera.
        guess: of the camera, at any size.
        change: [4] float64 by which the intrinsics differ from the guess so far.
        rounds: how many steps to take.
    """
    depth, shown = ground(torch.cat([view.depth for view in views]))
    views = [view._replace(depth=depth) for view in views]
    for _ in range(rounds):
        systems = [normal_equations(view, cells, guess, change) for view, cells in zip(views, shown, strict=True)]
        information, pull = prior(), -prior() @ change
        for system in systems:
            information, pull = information + system.information, pull + system.pull
        covariance = torch.linalg.inv(information)
        step = covariance @ pull
        step = step * min(1.0, LONGEST / float(step[:2].abs().max() + 1e-12))
        views = [_moved(view, system, step) for view, system in zip(views, systems, strict=True)]
        change = change + step
    if float(change[:2].mean().abs()) > BELIEVABLE * FOCAL:
        return Solution(torch.zeros_like(change), FOCAL)
    return Solution(change, float(covariance[:2, :2].mean().sqrt()))


def prior() -> Tensor:
    """Information [4, 4] that a guess holds about log fx, log fy, and cx and cy in image widths."""
    focal = torch.tensor([0.5, 0.5, 0, 0], dtype=torch.float64) / FOCAL
    aspect = torch.tensor([1.0, -1, 0, 0], dtype=torch.float64) / ASPECT
    center = torch.tensor([0.0, 0, 1, 1], dtype=torch.float64) / CENTER**2
    return torch.outer(focal, focal) + torch.outer(aspect, aspect) + torch.diag(center)


def ground(depths: Tensor) -> tuple[Tensor, Tensor]:
    """The depth of the ground, metres, and which cells of each of V views [V, 1, H, W] show it: [1, 1, H, W], [V, C].

    There is ground where depth is about the same in all views: it is their median. (A network that learns with a wrong
    camera makes the ground of bends lean, but hardly the median.)
    """
    usual = depths.median(0, keepdim=True).values
    unusual = (_cell_depths(depths) / _cell_depths(usual)).log().abs()
    spread = 1.4826 * unusual.median(0).values  # that of a normal distribution with this median
    return usual, ((spread < SPREAD) & (unusual < DEPTH)).to(depths)


def normal_equations(view: View, shown: Tensor, guess: Camera, change: Tensor) -> System:
    """How well a view of the ground tells the intrinsics, by the cells [C] that show it, and to which it pulls them.

    Depth is known to 5 %, each cell for itself, and the whole may tilt a little, as the car does; the motion to each
    context frame is unknown. All these are eliminated by Schur complements (the weak prior of 1 on metres and radians
    is for views that tell no motion).
    """
    camera = changed(guess.resized(*view.depth.shape[-2:]), change)
    told = [_shifts(view, n, camera) for n in range(len(view.motions))]
    weights = torch.stack([weight for weight, _ in told], dim=1)  # [C, N, 2, 2]
    shifts = torch.stack([shift for _, shift in told], dim=1)  # [C, N, 2]
    weights = weights * (shown[:, None] * _inliers(shifts, weights))[..., None, None]

    pixels, depths = _cell_middles(camera), _cell_depths(view.depth)[0]
    over_cells = vmap(jacfwd(_projection(camera)), in_dims=(None, 0, 0, None))
    nothing = torch.zeros(11, dtype=torch.float64)
    J = torch.stack([over_cells(nothing, pixels, depths, T) for T in view.motions], dim=1)  # [C, N, 2, 11]
    frames = len(view.motions)
    shared = J.new_zeros(*J.shape[:3], 6 + 6 * frames)  # intrinsics, the motion to each context frame, tilt
    shared[..., :4] = J[..., :4]
    for n in range(frames):
        shared[:, n, :, 4 + 6 * n : 10 + 6 * n] = J[:, n, :, 4:10]
    own = J[..., 10]  # of a cell: its depth
    shared[..., -2:] = own[..., None] * _tilts(camera, pixels, depths, shown)[:, None, None]

    own_square = torch.einsum("cni,cnij,cnj->c", own, weights, own) + 1 / DEPTH**2
    own_pull = torch.einsum("cni,cnij,cnj->c", own, weights, shifts)
    mixed = torch.einsum("cni,cnij,cnjk->ck", own, weights, shared)
    square = torch.einsum("cnik,cnij,cnjl->kl", shared, weights, shared) - (mixed / own_square[:, None]).T @ mixed
    pull = torch.einsum("cnik,cnij,cnj->k", shared, weights, shifts) - (own_pull / own_square) @ mixed

    weak = torch.cat([square.new_ones(6 * frames), square.new_full((2,), 1 / TILT**2)]).diag()
    others = torch.linalg.solve(square[4:, 4:] + weak, torch.cat([-square[4:, :4], pull[4:, None]], dim=1))
    rest = square[:4, 4:] @ others
    return System(square[:4, :4] + rest[:, :4], pull[:4] - rest[:, 4], others[:-2])


def _moved(view: View, system: System, step: Tensor) -> View:
    """The view with the motions that go with a step of the intrinsics."""
    motion = system.motion @ torch.cat([step, step.new_ones(1)])
    return view._replace(motions=se3.from_vector(motion.view(-1, 6)) @ view.motions)


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


def _cell_middles(camera: Camera) -> Tensor:
    """The middles [C, 2] of all whole cells, pixels."""
    rows, columns = (
        torch.arange(size // CELL, dtype=torch.float64) * CELL + (CELL - 1) / 2
        for size in (camera.height, camera.width)
    )
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([u, v], dim=-1).view(-1, 2)


def _tilts(camera: Camera, pixels: Tensor, depths: Tensor, shown: Tensor) -> Tensor:
    """Changes [C, 2] of log depth as the ground leans aside and ahead: inverse depth changes with the ray's x and y."""
    usual = depths[shown > 0].median() if shown.any() else depths.median()
    center, focal = pixels.new_tensor([camera.cx, camera.cy]), pixels.new_tensor([camera.fx, camera.fy])
    return (pixels - center) / focal * (depths / usual)[:, None]


def _cell_depths(depths: Tensor) -> Tensor:
    """The depths [V, C] of all whole cells of views [V, 1, H, W]."""
    return 1 / F.avg_pool2d(1 / depths, CELL).flatten(1)


def _inliers(shifts: Tensor, weights: Tensor) -> Tensor:
    """Weights [C, N] of shifts, by a Cauchy distribution: what moves by itself or is hidden stands out."""
    lengths, told = shifts.norm(dim=-1), weights.flatten(2).abs().sum(-1) > 0
    usual = max(USUAL, float(lengths[told].median())) if told.any() else USUAL
    inliers: Tensor = 1 / (1 + (lengths / usual) ** 2)
    return inliers


def _shifts(view: View, n: int, camera: Camera) -> tuple[Tensor, Tensor]:
    """How far each cell lies from where synthesis takes it from: information [C, 2, 2] and shift [C, 2], pixels.

    The shift is Lucas and Kanade's. Its information is that of the texture, given how well the synthesis fits, but
    never better than a place can be told; none where the n-th context frame does not see all of the cell.
    """
    image = view.image.double()
    seen = synthesize(view.context[n : n + 1].double(), view.depth, view.motions[n : n + 1], camera)
    difference = image - seen.image
    middle = (image + seen.image) / 2
    across, down = (torch.gradient(middle, dim=dim)[0] for dim in (-1, -2))
    products = [across * across, across * down, down * down, across * difference, down * difference, difference**2]
    sums = CELL**2 * F.avg_pool2d(torch.cat([product.mean(1) for product in products])[None], CELL)[0].flatten(1)
    xx, xy, yy, x, y, square = sums
    eye = torch.eye(2, dtype=image.dtype)
    tensor = torch.stack([xx, xy, xy, yy], dim=-1).view(-1, 2, 2)
    shift = torch.linalg.solve(tensor + CELL**2 * 1e-6 * eye, torch.stack([x, y], dim=-1))
    shift = shift * (FARTHEST / shift.norm(dim=-1, keepdim=True).clamp(min=FARTHEST))
    texture = tensor / (square / CELL**2 + NOISE**2)[:, None, None]
    visible = F.avg_pool2d(seen.valid.to(image), CELL).flatten() == 1
    return torch.linalg.solve(eye + PLACE**2 * texture, texture) * visible[:, None, None], shift
