"""Colors for inverse depth: far is dark, near is bright and warm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Equal steps of lightness (OKLab 0.14 to 0.96), from indigo over magenta to cream, as saturated as sRGB allows.
# The colors stand at equal distances from low to high inverse depth.
ANCHORS = "05061d 1b0b47 3b0f6b 601786 94128b c02b7b e64963 fe7248 fea555 ffce82 fff2c3"


MIN_RANGE = 1e-9  # 1/metres: keeps the color of a constant inverse depth finite
PERCENTILES = [2, 98]  # of inverse depth: the darkest and the brightest color, so that a few outliers do not count


def _table(anchors: str) -> np.ndarray:
    """Return colors [256, 3] uint8 between evenly spaced anchors."""
    colors = np.array([list(bytes.fromhex(anchor)) for anchor in anchors.split()], dtype=np.float64)
    places = np.linspace(0, len(colors) - 1, 256)
    channels = [np.interp(places, np.arange(len(colors)), channel) for channel in colors.T]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


TABLE = _table(ANCHORS)


def colorize(inv_depth: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the colors of inverse depth.

    Take both limits from `color_range` of a whole clip, so that a color means the same depth in each of its frames.

    Args:
        inv_depth: inverse depth [H, W], 1/metres.
        low: inverse depth (1/metres) of the darkest color; smaller values have it too.
        high: inverse depth (1/metres) of the brightest color; larger values have it too.

    Returns:
        Colors [H, W, 3] uint8, RGB.

    >>> colorize(np.array([[0.0, 1.0]]), low=0.0, high=1.0).tolist()
    [[[5, 6, 29], [255, 242, 195]]]
    """
    share = (inv_depth - low) / max(high - low, MIN_RANGE)
    return TABLE[(255 * share.clip(0, 1)).round().astype(np.uint8)]


def color_range(inv_depths: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the limits of the colors: percentiles 2 and 98 of inverse depth, over all maps together.

    Args:
        inv_depths: inverse depth maps [H, W], 1/metres.

    Returns:
        Low and high inverse depth, in 1/metres.

    >>> color_range([np.array([[0.0, 0.5]]), np.array([[1.0]])])
    (0.02, 0.98)
    """
    low, high = np.percentile(np.concatenate([inv_depth.ravel() for inv_depth in inv_depths]), PERCENTILES)
    return float(low), float(high)
