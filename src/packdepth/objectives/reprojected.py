"""Reprojected distance: distance in pixels between the images of measured and predicted points in context frames."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.warp import sample
from packdepth.objectives.term import NonNegative, Term, sample_means
from packdepth.records import Batch, Outputs

MIN_DEPTH_RATIO = 0.1
"""Smallest depth in the context camera, as a share of the depth in the target view; chosen by eye. A point that comes
nearer to the context camera can be projected arbitrarily far away, so that one return would dominate the mean."""


def returns(truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return the measurements of sparse depth maps as a list of pixels and a list of depths for each map.

    Args:
        truth: measured depth [B, 1, H, W], metres, 0 where unknown.

    Returns:
        Pixels [B, 2, 1, M] as (u, v), and their depth [B, 1, 1, M] in metres. M is the largest number of measurements
        in a map, at least 1. Lists of maps with fewer measurements are filled up with depth 0.

    >>> pixels, depth = returns(torch.tensor([[[[0.0, 7.0]]]]))
    >>> pixels.flatten().tolist(), depth.flatten().tolist()
    ([1.0, 0.0], [7.0])
    """
    known = truth.flatten(1) > 0
    counts = known.cumsum(1)
    rows, places = known.nonzero(as_tuple=True)
    most = max(int(counts[:, -1].max()), 1)
    index = places.new_zeros(len(truth), most)
    depth = truth.new_zeros(len(truth), most)
    index[rows, counts[rows, places] - 1] = places
    depth[rows, counts[rows, places] - 1] = truth.flatten(1)[rows, places]
    width = truth.shape[-1]
    pixels = torch.stack([index % width, index // width], dim=1).to(truth.dtype)
    return pixels[:, :, None], depth[:, None, None]


def at_pixels(inv_depth: Tensor, pixels: Tensor, height: int, width: int) -> Tensor:
    """Return inverse depth at pixels of another resolution, as if it were resized to that resolution first.

    Args:
        inv_depth: inverse depth [B, 1, h, w], 1/metres.
        pixels: [B, 2, 1, M] as (u, v), in pixels of the other resolution.
        height: height of the other resolution, in pixels.
        width: width of the other resolution, in pixels.

    Returns:
        [B, 1, 1, M], 1/metres.

    >>> at_pixels(torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[[1.0]], [[0.0]]]]), height=2, width=4)
    tensor([[[[1.5000]]]])
    """
    size = pixels.new_tensor([inv_depth.shape[-1] / width, inv_depth.shape[-2] / height])
    return sample(inv_depth, (pixels + 0.5) * size.view(1, 2, 1, 1) - 0.5)


def reprojected_distance(
    predicted: Tensor, measured: Tensor, rays: Tensor, T_context_target: Tensor, camera: Camera
) -> tuple[Tensor, Tensor]:
    """Return the distance, in pixels of a context frame, between the images of points at predicted and measured depth.

    In the context camera, a point at inverse depth p on a ray r has the position a(p) / p with a(p) = R r + p t, and
    its image is K a(p) / a_z(p). The images at predicted p and measured g differ by
    K (p - g) (t - t_z a(g) / a_z(g)) / a_z(p). The difference is zero and has no gradient if the camera does not move,
    and at the focus of expansion. It has no upper bound when the predicted point approaches the context camera.
    Therefore a_z(p) is at least 0.1. Below this limit the distance is proportional to |p - g|, so that its gradient
    has the right sign.

    Source: Guizilini et al., CoRL 2019, eq. 7.

    Args:
        predicted: predicted inverse depth, [B, 1, 1, M], 1/metres.
        measured: measured inverse depth, [B, 1, 1, M], 1/metres.
        rays: the points at depth 1 in the target camera, [B, 3, 1, M].
        T_context_target: [B, 4, 4].
        camera: the camera of the context frame.

    Returns:
        The distance [B, 1, 1, M], and the mask [B, 1, 1, M] bool of the points that are measured in front of the
        context camera, at a_z(g) > 0.1.

    >>> camera, ray = Camera.from_fov(90, width=100, height=100), torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1)
    >>> T = torch.eye(4)[None].clone()
    >>> T[:, 0, 3] = 1.0  # one metre sideways: 5 pixels at 10 m, 10 pixels at 5 m
    >>> predicted, measured = torch.full((1, 1, 1, 1), 0.2), torch.full((1, 1, 1, 1), 0.1)
    >>> distance, _ = reprojected_distance(predicted, measured, ray, T, camera)
    >>> round(float(distance), 3)
    5.0
    """
    t = T_context_target[:, :3, 3, None, None]  # [B, 3, 1, 1]
    rotated = (T_context_target[:, :3, :3] @ rays.flatten(2)).view_as(rays)
    position = rotated + measured * t  # a(g)
    valid = position[:, 2:] > MIN_DEPTH_RATIO
    image = position[:, :2] / position[:, 2:].clamp(min=MIN_DEPTH_RATIO)
    predicted_z = (rotated[:, 2:] + predicted * t[:, 2:]).clamp(min=MIN_DEPTH_RATIO)  # a_z(p)
    difference = (predicted - measured) * (t[:, :2] - t[:, 2:] * image) / predicted_z  # at focal length 1
    focal = Camera(camera.fx, camera.fy, 0.0, 0.0, camera.width, camera.height)
    pixels, _ = focal.project(torch.cat([difference, torch.ones_like(predicted)], dim=1))
    return torch.linalg.vector_norm(pixels, dim=1, keepdim=True), valid


class Reprojected(Term):
    """Reprojected distance: distance in pixels between the images of measured and predicted points in context frames.

    It is the mean over LiDAR returns, context frames and scales, in pixels of the run's image size.

    The prediction is sampled at the pixel of each return, as in `Supervised`, so that every return counts once. The
    term has no gradient for the ego-motion, because measured depth says nothing about it, and a shorter motion would
    always lower the loss (docs/explanation/published_methods.md). A sample without a return counts as zero.

    >>> Reprojected().metric_from
    'truth'
    """

    kind: Literal["reprojected"] = "reprojected"
    weight: NonNegative = 0.1
    """Factor of the term in the objective, per pixel of distance.

    The default is packdepth's own choice: the published weight is not known.
    """

    needs: ClassVar[tuple[str, ...]] = ("truth",)
    needs_context: ClassVar[bool] = True
    metric_field: ClassVar[str | None] = "truth"

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean distance over samples, a scalar, pixels."""
        assert batch.truth is not None
        height, width = batch.truth.shape[-2:]
        pixels, depth = returns(batch.truth)
        known = depth > 0
        measured = 1 / torch.where(known, depth, 1)
        rays = batch.camera.resized(height, width).lift(pixels, torch.ones_like(depth))
        losses = []
        for inv_depth in outputs.inv_depths:
            predicted = at_pixels(inv_depth, pixels, height, width)
            for T in outputs.T_context_target.detach().unbind(1):
                distance, valid = reprojected_distance(predicted, measured, rays, T, batch.camera)
                losses.append(sample_means(distance, known & valid).mean())
        return torch.stack(losses).mean()
