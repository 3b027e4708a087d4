"""Cameras that are learned with depth and ego-motion."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from packdepth.geometry.camera import Camera

FOCAL, ASPECT, CENTRE = 0.3, 0.02, 0.02  # standard deviations of the prior: log f, log fx / fy, centre (image widths)


class LearnedCameras(nn.Module):
    """Intrinsics as parameters, one set for each camera, that begin at guesses. Source: Gordon et al., ICCV 2019.

    Args:
        guesses: of the cameras, at the size of their images.
    """

    def __init__(self, guesses: Sequence[Camera]) -> None:
        super().__init__()
        self.sizes = [(guess.height, guess.width) for guess in guesses]
        numbers = [[guess.fx, guess.fy, guess.cx, guess.cy] for guess in guesses]
        self.guess: Tensor
        self.register_buffer("guess", torch.tensor(numbers, dtype=torch.float32))  # [C, 4] pixels
        self.change = nn.Parameter(torch.zeros(len(guesses), 4))  # log fx, log fy, cx and cy in image widths

    def forward(self, like: Camera, index: Tensor, mirrored: Tensor) -> Camera:
        """The cameras of a batch, at the size of its images.

        Args:
            like: of the size that is wanted.
            index: [B] which camera each sample has.
            mirrored: [B] bool, samples that a mirrored camera sees.

        Returns:
            a camera of tensors [B], differentiable in the parameters.
        """
        parts = [self.camera(i).resized(like.height, like.width) for i in range(len(self.sizes))]
        fx, fy, cx, cy = (
            torch.stack(column)[index] for column in zip(*[(p.fx, p.fy, p.cx, p.cy) for p in parts], strict=True)
        )
        return Camera(fx, fy, torch.where(mirrored, like.width - 1 - cx, cx), cy, like.width, like.height)

    def camera(self, index: int) -> Camera:
        """One camera at the size of its images, of scalar tensors."""
        height, width = self.sizes[index]
        guess, change = self.guess[index], self.change[index]
        fx, fy = guess[:2] * change[:2].exp()
        cx, cy = guess[2:] + change[2:] * width
        return Camera(fx, fy, cx, cy, width, height)

    def prior(self) -> Tensor:
        """How far the cameras are from their guesses, in squared standard deviations of what cameras are like.

        Mean over cameras, a scalar. Pixels are nearly square and principal points nearly central; the focal length is
        little known.
        """
        log_fx, log_fy, cx, cy = self.change.unbind(-1)
        focal, aspect = (log_fx + log_fy) / 2 / FOCAL, (log_fx - log_fy) / ASPECT
        return (focal**2 + aspect**2 + (cx / CENTRE) ** 2 + (cy / CENTRE) ** 2).mean()
