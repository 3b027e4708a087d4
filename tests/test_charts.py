"""Charts: what is drawn where."""

from __future__ import annotations

import re

import numpy as np
import pytest

from packdepth.charts import FLAT, Axes, Line, bars, key, map_size, picture, svg, ticks

LINE = Line(np.array([[0.0, 1.0], [10.0, 3.0]]), "#000000", "a < b")


def test_round_ticks() -> None:
    np.testing.assert_allclose(ticks(0, 10), [0, 2, 4, 6, 8, 10])
    np.testing.assert_allclose(ticks(0.13, 0.42), [0.2, 0.3, 0.4])
    assert not np.signbit(ticks(-0.3, 10)).any()  # or it would be written as -0


def test_y_begins_at_zero_and_grows_upward() -> None:
    axes = Axes.around([LINE], 460, 260, equal=False)
    np.testing.assert_allclose(axes.low, [0, 0])
    (left, low), (right, high) = axes.place(LINE.points)
    assert left < right
    assert high < low


@pytest.mark.parametrize("path", [LINE.points, np.zeros((4, 2))])
def test_equal_axes_have_one_scale(path: np.ndarray) -> None:
    axes = Axes.around([Line(path, "#000000")], 460, 260, equal=True)
    corner, right, up = axes.place(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    assert right[0] - corner[0] == pytest.approx(corner[1] - up[1])


def test_svg() -> None:
    drawing = svg([LINE], "step", "loss")
    assert drawing.count("<polyline") == 1
    assert "loss over step" in drawing
    assert "a &lt; b" in drawing
    assert "a &lt; b" in key([LINE])
    assert "nothing was logged" in svg([Line(np.zeros((0, 2)), "#000000")], "step", "loss")


def test_bars_show_the_spread_and_the_axes_hold_them() -> None:
    line = Line(np.array([[0.0, 1.0], [1.0, 2.0]]), "#000000", spread=np.array([0.5, 1.0]))
    axes = Axes.around([line], *FLAT, equal=False)
    np.testing.assert_allclose(axes.low + axes.span, [1, 3])
    found = re.findall(r"<path d='M([0-9.]+) ([0-9.]+)V([0-9.]+)'", svg([line], "step", "loss"))
    for point, half, (x, below, above) in zip(line.points, (0.5, 1.0), found, strict=True):
        ends = axes.place(point + [[0, -half], [0, half]])
        np.testing.assert_allclose([[float(x), float(below)], [float(x), float(above)]], ends, atol=0.06)
    assert "<path" not in svg([LINE], "step", "loss")


def test_a_map_has_the_shape_of_its_path() -> None:
    straight = Line(np.array([[0.0, 0.0], [0.0, 90.0]]), "#000000")
    width, height = map_size([straight])
    assert width < height / 1.5
    across, up = map_size([Line(straight.points[:, ::-1], "#000000")])
    assert across > up * 1.5
    box = re.findall(r"viewBox='0 0 ([0-9.]+) ([0-9.]+)'", svg([straight], "right", "ahead", equal=True))
    assert [(float(width), float(height))] == [tuple(map(float, sides)) for sides in box]


def test_titles_of_axes_are_escaped() -> None:
    assert "&lt;script&gt;" in svg([LINE], "<script>", "loss")
    assert "<script>" not in svg([LINE], "<script>", "<script>") + bars({"<script>": (1.0, 0.0)}, "<script>")


def test_names_stand_in_place_of_numbers() -> None:
    drawing = svg(
        [Line(np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0]]), "#000000")], "", "loss", x_names=("a", "b", "c < d")
    )
    places = {name: float(x) for x, name in re.findall(r"<text x='([0-9.]+)' y='239' [^>]*>([^<]+)<", drawing)}
    assert list(places) == ["a", "b", "c &lt; d"]
    assert places["b"] - places["a"] == pytest.approx(places["c &lt; d"] - places["b"], abs=0.2)
    corners = [point.split(",") for point in re.findall(r"points='([^']+)'", drawing)[0].split()]
    assert [float(x) for x, _ in corners] == pytest.approx(list(places.values()), abs=0.11)


def test_a_picture_holds_the_line_where_it_belongs() -> None:
    """A square with its lower side missing: rows of ink above, none below."""
    square = Line(np.array([[0.0, 0.0], [0.0, 5.0], [5.0, 5.0], [5.0, 0.0]]), "#ff0000")
    image = picture([square], "right", "ahead", size=300)
    assert image.shape == (300, 300, 3)
    red = (image == [255, 0, 0]).all(-1)
    rows = red.sum(1)
    inside = rows > 0
    assert rows[inside][:3].max() > 100
    assert rows[inside][-3:].max() < 10


def test_bars_are_as_long_as_their_values_and_a_dash_stands_where_one_is_missing() -> None:
    drawing = bars({"a" * 60: (1.0, 0.1), "b < c": (0.5, 0.0), "d": (float("nan"), float("nan"))}, "error")
    lengths = [float(length) for length in re.findall(r'class="fill" style="width:([\d.]+)%', drawing)]
    assert lengths == pytest.approx([100 / 1.1, 50 / 1.1], abs=0.1)
    assert "b &lt; c" in drawing
    assert drawing.count(">-</span>") == 1
    assert drawing.count('class="spread"') == 1  # none without a spread
