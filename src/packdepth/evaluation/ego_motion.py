"""Errors of the ego-motion between consecutive frames, against measured poses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from packdepth.data.targets import gaps
from packdepth.geometry import se3
from packdepth.records import Clip

MIN_LENGTH = 0.01  # metres per frame; with shorter motions, the ratio of lengths would be noise; chosen by eye


@dataclass(frozen=True)
class EgoMotionErrors:
    """The errors of predicted ego-motion."""

    motions: int
    """The number of motions."""
    distance: float
    """The distance traveled, metres: the sum of the measured lengths."""
    translation: float
    """The sum of |t_predicted - t_measured|, as a share of the distance."""
    translation_scaled: float
    """The error `translation` after all predicted translations were multiplied by `scale`."""
    scale: float
    """Measured distance / predicted distance."""
    length_ratio: float
    """The mean of |t_predicted| / |t_measured|, over motions of more than 1 cm; NaN if there are none."""
    rotation: float
    """The mean angle between predicted and measured rotation, degrees per frame."""


def ego_motion_errors(predicted: Tensor, measured: Tensor) -> EgoMotionErrors:
    """Return the errors of predicted motions. Shares of a distance of zero are NaN.

    The factor `scale` equates distances. A least-squares factor could be negative, and would then not punish a network
    that confuses forward and backward.

    >>> motion = torch.eye(4).repeat(3, 1, 1)
    >>> motion[:, 2, 3] = -1.0  # one metre ahead per frame
    >>> ego_motion_errors(motion, motion).length_ratio
    1.0

    Args:
        predicted: T_next_current [N, 4, 4], metres, N >= 1.
        measured: T_next_current [N, 4, 4], metres.
    """
    predicted, measured = predicted.double(), measured.double()
    p, m = predicted[:, :3, 3], measured[:, :3, 3]
    lengths, true_lengths = p.norm(dim=-1), m.norm(dim=-1)
    distance = true_lengths.sum()
    scale = distance / lengths.sum() if lengths.any() else torch.ones_like(distance)
    moved = true_lengths > MIN_LENGTH
    angles = se3.rotation_log(predicted[:, :3, :3].mT @ measured[:, :3, :3]).norm(dim=-1)
    return EgoMotionErrors(
        motions=len(measured),
        distance=distance.item(),
        translation=((p - m).norm(dim=-1).sum() / distance).item(),
        translation_scaled=((scale * p - m).norm(dim=-1).sum() / distance).item(),
        scale=scale.item(),
        length_ratio=(lengths[moved] / true_lengths[moved]).mean().item(),
        rotation=angles.rad2deg().mean().item(),
    )


def measured_motion(clip: Clip) -> Tensor | None:
    """Return the measured motions T_next_current of a clip of N frames, [N - 1, 4, 4] float64, metres.

    Args:
        clip: the clip. Without poses, or if no two neighboring frames are apart, the result is None.
    """
    poses = [frame.pose for frame in clip.frames if frame.pose is not None]
    if len(poses) < len(clip.frames) or clip.independent:
        return None
    T_world_camera = torch.from_numpy(np.stack(poses))
    motions = se3.compose(se3.inverse(T_world_camera[1:]), T_world_camera[:-1])
    moved = motions[:, :3, 3].norm(dim=-1) > MIN_LENGTH
    return motions if (moved & torch.from_numpy(~gaps(clip))).any() else None


def constant_motion(measured: Tensor) -> Tensor:
    """Return the baseline that uses no image: the mean translation without rotation, N times, [N, 4, 4].

    Args:
        measured: T_next_current [N, 4, 4].
    """
    T = torch.eye(4, dtype=measured.dtype).repeat(len(measured), 1, 1)
    T[:, :3, 3] = measured[:, :3, 3].mean(dim=0)
    return T
