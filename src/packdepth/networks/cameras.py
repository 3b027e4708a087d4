"""Cameras that are learned with depth and ego-motion."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from packdepth.geometry import se3
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


def across_the_image(T_context_target: Tensor, camera: Camera) -> Tensor:
    """The motion as it is, [B, N, 4, 4], such that a change of focal length leaves what it moves across the image.

    What moves the image as a whole is the focal length times rotation, and times translation across. A pose network
    never tells these without error, and a shorter focal length would make less of the error: by their gradient at a
    fixed motion focal lengths shrink. So their gradient is taken at a fixed product, in which only what tells them from
    motion is left. Values are unchanged.

    Args:
        T_context_target: ego-motion.
        camera: learned, of tensors [B].
    """
    x, y = (torch.as_tensor(focal).detach() / focal for focal in (camera.fx, camera.fy))
    one = torch.ones_like(x)
    factors = torch.stack([x, y, one, y, x, one], dim=-1)  # of translation, then of rotation about each axis
    return se3.from_vector(se3.to_vector(T_context_target) * factors[:, None])
