"""The height of the camera: the ground plane gives depth and ego-motion a metric scale."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import depth_from_inverse
from packdepth.geometry.plane import Plane, fit_ground
from packdepth.geometry.road import road_points
from packdepth.objectives.term import NonNegative, Term
from packdepth.records import Batch, Outputs


def plane_height(points: Tensor, plane: Plane) -> Tensor:
    """Return the height of the camera above the inliers of a plane, a scalar: the mean along the plane's normal.

    The gradient flows to the inliers; the choice of inliers and the normal are constants.

    Args:
        points: points [N, 3] in the camera frame.
        plane: the plane.

    >>> plane = Plane(torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64), height=1.5)
    >>> plane_height(torch.tensor([[0.0, 1.5, 4.0], [1.0, 1.48, 6.0], [0.0, 0.2, 5.0]]), plane)  # one outlier
    tensor(1.4900)
    """
    heights = points @ plane.normal.to(points)
    return heights[plane.inliers(points)].mean()


def cameras(camera: Camera) -> list[Camera]:
    """Return the single cameras of a batch of cameras.

    Args:
        camera: cameras of tensors [B].

    >>> batch = Camera(*torch.tensor([[100.0, 200.0]] * 4), width=4, height=2)
    >>> [float(camera.fx) for camera in cameras(batch)]
    [100.0, 200.0]
    """
    columns = (torch.as_tensor(values) for values in (camera.fx, camera.fy, camera.cx, camera.cy))
    return [Camera(*numbers, camera.width, camera.height) for numbers in zip(*columns, strict=True)]


def camera_height_loss(depth: Tensor, camera: Camera, height: Tensor) -> Tensor:
    """Return the mean of | log(predicted height / height) | over the batch; a sample without ground counts as zero.

    The logarithm makes twice too far and twice too near equally wrong, and its size bounds the gradient of a sample
    whose ground is found in the wrong place.

    Args:
        depth: z-depth [B, 1, H, W].
        camera: the camera of each sample, with tensors [B].
        height: height of the camera above the road [B], in metres.

    Returns:
        A scalar.
    """
    errors = []
    for each, single, metres in zip(depth[:, 0], cameras(camera), height, strict=True):
        points = road_points(each, single)
        plane = fit_ground(points.detach())
        errors.append(0 * metres if plane is None else (plane_height(points, plane) / metres).log().abs())
    return torch.stack(errors).mean()


class CameraHeight(Term):
    """Height of the camera above the road: |log| of the height above the predicted ground plane over the known height.

    A plane is fitted robustly to the predicted depth of the road ahead of the camera (RANSAC, `geometry.plane`).
    Samples without a plane, such as all samples before depth has a shape, count as zero. The scale of ego-motion
    follows that of depth by view synthesis.

    Source: the ground plane as a source of scale, as in DNet (Xue et al., IROS 2020), here as a term of the objective.

    >>> CameraHeight(height_m=1.65).metric_from
    'camera height'
    """

    kind: Literal["camera_height"] = "camera_height"
    weight: NonNegative = 0.05
    """Factor of the term in the objective."""
    height_m: PositiveFloat | None = None
    """Height of the camera above the road, in metres. If left out, each clip's camera.yaml states it (`height_m`)."""

    metric_field: ClassVar[str | None] = "camera height"

    @property
    def needs(self) -> tuple[str, ...]:
        """The height of the camera in each clip, unless `height_m` is given."""
        return () if self.height_m is not None else ("camera_height",)

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean absolute logarithm of the ratio of predicted and known height, a scalar."""
        depth = depth_from_inverse(outputs.inv_depths[0])
        if self.height_m is not None:
            return camera_height_loss(depth, batch.camera, depth.new_full((len(depth),), self.height_m))
        assert batch.camera_height is not None
        return camera_height_loss(depth, batch.camera, batch.camera_height)
