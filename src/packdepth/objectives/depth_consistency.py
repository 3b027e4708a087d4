"""Depth consistency between views: the depth of a point matches the depth predicted in the other view."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import depth_from_inverse
from packdepth.geometry.warp import carry, sample
from packdepth.objectives.term import NonNegative, Term, masked_mean
from packdepth.records import Batch, Outputs

OCCLUSION_RATIO = 1.1
"""A point is occluded if its depth exceeds that of the nearest point in its pixel by this factor. Chosen: points
of one surface that fall on the same pixel differ by less."""


def depth_consistency(
    inv_depth: Tensor, context_inv_depth: Tensor, T_context_target: Tensor, camera: Camera
) -> tuple[Tensor, Tensor]:
    """Return the depth inconsistency |z - z'| / (z + z') at each pixel, and its valid mask.

    z is the depth of the target's point in the context frame, z' the depth predicted there. The value lies between 0
    and 1 and is the same for depths and their inverses. A pixel is invalid if its point is outside the context image or
    occluded by another point of the target.

    Source: the geometry consistency loss of Bian et al., NeurIPS 2019 (SC-SfMLearner); the occlusion mask is this
    project's own.

    Args:
        inv_depth: inverse depth of the target, [B, 1, H, W], 1/metres.
        context_inv_depth: inverse depth of the context frame, [B, 1, H, W], 1/metres.
        T_context_target: [B, 4, 4].
        camera: the camera of both.

    Returns:
        The inconsistency [B, 1, H, W] and the valid mask [B, 1, H, W] bool.

    >>> camera, inv_depth = Camera.from_fov(90, width=4, height=2), torch.full((1, 1, 2, 4), 0.5)
    >>> error, valid = depth_consistency(inv_depth, inv_depth, torch.eye(4)[None], camera)
    >>> float(error.max()), bool(valid.all())
    (0.0, True)
    """
    pixels, z, inside = carry(depth_from_inverse(inv_depth), T_context_target, camera)
    product = z * sample(context_inv_depth, pixels)  # z / z'
    error = (product - 1).abs() / (product.abs() + 1)
    return error, inside & _nearest(pixels, z, inside)


@torch.no_grad()
def _nearest(pixels: Tensor, z: Tensor, inside: Tensor) -> Tensor:
    """Return the mask [B, 1, H, W] of the points that no nearer point on the same pixel occludes, a constant."""
    count, _, height, width = z.shape
    u, v = torch.where(inside, pixels, 0).round().long().flatten(2).unbind(1)
    place = v * width + u  # [B, H * W]
    depth = torch.where(inside, z, torch.inf).flatten(1)
    nearest = torch.full_like(depth, torch.inf).scatter_reduce(1, place, depth, reduce="amin")
    return (depth <= OCCLUSION_RATIO * nearest.gather(1, place)).view(count, 1, height, width)


class DepthConsistency(Term):
    """Inconsistency between the target's depth, carried into each context frame, and the depth predicted there.

    It is computed at the finest scale. Source: Bian et al., NeurIPS 2019.

    >>> DepthConsistency().needs
    ('context_inv_depths',)
    """

    kind: Literal["depth_consistency"] = "depth_consistency"
    weight: NonNegative = 0.1
    """Factor of the term in the objective."""

    needs: ClassVar[tuple[str, ...]] = ("context_inv_depths",)
    needs_context: ClassVar[bool] = True

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean inconsistency over valid pixels, context frames and samples, a scalar."""
        assert outputs.context_inv_depths is not None
        motions = outputs.T_context_target.unbind(1)
        frames = zip(outputs.context_inv_depths.unbind(1), motions, strict=True)
        losses = [masked_mean(*depth_consistency(outputs.inv_depths[0], d, T, batch.camera)) for d, T in frames]
        return torch.stack(losses).mean()
