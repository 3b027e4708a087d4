"""Calibration during training: the intrinsics of a camera, and how well the video determines its focal length.

Within an epoch, the camera is constant. At the end of each epoch a least-squares problem is solved for the camera. Its
data are optical flow: the shifts between the target and its synthesis from a context frame, in cells of a few pixels.
Its unknowns are the intrinsics and the motion of each view. The motions are initialized by the pose network and are
discarded afterwards. (The gradient of the training loss cannot be used: it makes focal lengths shrink, because a
shorter focal length reduces the effect of errors of the pose network.)

Only turns determine the focal length. If the camera moves straight ahead, the image of a point at depth z moves away
from the focus of expansion by r d / z pixels, where r is its distance from the focus of expansion in pixels and d the
distance traveled. The focal length does not occur in this formula. In a turn, a car moves on a circle, with its camera
along the tangent. As long as depth is unknown, this motion is critical (Sturm, CVPR 2001): perpendicular to the
direction from the focus of expansion, only the product of focal length and rotation is observable, and along this
direction a wrong focal length can be compensated by a wrong depth. Depth must therefore be known from another source.
This source is the ground: its depth is the same in turns and on straight roads, and on straight roads the networks
learn it without knowing the focal length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import jacfwd, vmap

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.geometry.robust import DEVIATION_OVER_MEDIAN
from packdepth.geometry.warp import synthesize
from packdepth.records import Batch, Outputs
from packdepth.training.cameras import changed
from packdepth.training.data import RunData
from packdepth.training.module import DepthModule

# Standard deviations of the prior, chosen by eye: 30 % for the guessed focal length, 2 % for the ratio of fx and fy,
# and 2 % of the image width for the distance of the principal point from the image center.
FOCAL_DEVIATION = 0.3  # of log f, without a unit
ASPECT_DEVIATION = 0.02  # of log fx / fy
CENTER_DEVIATION = 0.02  # of cx and cy, in image widths
MAX_DEVIATIONS = 3  # standard deviations of the prior, beyond which intrinsics are rejected; chosen by eye
MAX_DEVIATION = FOCAL_DEVIATION / 2  # of log f: above it, the video tells less than twice as much as the guess
PARTS = 4  # stretches of the video that are solved alone; chosen by eye: a dozen of the 48 views each
ROUNDS = 15  # maximum number of Gauss-Newton steps; on city drives 3 to 12 were needed
SMALL_STEP = 0.3  # standard deviations of the result: a smaller step ends the iteration; chosen by eye
MAX_STEP = 0.2  # largest change of log fx or log fy in a step, within the reach of the linearization; chosen by eye
MIN_STEP = 1e-12  # lower bound of a divisor
CELL = 8  # pixels, side of the cells whose shift is measured; chosen by eye: large enough to hold texture
MAX_SPREAD = 0.2  # largest standard deviation of a ground cell's log depth over the views; chosen by eye
DEPTH_DEVIATION = 0.05  # of log depth: standard deviation of the ground's, and limit for a ground cell in one view
TILT_DEVIATION = 0.05  # standard deviation of the ground's tilt, in units of `_tilts`; chosen by eye
MIN_DIFFERENCE = 0.02  # standard deviation, in gray levels in [0, 1], of the noise between two images; chosen by eye
PLACE_DEVIATION = 0.5  # pixels, standard deviation of a shift on perfect texture, due to view synthesis; chosen by eye
MAX_SHIFT = 1.5  # pixels, longest shift that the gradients of a cell can measure; chosen by eye
MIN_SCALE = 0.25  # pixels, lower bound of the scale of the Cauchy weights; chosen by eye
DAMPING = 1e-6  # squared gray levels per pixel, added to a structure tensor so that it can be inverted


class Calibration(pl.Callback):
    """Callback that adjusts each learned camera at the end of every epoch, before the checkpoint is written.

    Args:
        data: data of the run. It is the same in every process, so that all processes find the same cameras.
    """

    def __init__(self, data: RunData) -> None:
        self.data = data

    @torch.no_grad()
    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Adjust the cameras of the module, and store the standard deviations of their focal lengths.

        Args:
            trainer: the trainer.
            module: the training module. Nothing happens unless it learns cameras.
        """
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
    """A target and its context frames, with their estimated geometry."""

    image: Tensor  # [1, 3, H, W]
    context: Tensor  # [N, 3, H, W]
    depth: Tensor  # [1, 1, H, W] float64
    motions: Tensor  # [N, 4, 4] float64, T_context_target


