"""Small batches and outputs for tests: smooth random frames, random inverse depths and motions."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.records import Batch, Outputs


def make_batch(size: int = 2, height: int = 16, width: int = 24, dtype: torch.dtype = torch.float32) -> Batch:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(size, 3, 3, height // 4 + 1, width // 4 + 1, generator=generator, dtype=dtype)
    frames = F.interpolate(coarse.flatten(0, 1), (height, width), mode="bicubic", align_corners=True).clamp(0, 1)
    frames = frames.view(size, 3, 3, height, width)
    ones = torch.ones(size, dtype=dtype)
    return Batch(
        names=["a"] * size,
        offsets=(-1, 1),
        camera=Camera(20 * ones, 20 * ones, (width - 1) / 2 * ones, (height - 1) / 2 * ones, width, height),
        image=frames[:, 0],
        context=frames[:, 1:],
        network_image=frames[:, 0],
        network_context=frames[:, 1:],
        distance=torch.ones(size, 2, dtype=dtype),
    )


def make_outputs(batch: Batch, scales: int = 4) -> Outputs:
    generator = torch.Generator().manual_seed(1)
    size, (height, width), dtype = len(batch), batch.image.shape[-2:], batch.image.dtype
    vectors = 0.1 * torch.randn(size, 2, 6, generator=generator, dtype=dtype)
    shapes = [(size, 1, -(-height // 2**s), -(-width // 2**s)) for s in range(scales)]
    inv_depths = [0.2 + 0.1 * torch.rand(shape, generator=generator, dtype=dtype) for shape in shapes]
    return Outputs(inv_depths, se3.from_vector(vectors))


def paired(batch: Batch) -> Batch:
    """A batch whose context frames serve as right images."""
    right = batch.context[:, 0]
    return replace(batch, right=right, network_right=right, baseline=torch.tensor([0.3, 0.5], dtype=right.dtype))
