"""Cameras whose intrinsics are learned together with depth and ego-motion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from packdepth.geometry.camera import Camera


class LearnedCameras(nn.Module):
    """Intrinsics of the cameras of a run. They begin at guesses, and `training.calibration` changes them.

    The buffers are part of the trainer's state, so that a resumed run continues with them.

    Args:
        guesses: the guessed cameras (floats), at the size of their images.

    >>> LearnedCameras([Camera.from_fov(60.0, 640, 192)]).camera(0).cx
    319.5
    """

    change: Tensor  # [C, 4] float64, difference from the guess: of log fx, log fy, and of cx, cy in image widths
    deviation: Tensor  # [C] float64, relative standard deviation of the focal length

    def __init__(self, guesses: Sequence[Camera]) -> None:
        super().__init__()
        self.guesses = tuple(guesses)
        self.register_buffer("change", torch.zeros(len(guesses), 4, dtype=torch.float64))
        self.register_buffer("deviation", torch.full((len(guesses),), torch.nan, dtype=torch.float64))

    def forward(self, like: Camera, index: Tensor, mirrored: Tensor) -> Camera:
        """Return the camera of a batch, with tensors [B] as intrinsics.

        Args:
            like: a camera with tensors [B]; the result has its image size, dtype and device.
            index: [B] int64, the number of each sample's camera.
            mirrored: [B] bool, whether each sample is mirrored.
        """
        cameras = [self.camera(i).resized(like.height, like.width) for i in range(len(self.guesses))]
        numbers = torch.tensor([[c.fx, c.fy, c.cx, c.cy] for c in cameras], device=index.device)[index].unbind(-1)
        fx, fy, cx, cy = (number.to(torch.as_tensor(like.fx)) for number in numbers)
        return Camera(fx, fy, torch.where(mirrored, like.width - 1 - cx, cx), cy, like.width, like.height)

    def camera(self, index: int) -> Camera:
        """Return one camera (floats) at the size of its images.

        Args:
            index: number of the camera.
        """
        return changed(self.guesses[index], self.change[index])


def changed(guess: Camera, change: Tensor) -> Camera:
    """Return the camera (floats) that differs from a guess by a change.

    Args:
        guess: the guessed camera (floats).
        change: [4], difference of log fx, of log fy, and of cx and cy in image widths.

    >>> guess = Camera(fx=100.0, fy=100.0, cx=49.5, cy=24.5, width=100, height=50)
    >>> changed(guess, torch.tensor([0.0, 0.0, 0.25, 0.0])).cx
    74.5
    """
    log_fx, log_fy, cx, cy = change.tolist()
    return replace(
        guess,
        fx=guess.fx * math.exp(log_fx),
        fy=guess.fy * math.exp(log_fy),
        cx=guess.cx + cx * guess.width,
        cy=guess.cy + cy * guess.width,
    )