class Solution(NamedTuple):
    """Intrinsics that were estimated from views."""

    change: Tensor  # [4] float64, difference from the guess: of log fx, log fy, and of cx, cy in image widths
    deviation: float  # standard deviation of log f, which is the relative error of the focal length


class Part(NamedTuple):
    """Intrinsics that were estimated from a part of the views."""

    change: Tensor  # [4] float64, as in `Solution`
    information: Tensor  # [4, 4], inverse covariance, with the prior's


class System(NamedTuple):
    """Normal equations of a view for a step of the intrinsics, from which all other unknowns are eliminated."""

    information: Tensor  # [4, 4], the matrix of the normal equations
    pull: Tensor  # [4], their right-hand side
    motion: Tensor  # [6 N, 4 + 1], maps a step of the intrinsics, with a 1 appended, to the steps of the motions


def view_of(batch: Batch, outputs: Outputs) -> View:
    """Return the view of a batch of one sample, with the depth and the ego-motion that the networks predict.

    Args:
        batch: a batch of one sample, which is not mirrored.
        outputs: the outputs of the networks for it.
    """
    depth = 1 / outputs.inv_depths[0].clamp(min=MIN_INV_DEPTH).double()
    return View(batch.image.cpu(), batch.context[0].cpu(), depth.cpu(), outputs.T_context_target[0].double().cpu())


