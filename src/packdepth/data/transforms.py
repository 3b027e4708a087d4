"""Random changes of a sample: drawn once, applied to all its frames. Pure functions of tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from packdepth.config import Jitter
from packdepth.records import Sample


def flipped(sample: Sample) -> Sample:
    """The sample as a mirrored camera sees it: images, measured depth and intrinsics.

    In the mirror the right camera stands to the left: its image stays the other one of the pair, at the negative
    baseline, so that context, measured depth and ego-motion remain those of the target's own camera.
    """

    def mirror(image: Tensor) -> Tensor:
        return image.flip(-1)

    def mirrored(image: Tensor | None) -> Tensor | None:
        return None if image is None else mirror(image)

    return replace(
        sample,
        camera=sample.camera.flipped(),
        image=mirror(sample.image),
        context=mirror(sample.context),
        network_image=mirror(sample.network_image),
        network_context=mirror(sample.network_context),
        truth=mirrored(sample.truth),
        right=mirrored(sample.right),
        network_right=mirrored(sample.network_right),
        baseline=None if sample.baseline is None else -sample.baseline,
        mirrored=None if sample.mirrored is None else ~sample.mirrored,
        semantic=mirrored(sample.semantic),
        context_semantic=mirrored(sample.context_semantic),
    )


@dataclass(frozen=True)
class ColorJitter:
    """One draw of color jitter. Applied in the order brightness, contrast, saturation, hue."""

    brightness: float  # factor
    contrast: float  # factor, about the mean gray of the image
    saturation: float  # factor
    hue: float  # turns of the color circle

    @classmethod
    def draw(cls, limits: Jitter, rng: np.random.Generator) -> ColorJitter:
        """Factors uniform in [1 - x, 1 + x], hue uniform in [-x, x]."""
        brightness, contrast, saturation, hue = rng.uniform(-1, 1, 4)
        return cls(
            1 + limits.brightness * brightness,
            1 + limits.contrast * contrast,
            1 + limits.saturation * saturation,
            limits.hue * hue,
        )

    def __call__(self, images: Tensor) -> Tensor:
        """Images [..., 3, H, W], RGB in [0, 1], to the same shape and range."""
        x = (images * self.brightness).clamp(0, 1)
        mean = gray(x).mean((-3, -2, -1), keepdim=True)
        x = (mean + (x - mean) * self.contrast).clamp(0, 1)
        x = (gray(x) + (x - gray(x)) * self.saturation).clamp(0, 1)
        return rotate_hue(x, self.hue).clamp(0, 1)


def gray(images: Tensor) -> Tensor:
    """Luma [..., 1, H, W] of RGB images [..., 3, H, W] (ITU-R BT.601)."""
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=images.dtype, device=images.device)
    return (images * weights[:, None, None]).sum(-3, keepdim=True)


def rotate_hue(images: Tensor, turns: float) -> Tensor:
    """RGB images [..., 3, H, W] with their chroma turned in the YIQ plane; gray stays gray, luma stays."""
    to_yiq = torch.tensor(
        [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], dtype=torch.float64
    )
    cosine, sine = np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)
    turn = torch.tensor([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]], dtype=torch.float64)
    matrix = (torch.linalg.inv(to_yiq) @ turn @ to_yiq).to(images)
    return torch.einsum("ij,...jhw->...ihw", matrix, images)
