"""Color bars by their values, and images beside their depth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packdepth.color import COLORMAPS, TABLES, Colormap, bar_ticks
from packdepth.inference.pictures import BACKGROUND, joined, with_bar


def test_ticks_are_round_metres_at_their_inverse_depth() -> None:
    ticks = bar_ticks(1 / 80, 1 / 4, length=400, spacing=20)
    assert [depth for depth, _ in ticks] == [50.0, 30.0, 20.0, 15.0, 10.0, 7.0, 5.0, 4.0]
    for depth, place in ticks:
        assert place == pytest.approx(400 * (1 / depth - 1 / 80) / (1 / 4 - 1 / 80), abs=0.05)


@given(near=st.floats(0.2, 20), ratio=st.floats(1.5, 100), length=st.floats(60, 1000))
def test_ticks_never_overlap(near: float, ratio: float, length: float) -> None:
    ticks = bar_ticks(1 / (near * ratio), 1 / near, length, spacing=15)
    places = [place for _, place in ticks]
    assert (np.diff(places) >= 14.9).all()
    assert all(place >= 7.4 for place in places)
    assert places[-1] == length  # the near end is always named
    assert ticks[-1][0] == pytest.approx(near, rel=0.06)  # by two digits
    assert all(near <= depth <= near * ratio for depth, _ in ticks[:-1])
    assert [depth for depth, _ in ticks] == sorted((depth for depth, _ in ticks), reverse=True)


@pytest.mark.parametrize("colormap", COLORMAPS)
def test_the_bar_goes_from_far_above_to_near_below(colormap: Colormap) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (200, 120, 3), dtype=np.uint8)
    framed = with_bar(picture, 0.01, 0.4, colormap, metric=True)
    np.testing.assert_array_equal(framed[:, :120], picture)
    strip = framed[:, 120:]
    assert strip.shape[1] % 2 == 0
    column = strip[:, 10]  # within the bar
    bar = column[(column != BACKGROUND).any(-1)] if colormap != "gray" else column[10:190]
    np.testing.assert_array_equal(bar[0], TABLES[colormap][0])
    np.testing.assert_array_equal(bar[-1], TABLES[colormap][-1])
    assert (strip[:, -3:] == BACKGROUND).all()


def test_a_relative_bar_differs_and_does_not_depend_on_the_range() -> None:
    picture = np.zeros((200, 50, 3), np.uint8)
    relative = [with_bar(picture, low, 3 * low, "turbo", metric=False) for low in (0.01, 7.0)]
    np.testing.assert_array_equal(relative[0], relative[1])
    metric = with_bar(picture, 0.01, 0.03, "turbo", metric=True)
    assert metric.shape != relative[0].shape or (metric != relative[0]).any()


def test_a_bar_fits_small_pictures() -> None:
    assert with_bar(np.zeros((12, 20, 3), np.uint8), 0.1, 0.1, "gray", metric=True).shape[0] == 12


def test_pictures_are_joined_above_or_beside_each_other(image: np.ndarray) -> None:
    colors = 255 - image
    np.testing.assert_array_equal(joined([image, colors], across=False), np.vstack([image, colors]))
    np.testing.assert_array_equal(joined([image, colors, image], across=True), np.hstack([image, colors, image]))


def test_a_color_bar_leaves_white_room_beside_the_other_pictures(image: np.ndarray) -> None:
    colors = with_bar(255 - image, 0.1, 0.4, "turbo", metric=True)
    stacked = joined([image, colors, image], across=False)
    height, width = image.shape[:2]
    for start in (0, 2 * height):
        np.testing.assert_array_equal(stacked[start : start + height, :width], image)
        assert (stacked[start : start + height, width:] == BACKGROUND).all()
    np.testing.assert_array_equal(stacked[height : 2 * height], colors)
