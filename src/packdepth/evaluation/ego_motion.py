"""Ego-motion between consecutive frames against measured poses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from packdepth.data.targets import gaps
from packdepth.geometry import se3
from packdepth.records import Clip

STANDING = 0.01  # metres a frame; shorter motions are left out of the ratio of lengths


@dataclass(frozen=True)
class EgoMotionErrors:
    """How far predicted ego-motion is from measured."""

    motions: int
    """How many were compared."""
    distance: float
    """Metres traveled: the sum of the measured lengths."""
    translation: float
    """Sum of |t_predicted - t_measured|, as a share of the distance."""
    translation_scaled: float
    """The same after one factor, `scale`, on all predicted translations."""
    scale: float
    """Measured distance over predicted distance."""
    length_ratio: float
    """Mean of |t_predicted| / |t_measured|, over frames that moved more than 1 cm; NaN if none did."""
    rotation: float
    """Mean angle between predicted and measured rotation, degrees a frame."""


def ego_motion_errors(predicted: Tensor, measured: Tensor) -> EgoMotionErrors:
    """Compare motions T_next_current [N, 4, 4] (metres), N >= 1. Shares of no distance at all are NaN.

    The factor of `translation_scaled` matches distances. Least squares would allow a negative factor, and so forgive
    a network that takes forward for backward.
    """
    predicted, measured = predicted.double(), measured.double()
    p, m = predicted[:, :3, 3], measured[:, :3, 3]
    lengths, truths = p.norm(dim=-1), m.norm(dim=-1)
    distance = truths.sum()
    scale = distance / lengths.sum() if lengths.any() else torch.ones_like(distance)
    moved = truths > STANDING
    angles = se3.rotation_log(predicted[:, :3, :3].mT @ measured[:, :3, :3]).norm(dim=-1)
    return EgoMotionErrors(
        motions=len(measured),
        distance=distance.item(),
        translation=((p - m).norm(dim=-1).sum() / distance).item(),
        translation_scaled=((scale * p - m).norm(dim=-1).sum() / distance).item(),
        scale=scale.item(),
        length_ratio=(lengths[moved] / truths[moved]).mean().item(),
        rotation=angles.rad2deg().mean().item(),
    )


def measured_motion(clip: Clip) -> Tensor | None:
    """T_next_current [N - 1, 4, 4] (float64, m) of a clip's N poses; None without poses, or if neighbors stand."""
    poses = [frame.pose for frame in clip.frames if frame.pose is not None]
    if len(poses) < len(clip.frames) or clip.independent:
        return None
    T_world_camera = torch.from_numpy(np.stack(poses))
    motions = se3.compose(se3.inverse(T_world_camera[1:]), T_world_camera[:-1])
    moved = motions[:, :3, 3].norm(dim=-1) > STANDING
    return motions if (moved & torch.from_numpy(~gaps(clip))).any() else None


def constant_motion(measured: Tensor) -> Tensor:
    """The baseline that looks at no image: the mean translation of motions [N, 4, 4], no rotation; [N, 4, 4]."""
    T = torch.eye(4, dtype=measured.dtype).repeat(len(measured), 1, 1)
    T[:, :3, 3] = measured[:, :3, 3].mean(dim=0)
    return T
