"""Cameras that are learned with depth and ego-motion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from packdepth.geometry.camera import Camera


class LearnedCameras(nn.Module):
    """Intrinsics of the cameras of a run, which begin at guesses and are changed by `training.calibration`.

    Its buffers are part of the trainer's state, so that a resumed run goes on with them.

    Args:
        guesses: of the cameras, at the size of their images.
    """

    change: Tensor  # [C, 4] float64, of log fx and log fy, and of cx and cy in image widths, from the guess
    deviation: Tensor  # [C] float64, relative standard deviation of the focal length

    def __init__(self, guesses: Sequence[Camera]) -> None:
        super().__init__()
        self.guesses = tuple(guesses)
        self.register_buffer("change", torch.zeros(len(guesses), 4, dtype=torch.float64))
        self.register_buffer("deviation", torch.full((len(guesses),), torch.nan, dtype=torch.float64))

    def forward(self, like: Camera, index: Tensor, mirrored: Tensor) -> Camera:
        """The cameras of a batch.

        Args:
            like: a batch's camera of tensors [B], whose size, type and device the result has.
            index: [B] which camera each sample has.
            mirrored: [B] bool, samples that a mirrored camera sees.
        """
        cameras = [self.camera(i).resized(like.height, like.width) for i in range(len(self.guesses))]
        numbers = torch.tensor([[c.fx, c.fy, c.cx, c.cy] for c in cameras], device=index.device)[index].unbind(-1)
        fx, fy, cx, cy = (number.to(torch.as_tensor(like.fx)) for number in numbers)
        return Camera(fx, fy, torch.where(mirrored, like.width - 1 - cx, cx), cy, like.width, like.height)

    def camera(self, index: int) -> Camera:
        """One camera (floats) at the size of its images."""
        return changed(self.guesses[index], self.change[index])


def changed(guess: Camera, change: Tensor) -> Camera:
    """A camera (floats) that differs from a guess by changes [4] of log fx and log fy, and of cx and cy in widths."""
    log_fx, log_fy, cx, cy = change.tolist()
    return replace(
        guess,
        fx=guess.fx * math.exp(log_fx),
        fy=guess.fy * math.exp(log_fy),
        cx=guess.cx + cx * guess.width,
        cy=guess.cy + cy * guess.width,
    )
