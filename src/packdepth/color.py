"""Colors for inverse depth, by the name of a color map. In each map, far is the first color and near the last one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from packdepth.errors import check_choice

Colormap = Literal["dusk", "turbo", "inferno", "magma", "viridis", "spectral", "gray"]
"""The names of the color maps."""
COLORMAPS: tuple[Colormap, ...] = get_args(Colormap)

# The colors of each map stand at equal distances from low to high inverse depth.
ANCHORS: dict[Colormap, str] = {
    # Equal steps of lightness (OKLab 0.14 to 0.96), from indigo over magenta to cream, as saturated as sRGB allows.
    "dusk": "05061d 1b0b47 3b0f6b 601786 94128b c02b7b e64963 fe7248 fea555 ffce82 fff2c3",
    # Every 16th color of Google's map (A. Mikhailov, 2019); other values differ by at most 7 of 255.
    "turbo": "30123b 4040a2 466be3 4294ff 28bceb 18ddc2 32f298 6dfe62 a4fc3c cbed34 ecd13a fdae35 fb8122 ec530f d23105 "
    "ac1701 7a0403",
    # Every 16th color of matplotlib's maps (N. Smith, S. van der Walt, 2015, CC0); others differ by at most 6 of 255.
    "inferno": "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d04545 e35933 f1711f f98c0a fcaa0f "
    "f9c932 f2e865 fcffa4",
    "magma": "000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 cf4070 e55064 f4695c fb8761 fea571 "
    "fec287 fde0a1 fcfdbf",
    "viridis": "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1f9f88 27ad81 3dbc74 5cc863 81d34d "
    "aadc32 d5e21a fde725",
    # ColorBrewer's 11 colors (C. Brewer, 2002), from blue to red, so that near is warm.
    "spectral": "5e4fa2 3288bd 66c2a5 abdda4 e6f598 ffffbf fee08b fdae61 f46d43 d53e4f 9e0142",
    "gray": "000000 ffffff",
}

MIN_RANGE = 1e-9  # 1/metres: keeps the color of a constant inverse depth finite
# Round depths in the order in which they claim their place on the bar: the fewer digits the rounder.
ROUND = tuple(base * 10.0**power for base in (1, 2, 5, 3, 7, 1.5, 4) for power in range(-2, 4))
PERCENTILES = [2, 99.5]  # of inverse depth: the first and the last color; few outliers count, but the near road does


def _table(anchors: str) -> np.ndarray:
    """Return colors [256, 3] uint8 between evenly spaced anchors."""
    colors = np.array([list(bytes.fromhex(anchor)) for anchor in anchors.split()], dtype=np.float64)
    places = np.linspace(0, len(colors) - 1, 256)
    channels = [np.interp(places, np.arange(len(colors)), channel) for channel in colors.T]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


TABLES = {name: _table(anchors) for name, anchors in ANCHORS.items()}
"""The 256 colors [256, 3] uint8 of each map."""
TABLE = TABLES["dusk"]
"""The 256 colors [256, 3] uint8 of the default map."""


def colorize(inv_depth: np.ndarray, low: float, high: float, colormap: Colormap = "dusk") -> np.ndarray:
    """Return the colors of inverse depth.

    Take both limits from `color_range` of a whole clip, so that a color means the same depth in each of its frames.

    Args:
        inv_depth: inverse depth [H, W], 1/metres.
        low: inverse depth (1/metres) of the first color, the darkest of the default map; smaller values have it too.
        high: inverse depth (1/metres) of the last color, the brightest of the default map; larger values have it too.
        colormap: the name of the color map.

    Returns:
        Colors [H, W, 3] uint8, RGB.

    Raises InputError for another color map.

    >>> colorize(np.array([[0.0, 1.0]]), low=0.0, high=1.0).tolist()
    [[[5, 6, 29], [255, 242, 195]]]
    """
    check_choice("colormap", colormap, COLORMAPS)
    share = (inv_depth - low) / max(high - low, MIN_RANGE)
    return TABLES[colormap][(255 * share.clip(0, 1)).round().astype(np.uint8)]


def color_range(inv_depths: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the limits of the colors: percentiles 2 and 99.5 of inverse depth, over all maps together.

    Args:
        inv_depths: inverse depth maps [H, W], 1/metres.

    Returns:
        Low and high inverse depth, in 1/metres.

    >>> color_range([np.array([[0.0, 0.5]]), np.array([[1.0]])])
    (0.02, 0.995)
    """
    low, high = np.percentile(np.concatenate([inv_depth.ravel() for inv_depth in inv_depths]), PERCENTILES)
    return float(low), float(high)


def bar_ticks(low: float, high: float, length: float, spacing: float) -> list[tuple[float, float]]:
    """Return round depths of a bar whose colors are linear in inverse depth, each with its position from the far end.

    Args:
        low: inverse depth (1/metres) at the far end.
        high: inverse depth (1/metres) at the near end.
        length: length of the bar, in pixels.
        spacing: least distance between two ticks, and half of it to the far end, in pixels.

    Returns:
        Pairs of depth in metres and position in pixels, from far to near; the last one is that of the near end.

    >>> bar_ticks(0.0, 1.0, length=100, spacing=20)
    [(10.0, 10.0), (2.0, 50.0), (1.0, 100.0)]
    """
    chosen = [(float(f"{1 / max(high, MIN_RANGE):.2g}"), float(length))]
    for depth in ROUND:
        place = length * (1 / depth - low) / max(high - low, MIN_RANGE)
        inside = spacing / 2 <= place <= length
        if inside and all(abs(place - other) >= spacing for _, other in chosen):
            chosen.append((depth, round(place, 1)))
    return sorted(chosen, key=lambda tick: tick[1])
