"""Velocity supervision: metric scale from the distance traveled."""

from __future__ import annotations

import torch
from torch import Tensor

from packdepth.records import Batch, Outputs


def velocity_loss(T_context_target: Tensor, distance: Tensor) -> Tensor:
    """Mean | ||t|| - distance | in metres.

    Args:
        T_context_target: [B, N, 4, 4] predicted ego-motion.
        distance: [B, N] metres traveled between the target and each context frame: speed times time.

    Returns:
        a scalar. Source: PackNet, CVPR 2020, eq. 6.
    """
    error: Tensor = torch.linalg.vector_norm(T_context_target[..., :3, 3], dim=-1) - distance
    return error.abs().mean()


class Velocity:
    """The term `velocity`.

    Args:
        impose: whether the objective shows the other terms the ego-motion at the measured length. Depth then has its
            scale from the first step on, and the ego-motion network learns its length from this term alone.
    """

    needs: tuple[str, ...] = ("distance",)

    def __init__(self, impose: bool = False) -> None:
        self.impose = impose

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """A scalar, metres."""
        assert batch.distance is not None
        return velocity_loss(outputs.T_context_target, batch.distance)
