"""Reprojected distance: measured against predicted depth, where both come to lie in the context frames."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.warp import sample
from packdepth.objectives.term import NonNegative, Term, sample_means
from packdepth.records import Batch, Outputs

NEAREST = 0.1  # of its depth in the target view: a point that comes nearer than that to the context camera


def returns(truth: Tensor) -> tuple[Tensor, Tensor]:
    """What sparse depth maps [B, 1, H, W] hold: pixels [B, 2, 1, M] as (u, v), and their depth [B, 1, 1, M], metres.

    M is the largest number of measurements in a map, at least 1; maps with fewer are filled up with depth 0.
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
    """Inverse depth [B, 1, h, w], as if resized to `height` x `width`, at pixels [B, 2, 1, M] of that: [B, 1, 1, M]."""
    size = pixels.new_tensor([inv_depth.shape[-1] / width, inv_depth.shape[-2] / height])
    return sample(inv_depth, (pixels + 0.5) * size.view(1, 2, 1, 1) - 0.5)


def reprojected_distance(
    predicted: Tensor, measured: Tensor, rays: Tensor, T_context_target: Tensor, camera: Camera
) -> tuple[Tensor, Tensor]:
    """Pixels between the images of a point at its predicted and at its measured depth, in a context frame.

    A point at inverse depth p on a ray r is seen where a(p) = R r + p t is; its image is K a(p) / a_z(p). Two such
    images differ by K (p - g) (t - t_z a(g) / a_z(g)) / a_z(p): nothing, without gradient, where the camera stands and
    in its focus of expansion, and more than any bound where the predicted point comes up to the context camera. There
    a_z(p) is held at a tenth, from where on the distance grows in proportion to p - g and pulls back as it should.

    Args:
        predicted: inverse depth, [B, 1, 1, M], 1/metres.
        measured: inverse depth, [B, 1, 1, M], 1/metres.
        rays: of the target camera to the points at depth 1, [B, 3, 1, M].
        T_context_target: [B, 4, 4].
        camera: of the context frame.

    Returns:
        the distance [B, 1, 1, M], and where the measured point is in front of the context camera [B, 1, 1, M] bool.
        Source: Guizilini et al., CoRL 2019, eq. 7.
    """
    t = T_context_target[:, :3, 3, None, None]  # [B, 3, 1, 1]
    far = (T_context_target[:, :3, :3] @ rays.flatten(2)).view_as(rays)
    seen = far + measured * t
    valid = seen[:, 2:] > NEAREST
    image = seen[:, :2] / seen[:, 2:].clamp(min=NEAREST)
    nearness = (far[:, 2:] + predicted * t[:, 2:]).clamp(min=NEAREST)
    apart = (predicted - measured) * (t[:, :2] - t[:, 2:] * image) / nearness  # at focal length 1
    focal = Camera(camera.fx, camera.fy, 0.0, 0.0, camera.width, camera.height)
    pixels, _ = focal.project(torch.cat([apart, torch.ones_like(predicted)], dim=1))
    return torch.linalg.vector_norm(pixels, dim=1, keepdim=True), valid


class Reprojected(Term):
    """Reprojected distance: how many pixels apart measured and predicted points lie in the context frames.

    It is the mean over LiDAR returns, context frames and scales, in pixels of the run's image size.

    Predictions are read off where each return was measured, as in `Supervised`, so that every return counts once. The
    ego-motion is a constant here: its error is none that depth could measure, and a shorter motion would always be the
    cheaper one (docs/explanation/published_methods.md). Other terms teach it. A sample without a return counts as zero.
    """

    kind: Literal["reprojected"] = "reprojected"
    weight: NonNegative = 0.1
    """Per pixel of distance. It is packdepth's own: the published weight is not known."""

    needs: ClassVar[tuple[str, ...]] = ("truth",)
    needs_context: ClassVar[bool] = True
    metric_field: ClassVar[str | None] = "truth"

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Mean over samples, a scalar, pixels."""
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
