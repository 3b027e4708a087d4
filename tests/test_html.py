"""Pieces of pages."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from packdepth.html import (
    MOST_POINTS,
    WIDTH,
    cloud,
    depth_bar,
    depth_panels,
    embedded,
    enlarged,
    error_colors,
    table,
)


def test_colors_of_errors() -> None:
    colors = error_colors(np.array([[0.0, 0.5, 9.0, -0.5, np.nan]]))[0]
    np.testing.assert_array_equal(colors[0], [250, 250, 250])
    np.testing.assert_array_equal(colors[1], colors[2])
    assert colors[1][0] > colors[1][2]
    assert colors[3][2] > colors[3][0]
    np.testing.assert_array_equal(colors[4], [170, 170, 170])


def test_a_table() -> None:
    text = table(
        "a & b", ["a", "b < c"], {"<b>first</b>": [1.23456, float("nan")], "heading": [], "last": ["x > 1", None]}
    )
    assert 'aria-label="a &amp; b"' in text
    assert '<th scope="col">b &lt; c</th>' in text
    assert '<th scope="row">&lt;b&gt;first&lt;/b&gt;</th><td>1.235</td><td></td>' in text
    assert 'colspan="3"><span>heading</span></th>' in text
    assert "<td>x &gt; 1</td><td></td>" in text


def test_a_color_bar_says_metres_where_their_colors_are() -> None:
    text = depth_bar(0.0, 0.25)
    places = {float(depth): float(place) for place, depth in re.findall(r"left:([0-9.]+)%\">([0-9.]+) m<", text)}
    assert places[4] == 0
    for depth, place in places.items():
        assert place == pytest.approx(100 * (1 - 4 / depth), abs=0.1)  # linear in inverse depth, from near to far
    assert " m<" not in depth_bar(0.0, 0.25, metric=False)


def test_a_cloud_holds_its_points() -> None:
    points = np.array([[1.0, -2.0, 40.0], [0.0, 0.5, 3.0]])
    text = cloud("a < b", points, np.array([[1, 2, 3], [4, 5, 6]], np.uint8))
    unit = float(re.findall('data-unit="([^"]+)"', text)[0])
    record = np.frombuffer(base64.b64decode(re.findall('data-cloud="([^"]+)"', text)[0]), np.uint8).reshape(2, 10)
    np.testing.assert_allclose(unit * record[:, :6].copy().view("<i2"), points, atol=40 / 32767)
    np.testing.assert_array_equal(record[:, 6:9], [[1, 2, 3], [4, 5, 6]])
    assert "a &lt; b" in text
    many = np.ones((2 * MOST_POINTS + 1, 3))
    text = cloud("many", many, np.zeros(many.shape, np.uint8))
    assert len(base64.b64decode(re.findall('data-cloud="([^"]+)"', text)[0])) <= 10 * MOST_POINTS


def test_pictures_are_within_the_page_and_not_too_wide() -> None:
    address = embedded(np.full((100, 2 * WIDTH, 3), 7, dtype=np.uint8))
    kind, content = address.split(",")
    assert kind == "data:image/png;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(content)))
    assert picture.size == (WIDTH, 50)
    assert picture.getpixel((3, 3)) == (7, 7, 7)


def test_small_pictures_are_enlarged_to_the_same_width() -> None:
    picture = Image.open(io.BytesIO(base64.b64decode(embedded(np.full((64, 224, 3), 7, np.uint8)).split(",")[1])))
    assert picture.size == (WIDTH, round(64 * WIDTH / 224))
    assert picture.getpixel((3, 3)) == (7, 7, 7)


def test_sparse_values_are_enlarged_and_dense_ones_are_not() -> None:
    sparse = np.full((20, 20), np.nan)
    sparse[10, 10] = 3.0
    expected = np.full((20, 20), np.nan)
    expected[8:13, 8:13] = 3.0
    np.testing.assert_array_equal(enlarged(sparse), expected)
    dense = np.where(np.arange(20) < 10, 1.0, np.nan) * np.ones((20, 1))
    np.testing.assert_array_equal(enlarged(dense), dense)


def test_panels() -> None:
    truth = np.where(np.arange(12) < 6, 10.0, np.nan) * np.ones((8, 1))
    text = depth_panels("a & b", np.zeros((8, 12, 3), dtype=np.uint8), np.full((8, 12), 11.0), truth, 0.0, 0.2)
    assert text.count("<img ") == 4
    assert "a &amp; b" in text
