"""Deterministic weights and inputs, so that a golden file needs to hold names, shapes and outputs alone.

``fill(name, shape)`` depends on the name and shape only: Philox seeded with the first eight bytes of
SHA-256(name), standard normal float32, scaled by the kind of tensor.
"""

import hashlib
from collections.abc import Sequence

import numpy as np


def normal(name: str, shape: Sequence[int]) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return np.random.Generator(np.random.Philox(seed)).standard_normal(tuple(shape), dtype=np.float32)


def uniform(name: str, shape: Sequence[int]) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return np.random.Generator(np.random.Philox(seed)).random(tuple(shape), dtype=np.float32)


def fill(name: str, shape: Sequence[int]) -> np.ndarray:
    """The value of the parameter or buffer ``name`` (a key of the reference state dict)."""
    if name.endswith("num_batches_tracked"):
        return np.zeros(tuple(shape), dtype=np.int64)
    x = normal(name, shape)
    if name.endswith("running_var"):
        return 1 + 0.1 * np.abs(x)
    if name.endswith("running_mean"):
        return 0.1 * x
    if len(shape) >= 2:
        return x / np.float32(np.sqrt(np.prod(shape[1:])))
    return 1 + 0.1 * x if name.endswith("weight") else 0.1 * x


def smooth_image(name: str, shape: tuple[int, int, int, int], coarse: int = 8) -> np.ndarray:
    """A smooth random image batch [B, 3, H, W] in [0, 1]: bilinear upsampling of uniform noise."""
    b, c, h, w = shape
    low = uniform(name, (b, c, h // coarse + 2, w // coarse + 2))
    ys = np.arange(h, dtype=np.float32) / coarse
    xs = np.arange(w, dtype=np.float32) / coarse
    y0, x0 = ys.astype(int), xs.astype(int)
    fy, fx = (ys - y0)[:, None], (xs - x0)[None, :]
    rows0, rows1 = low[:, :, y0], low[:, :, y0 + 1]
    return (
        (1 - fy) * ((1 - fx) * rows0[..., x0] + fx * rows0[..., x0 + 1])
        + fy * ((1 - fx) * rows1[..., x0] + fx * rows1[..., x0 + 1])
    ).astype(np.float32)
