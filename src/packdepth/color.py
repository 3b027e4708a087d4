"""Colors for inverse depth: far is dark, near is bright and warm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Equal steps of lightness (OKLab 0.14 to 0.96), from indigo over magenta to cream, as saturated as sRGB allows.
ANCHORS = "05061d 1b0b47 3b0f6b 601786 94128b c02b7b e64963 fe7248 fea555 ffce82 fff2c3"


def _table(anchors: str) -> np.ndarray:
    """Colors [256, 3] uint8 between evenly spaced anchors."""
    colors = np.array([list(bytes.fromhex(anchor)) for anchor in anchors.split()], dtype=np.float64)
    places = np.linspace(0, len(colors) - 1, 256)
    channels = [np.interp(places, np.arange(len(colors)), channel) for channel in colors.T]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


TABLE = _table(ANCHORS)


def colorize(inv_depth: np.ndarray, low: float, high: float) -> np.ndarray:
    """Colors [H, W, 3] uint8 of inverse depth [H, W]: `low` (1/metres) and below darkest, `high` and above brightest.

    Take both from `color_range` of a whole clip, so that a color means the same depth in each of its frames.
    """
    share = (inv_depth - low) / max(high - low, 1e-9)
    return TABLE[(255 * share.clip(0, 1)).round().astype(np.uint8)]


def color_range(inv_depths: Sequence[np.ndarray]) -> tuple[float, float]:
    """Lowest and highest inverse depth (1/metres) worth a color: percentiles 2 and 98 over all maps together."""
    low, high = np.percentile(np.concatenate([inv_depth.ravel() for inv_depth in inv_depths]), [2, 98])
    return float(low), float(high)