def adjust(views: Sequence[View], guess: Camera, change: Tensor, rounds: int = ROUNDS) -> Solution:
    """Estimate the most probable intrinsics, and their deviation from how far parts of the views agree.

    The prior is a normal distribution around the guess: pixels are square to 2 %, the principal point is central to 2 %
    of the width, the focal length is known to 30 %. If the views hold no information, the deviation is that of the
    prior.

    The views are divided into `PARTS` stretches of the video. Each of them is solved alone, by `solve`, and `combined`
    adds the differences between their solutions to the deviation. The guess holds, with the deviation of the prior,
    unless most parts have a solution and together they tell at least twice as much as the prior.

    Args:
        views: views of one camera, in the order of the video.
        guess: the guessed camera, at any image size.
        change: [4] float64, difference of the current intrinsics from the guess, as in `Solution`.
        rounds: maximum number of Gauss-Newton steps of each part.
    """
    depth, is_ground = ground(torch.cat([view.depth for view in views]))
    views = [view._replace(depth=depth) for view in views]
    bounds = [len(views) * part // PARTS for part in range(PARTS + 1)]
    stretches = [slice(first, last) for first, last in pairwise(bounds) if first < last]
    parts = [solve(views[stretch], is_ground[stretch], guess, change, rounds) for stretch in stretches]
    solved = [part for part in parts if part is not None]
    held = Solution(torch.zeros_like(change), FOCAL_DEVIATION)
    if 2 * len(solved) <= len(parts):
        return held
    solution = combined(solved)
    return solution if solution.deviation < MAX_DEVIATION else held


def solve(views: Sequence[View], is_ground: Tensor, guess: Camera, change: Tensor, rounds: int) -> Part | None:
    """Estimate intrinsics from some views, with Gauss-Newton steps of the intrinsics and of each view's motions.

    Args:
        views: the views, with the depth of the ground.
        is_ground: [V, C], 1 for ground cells of a view, otherwise 0.
        guess: the guessed camera, at any image size.
        change: [4] float64, difference of the current intrinsics from the guess, as in `Solution`.
        rounds: maximum number of steps.

    Returns:
        The result. It is None if the steps do not become small, or if the intrinsics are further from the guess than
        three standard deviations of the prior. This happens if depth has not been learned yet, if traffic moves at the
        speed of the camera, and if nothing turns: then the steps run away to short focal lengths.
    """
    for _ in range(rounds):
        systems = [normal_equations(view, cells, guess, change) for view, cells in zip(views, is_ground, strict=True)]
        information, pull = prior(), -prior() @ change
        for system in systems:
            information, pull = information + system.information, pull + system.pull
        covariance = torch.linalg.inv(information)
        step = covariance @ pull
        is_small = float(step @ information @ step) < SMALL_STEP**2
        step = step * min(1.0, MAX_STEP / float(step[:2].abs().max() + MIN_STEP))
        views = [_moved(view, system, step) for view, system in zip(views, systems, strict=True)]
        change = change + step
        if is_small:
            believed = float(change @ prior() @ change) <= MAX_DEVIATIONS**2
            return Part(change, information) if believed else None
    return None


def combined(parts: Sequence[Part]) -> Solution:
    """Combine the solutions of parts of the video.

    The covariance is the sum of two: that of the normal equations, which assumes independent errors of the cells, and
    that which follows from the spread of the parts (cluster-robust covariance; Liang and Zeger, Biometrika 1986). The
    first alone was up to five times too small, because many cells share the errors of the predicted depth.

    Args:
        parts: the parts. The prior is contained in each of them, and counts once in the result.

    >>> one = Part(torch.zeros(4).double(), 4 * prior())
    >>> round(combined([one]).deviation / FOCAL_DEVIATION, 3)
    0.5
    >>> other = Part(torch.tensor([0.2, 0.2, 0, 0]).double(), 4 * prior())
    >>> combined([one, other]).deviation > combined([one, one]).deviation
    True
    """
    information = prior() + torch.stack([part.information - prior() for part in parts]).sum(0)
    covariance = torch.linalg.inv(information)
    change = covariance @ torch.stack([part.information @ part.change for part in parts]).sum(0)
    pulls = torch.stack([part.information @ part.change - (part.information - prior()) @ change for part in parts])
    pulls = pulls - pulls.mean(0)
    spread = covariance @ (pulls.T @ pulls) @ covariance * len(parts) / max(len(parts) - 1, 1)
    return Solution(change, float((covariance + spread)[:2, :2].mean().sqrt()))


def prior() -> Tensor:
    """Return the information matrix [4, 4] (inverse covariance) of the prior of log fx, log fy, and cx, cy in widths.

    >>> torch.linalg.inv(prior())[2, 2].sqrt()
    tensor(0.0200, dtype=torch.float64)
    """
    focal = torch.tensor([0.5, 0.5, 0, 0], dtype=torch.float64) / FOCAL_DEVIATION
    aspect = torch.tensor([1.0, -1, 0, 0], dtype=torch.float64) / ASPECT_DEVIATION
    center = torch.tensor([0.0, 0, 1, 1], dtype=torch.float64) / CENTER_DEVIATION**2
    return torch.outer(focal, focal) + torch.outer(aspect, aspect) + torch.diag(center)


def ground(depths: Tensor) -> tuple[Tensor, Tensor]:
    """Find the ground: the cells whose depth is about the same in all views.

    The depth of the ground is the median over the views. (A network that learns with a wrong camera predicts ground
    that leans in turns, but the median hardly changes.)

    Args:
        depths: [V, 1, H, W] metres, the depth of each view.

    Returns:
        The depth of the ground [1, 1, H, W], metres, and for each cell of each view 1 if it is ground, otherwise 0,
        [V, C].

    >>> depth, is_ground = ground(torch.full((3, 1, 8, 16), 10.0))
    >>> depth.shape, is_ground.tolist()
    (torch.Size([1, 1, 8, 16]), [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    """
    median = depths.median(0, keepdim=True).values
    difference = (_cell_depths(depths) / _cell_depths(median)).log().abs()
    spread = DEVIATION_OVER_MEDIAN * difference.median(0).values
    return median, ((spread < MAX_SPREAD) & (difference < DEPTH_DEVIATION)).to(depths)


def normal_equations(view: View, is_ground: Tensor, guess: Camera, change: Tensor) -> System:
    """Set up the normal equations of a view for the intrinsics.

    The depth of each cell has a standard deviation of 5 %, independently of the others, and the whole ground may tilt a
    little, as the car does. The motion to each context frame is unknown. All these unknowns are eliminated by Schur
    complements. A weak prior of 1 metre and 1 radian keeps them solvable for views that do not determine the motion.

    Args:
        view: the view, with the depth of the ground.
        is_ground: [C], 1 for ground cells, otherwise 0.
        guess: the guessed camera, at any image size.
        change: [4] float64, difference of the current intrinsics from the guess, as in `Solution`.
    """
    camera = changed(guess.resized(*view.depth.shape[-2:]), change)
    measured = [_shifts(view, n, camera) for n in range(len(view.motions))]
    weights = torch.stack([weight for weight, _ in measured], dim=1)  # [C, N, 2, 2]
    shifts = torch.stack([shift for _, shift in measured], dim=1)  # [C, N, 2]
    weights = weights * (is_ground[:, None] * _inliers(shifts, weights))[..., None, None]

    pixels, depths = _cell_middles(camera), _cell_depths(view.depth)[0]
    over_cells = vmap(jacfwd(_projection(camera)), in_dims=(None, 0, 0, None))
    no_change = torch.zeros(11, dtype=torch.float64)
    J = torch.stack([over_cells(no_change, pixels, depths, T) for T in view.motions], dim=1)  # [C, N, 2, 11]
    frames = len(view.motions)
    shared = J.new_zeros(*J.shape[:3], 6 + 6 * frames)  # intrinsics, the motion to each context frame, tilt
    shared[..., :4] = J[..., :4]
    for n in range(frames):
        shared[:, n, :, 4 + 6 * n : 10 + 6 * n] = J[:, n, :, 4:10]
    own = J[..., 10]  # derivative with respect to the unknown of each cell: its log depth
    shared[..., -2:] = own[..., None] * _tilts(camera, pixels, depths, is_ground)[:, None, None]

    own_square = torch.einsum("cni,cnij,cnj->c", own, weights, own) + 1 / DEPTH_DEVIATION**2
    own_pull = torch.einsum("cni,cnij,cnj->c", own, weights, shifts)
    mixed = torch.einsum("cni,cnij,cnjk->ck", own, weights, shared)
    square = torch.einsum("cnik,cnij,cnjl->kl", shared, weights, shared) - (mixed / own_square[:, None]).T @ mixed
    pull = torch.einsum("cnik,cnij,cnj->k", shared, weights, shifts) - (own_pull / own_square) @ mixed

    weak = torch.cat([square.new_ones(6 * frames), square.new_full((2,), 1 / TILT_DEVIATION**2)]).diag()
    others = torch.linalg.solve(square[4:, 4:] + weak, torch.cat([-square[4:, :4], pull[4:, None]], dim=1))
    rest = square[:4, 4:] @ others
    return System(square[:4, :4] + rest[:, :4], pull[:4] - rest[:, 4], others[:-2])


def _moved(view: View, system: System, step: Tensor) -> View:
    """Return the view with its motions updated for a step [4] of the intrinsics."""
    motion = system.motion @ torch.cat([step, step.new_ones(1)])
    return view._replace(motions=se3.from_vector(motion.view(-1, 6)) @ view.motions)


def _projection(camera: Camera) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Return the projection of target pixels into a context frame, as a function of changes.

    Its signature is `(change, pixel, depth, T_context_target) -> pixel in the context frame`. The change [11] is that
    of the intrinsics (4), of the motion (6) and of log depth (1).
    """

    def place(change: Tensor, pixel: Tensor, depth: Tensor, T_context_target: Tensor) -> Tensor:
        fx, fy = camera.fx * change[0].exp(), camera.fy * change[1].exp()
        cx, cy = camera.cx + change[2] * camera.width, camera.cy + change[3] * camera.width
        ray = torch.stack([(pixel[0] - cx) / fx, (pixel[1] - cy) / fy, torch.ones_like(fx)])
        point = T_context_target[:3, :3] @ (ray * depth * change[10].exp()) + T_context_target[:3, 3]
        point = point + change[4:7] + se3.hat(change[7:10]) @ point
        return torch.stack([fx * point[0] / point[2] + cx, fy * point[1] / point[2] + cy])

    return place


def _cell_middles(camera: Camera) -> Tensor:
    """Return the centers of all whole cells: [C, 2] pixels."""
    rows, columns = (
        torch.arange(size // CELL, dtype=torch.float64) * CELL + (CELL - 1) / 2
        for size in (camera.height, camera.width)
    )
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([u, v], dim=-1).view(-1, 2)


def _tilts(camera: Camera, pixels: Tensor, depths: Tensor, is_ground: Tensor) -> Tensor:
    """Return the derivatives of log depth [C, 2] with respect to a tilt of the ground sideways and forward.

    A tilt changes inverse depth in proportion to x and y of the ray. A tilt of 1 changes log depth by 1 at the ground's
    median depth, one focal length (in pixels) from the principal point.
    """
    typical = depths[is_ground > 0].median() if is_ground.any() else depths.median()
    center, focal = pixels.new_tensor([camera.cx, camera.cy]), pixels.new_tensor([camera.fx, camera.fy])
    return (pixels - center) / focal * (depths / typical)[:, None]


def _cell_depths(depths: Tensor) -> Tensor:
    """Return the depths [V, C] of all whole cells of views [V, 1, H, W]; inverse depth is averaged."""
    return 1 / F.avg_pool2d(1 / depths, CELL).flatten(1)


def _inliers(shifts: Tensor, weights: Tensor) -> Tensor:
    """Return the inlier weights [C, N] of shifts, those of a Cauchy distribution.

    Dynamic objects and occlusions cause long shifts, which get little weight. The scale of the distribution is the
    median length of the shifts that have information, or `MIN_SCALE` if that is larger.
    """
    lengths, is_measured = shifts.norm(dim=-1), weights.flatten(2).abs().sum(-1) > 0
    scale = max(MIN_SCALE, float(lengths[is_measured].median())) if is_measured.any() else MIN_SCALE
    inliers: Tensor = 1 / (1 + (lengths / scale) ** 2)
    return inliers


def _shifts(view: View, n: int, camera: Camera) -> tuple[Tensor, Tensor]:
    """Measure the shift of each cell between the target and its synthesis from the n-th context frame.

    The method is that of Lucas and Kanade. The information matrix of a shift increases with the texture and decreases
    with the difference of the two images; `PLACE_DEVIATION` limits it. It is zero unless the whole cell is visible in
    the context frame.

    Returns:
        The information matrix [C, 2, 2], 1/pixels^2, and the shift [C, 2], pixels.
    """
    image = view.image.double()
    synthesis = synthesize(view.context[n : n + 1].double(), view.depth, view.motions[n : n + 1], camera)
    difference = image - synthesis.image
    mean = (image + synthesis.image) / 2
    across, down = (torch.gradient(mean, dim=dim)[0] for dim in (-1, -2))
    products = [across * across, across * down, down * down, across * difference, down * difference, difference**2]
    sums = CELL**2 * F.avg_pool2d(torch.cat([product.mean(1) for product in products])[None], CELL)[0].flatten(1)
    xx, xy, yy, x, y, square = sums
    eye = torch.eye(2, dtype=image.dtype)
    tensor = torch.stack([xx, xy, xy, yy], dim=-1).view(-1, 2, 2)
    shift = torch.linalg.solve(tensor + CELL**2 * DAMPING * eye, torch.stack([x, y], dim=-1))
    shift = shift * (MAX_SHIFT / shift.norm(dim=-1, keepdim=True).clamp(min=MAX_SHIFT))
    texture = tensor / (square / CELL**2 + MIN_DIFFERENCE**2)[:, None, None]
    visible = F.avg_pool2d(synthesis.valid.to(image), CELL).flatten() == 1
    return torch.linalg.solve(eye + PLACE_DEVIATION**2 * texture, texture) * visible[:, None, None], shift
