"""Depth consistency between views: a point is as deep in a context frame as the network says there."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import depth_from_inverse
from packdepth.geometry.warp import carry, sample
from packdepth.objectives.term import NonNegative, Term, masked_mean
from packdepth.records import Batch, Outputs

HIDDEN = 1.1  # a point that far behind the nearest one in its pixel, as a factor of its depth, is hidden by it


def depth_consistency(
    inv_depth: Tensor, context_inv_depth: Tensor, T_context_target: Tensor, camera: Camera
) -> tuple[Tensor, Tensor]:
    """|z - z'| / (z + z') at each pixel, z the target's depth carried into the context frame, z' predicted there.

    Between 0 and 1, and the same for depths and their inverses. Pixels are invalid where the point is out of the
    context frame's view, or hidden there by another point of the target.

    Args:
        inv_depth: of the target, [B, 1, H, W], 1/metres.
        context_inv_depth: of the context frame, [B, 1, H, W], 1/metres.
        T_context_target: [B, 4, 4].
        camera: of both.

    Returns:
        the error [B, 1, H, W] and where it is valid [B, 1, H, W] bool. Source: the geometry consistency loss of Bian
        et al., NeurIPS 2019 (SC-SfMLearner); the mask of hidden points is this project's own.
    """
    pixels, z, inside = carry(depth_from_inverse(inv_depth), T_context_target, camera)
    product = z * sample(context_inv_depth, pixels)  # z / z'
    error = (product - 1).abs() / (product.abs() + 1)
    return error, inside & _nearest(pixels, z, inside)


@torch.no_grad()
def _nearest(pixels: Tensor, z: Tensor, inside: Tensor) -> Tensor:
    """Whether each point [B, 1, H, W] is not hidden by one that falls on the same pixel [B, 2, H, W], a constant."""
    count, _, height, width = z.shape
    u, v = torch.where(inside, pixels, 0).round().long().flatten(2).unbind(1)
    place = v * width + u  # [B, H * W]
    depth = torch.where(inside, z, torch.inf).flatten(1)
    nearest = torch.full_like(depth, torch.inf).scatter_reduce(1, place, depth, reduce="amin")
    return (depth <= HIDDEN * nearest.gather(1, place)).view(count, 1, height, width)


class DepthConsistency(Term):
    """Depth of the target, carried into each context frame, against the depth predicted there, at the finest scale.

    Source: Bian et al., NeurIPS 2019.
    """

    kind: Literal["depth_consistency"] = "depth_consistency"
    weight: NonNegative = 0.1

    needs: ClassVar[tuple[str, ...]] = ("context_inv_depths",)
    needs_context: ClassVar[bool] = True

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Mean over valid pixels, context frames and samples, a scalar."""
        assert outputs.context_inv_depths is not None
        motions = outputs.T_context_target.unbind(1)
        frames = zip(outputs.context_inv_depths.unbind(1), motions, strict=True)
        losses = [masked_mean(*depth_consistency(outputs.inv_depths[0], d, T, batch.camera)) for d, T in frames]
        return torch.stack(losses).mean()
