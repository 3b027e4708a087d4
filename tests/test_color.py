"""Colors of inverse depth."""

from __future__ import annotations

import numpy as np
import pytest

from packdepth.color import COLORMAPS, TABLE, TABLES, Colormap, color_range, colorize
from packdepth.errors import InputError


def test_lightness_rises_evenly() -> None:
    linear = np.where(TABLE / 255 <= 0.04045, TABLE / 255 / 12.92, ((TABLE / 255 + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array([[0.4122, 0.2119, 0.0883], [0.5363, 0.6807, 0.2817], [0.0514, 0.1074, 0.6300]])
    lightness = np.cbrt(cones) @ np.array([0.2105, 0.7936, -0.0041])  # OKLab
    steps = np.diff(lightness[::15])
    assert (steps > 0.6 * steps.mean()).all()
    assert (steps < 1.4 * steps.mean()).all()


def test_far_is_dark_and_near_is_bright_and_warm() -> None:
    far, near = colorize(np.array([[0.0, 1.0]], dtype=np.float32), 0.0, 1.0)[0]
    assert far.max() < 40
    assert near.min() > 150
    assert near[0] > near[2]


def test_the_range_is_the_callers() -> None:
    inv_depth = np.linspace(0.1, 0.5, 12, dtype=np.float32).reshape(3, 4)
    colors = colorize(inv_depth, 0.2, 0.4)
    assert colors.shape == (3, 4, 3)
    assert colors.dtype == np.uint8
    assert (colors[inv_depth <= 0.2] == TABLE[0]).all()
    assert (colors[inv_depth >= 0.4] == TABLE[-1]).all()
    np.testing.assert_array_equal(colorize(inv_depth[:, :2], 0.2, 0.4), colors[:, :2])


def test_a_flat_map_has_a_color() -> None:
    flat = np.full((2, 2), 0.1, dtype=np.float32)
    assert (colorize(flat, *color_range([flat])) == TABLE[0]).all()


def test_the_range_is_that_of_all_maps_together() -> None:
    low, high = color_range([np.linspace(0, 1, 101), np.linspace(1, 2, 101).reshape(1, 101)])
    assert abs(low - 0.04) < 0.01
    assert abs(high - 1.99) < 0.01


@pytest.mark.parametrize(
    ("colormap", "far", "middle", "near"),
    [
        ("turbo", (48, 18, 59), (164, 252, 60), (122, 4, 3)),
        ("inferno", (0, 0, 4), (188, 55, 84), (252, 255, 164)),
        ("magma", (0, 0, 4), (183, 55, 121), (252, 253, 191)),
        ("viridis", (68, 1, 84), (33, 145, 140), (253, 231, 37)),
        ("spectral", (94, 79, 162), (255, 255, 191), (158, 1, 66)),
        ("gray", (0, 0, 0), (128, 128, 128), (255, 255, 255)),
    ],
)
def test_color_maps_by_name(
    colormap: Colormap, far: tuple[int, ...], middle: tuple[int, ...], near: tuple[int, ...]
) -> None:
    """The published colors at the ends and in the middle."""
    colors = colorize(np.array([[0.0, 0.5, 1.0]]), 0.0, 1.0, colormap)[0].astype(int)
    np.testing.assert_allclose(colors, [far, middle, near], atol=2)


def test_all_color_maps_have_256_colors_that_change_gradually() -> None:
    for colormap in COLORMAPS:
        assert TABLES[colormap].shape == (256, 3)
        assert np.abs(np.diff(TABLES[colormap].astype(int), axis=0)).max() <= 8


def test_a_color_map_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="colormap cannot be 'foo': valid names are dusk, turbo"):
        colorize(np.ones((2, 2)), 0.0, 1.0, "foo")  # type: ignore[arg-type]
