"""The height of the camera: the road gives depth and ego-motion a metric scale."""

from __future__ import annotations

from math import log
from typing import ClassVar, Literal

import torch
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import depth_from_inverse
from packdepth.geometry.height import HeightAboveRoad
from packdepth.geometry.road import road_height, road_points
from packdepth.objectives.term import NonNegative, Term
from packdepth.records import Batch, Outputs

TOLERATED = 0.1  # |log| of the ratio of heights below which the pull fades: about the noise of one image


def camera_height_loss(inv_depth: Tensor, T_context_target: Tensor, camera: Camera, height: Tensor) -> Tensor:
    """Return the mean of | log(predicted height / height) | over the batch; a sample without a road counts as zero.

    The gradient pulls the logarithm of the length of the motion, and nothing else: by sign(log), fading linearly below
    `TOLERATED`. Depth follows the motion by view synthesis, as it does for `velocity`, and keeps its shape. The
    gradient of the height itself would bend the road, and that of the mean depth disturbed the shape, too.

    Args:
        inv_depth: inverse depth [B, 1, H, W], 1/metres.
        T_context_target: ego-motion [B, N, 4, 4]. The longest of each sample gives the direction of the road, and is
            pulled.
        camera: the camera of each sample, with tensors [B].
        height: height of the camera above the road [B], in metres.

    Returns:
        A scalar.
    """
    lengths = torch.linalg.vector_norm(T_context_target[..., :3, 3], dim=-1)  # [B, N]
    longest = lengths.argmax(dim=1)
    depth = depth_from_inverse(inv_depth.detach())
    errors = []
    for i, single in enumerate(cameras(camera)):
        length = lengths[i, longest[i]]
        found = road_height(road_points(depth[i, 0], single), T_context_target[i, longest[i]].detach())
        if found is None:
            errors.append(0 * length)
            continue
        error = log(found) - height[i].log()
        pull = (error / TOLERATED).clamp(-1, 1) * length.log()
        errors.append(error.abs() + pull - pull.detach())
    return torch.stack(errors).mean()


def cameras(camera: Camera) -> list[Camera]:
    """Return the single cameras of a batch of cameras.

    Args:
        camera: cameras of tensors [B].

    >>> batch = Camera(*torch.tensor([[100.0, 200.0]] * 4), width=4, height=2)
    >>> [float(camera.fx) for camera in cameras(batch)]
    [100.0, 200.0]
    """
    columns = (torch.as_tensor(values).detach() for values in (camera.fx, camera.fy, camera.cx, camera.cy))
    return [Camera(fx, fy, cx, cy, camera.width, camera.height) for fx, fy, cx, cy in zip(*columns, strict=True)]


class CameraHeight(Term):
    """Height of the camera above the road: |log| of the predicted height over the known one.

    The predicted height is measured robustly in the depth of the road ahead, along the normal of the road, to which the
    ego-motion is perpendicular (`geometry.road`). Samples without a road, such as all samples before depth has a shape,
    and samples without motion count as zero. The gradient changes the length of ego-motion; depth follows.

    Source: the ground plane as a source of scale, as in DNet (Xue et al., IROS 2020), here as a term of the objective.

    >>> CameraHeight(height_m=1.65).metric_from
    'camera_height'
    """

    kind: Literal["camera_height"] = "camera_height"
    weight: NonNegative = 0.2
    """Factor of the term in the objective."""
    height_m: HeightAboveRoad | None = None
    """Height of the camera above the road, in metres. If left out, each clip's camera.yaml states it (`height_m`)."""

    needs_context: ClassVar[bool] = True
    metric_field: ClassVar[str | None] = "camera_height"
    sees_prepared: ClassVar[bool] = False

    @property
    def needs(self) -> tuple[str, ...]:
        """The height of the camera in each clip, unless `height_m` is given."""
        return () if self.height_m is not None else ("camera_height",)

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean absolute logarithm of the ratio of predicted and known height, a scalar."""
        inv_depth, height = outputs.inv_depths[0], batch.camera_height
        if self.height_m is not None:
            height = inv_depth.new_full((len(inv_depth),), self.height_m)
        assert height is not None
        return camera_height_loss(inv_depth, outputs.T_context_target, batch.camera, height)
