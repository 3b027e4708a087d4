"""Line charts with round ticks: as SVG for pages, as a picture for files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape
from PIL import Image, ImageDraw, ImageFont

from packdepth.html import part

LEFT, BOTTOM, MARGIN = 52.0, 36.0, 10.0  # space around the lines, in units of the SVG: room for the ticks
OURS, TRUE = "#e64963", "#3b0f6b"  # colors of a prediction and of the ground truth, from the colors of depth
GRID, INK = "#ece9f3", "#5d5a70"  # colors of the grid and of text
ON_DARK = {TRUE: "#b79cf2", INK: "#aeaac2"}  # lighter twins, for dark pages, of colors that are too dark there
FLAT = 460.0, 260.0  # width and height of a chart, in units of the SVG
LONG, SHORT = 320.0, 130.0  # room for the longer side of a map, and for the shorter one at least, in units of the SVG
ENLARGED = 1.3  # pixels for a unit of the SVG, at most
DOT = 3.5  # radius of a dot, in units of the SVG
PICTURE = 450.0  # width and height of a picture, in units of the SVG, so that its text is as large as on pages
MIN_SPAN = 1e-9  # smallest length of an axis, so that equal values do not divide by zero
MIN_SCALE = 1e-3  # smallest unit per length of a chart with equal scales: a standing camera is a point in the middle


class Line(NamedTuple):
    """A line of a chart.

    >>> Line(np.array([[0.0, 1.0], [1.0, 2.0]]), OURS, "prediction").name
    'prediction'
    """

    points: np.ndarray  # [N, 2], x and y
    color: str  # color for SVG, such as "#e64963"
    name: str = ""  # name for the key; empty for none
    spread: np.ndarray | None = None  # [N], half the height of a bar through each point, in values of y; None for none

    @property
    def bars(self) -> np.ndarray:
        """The lower and the upper end [N, 2, 2] of the bar through each point, as x and y.

        >>> Line(np.array([[1.0, 2.0]]), OURS, spread=np.array([0.5])).bars.tolist()
        [[[1.0, 1.5], [1.0, 2.5]]]
        """
        spread = np.zeros(len(self.points)) if self.spread is None else self.spread
        reach = np.stack([np.zeros(len(spread)), spread], axis=-1)
        return np.stack([self.points - reach, self.points + reach], axis=1)


@dataclass(frozen=True, eq=False)
class Axes:
    """The axes of a chart: they map values to positions. The y axis points up.

    >>> axes = Axes.around([Line(np.array([[0.0, 0.0], [1.0, 1.0]]), OURS)], width=162, height=146, equal=False)
    >>> axes.place(np.array([0.0, 0.0])).tolist()
    [52.0, 110.0]
    """

    low: np.ndarray  # [2], x and y at the lower left corner
    span: np.ndarray  # [2], difference from there to the upper right corner
    width: float  # width of the chart, in units of the SVG
    height: float  # height of the chart, in units of the SVG

    @classmethod
    def around(cls, lines: Sequence[Line], width: float, height: float, equal: bool) -> Axes:
        """Return axes that hold all points of some lines, and the bars through them.

        Args:
            lines: the lines.
            width: width of the chart, in units of the SVG.
            height: height of the chart, in units of the SVG.
            equal: whether both axes have one scale; otherwise y begins at zero or below.
        """
        everything = np.concatenate([line.bars.reshape(-1, 2) for line in lines])
        low, high = everything.min(0), everything.max(0)
        if not equal:
            low[1] = min(low[1], 0)
        span = np.maximum(high - low, MIN_SPAN)
        if equal:
            room = np.array([width - LEFT - MARGIN, height - BOTTOM - MARGIN])
            scale = max((span / room).max(), MIN_SCALE)
            low, span = (low + high) / 2 - scale * room / 2, scale * room
        return cls(low, span, width, height)

    def place(self, points: np.ndarray) -> np.ndarray:
        """Return the positions of points on the chart, from its upper left corner.

        Args:
            points: values [..., 2] of x and y.

        Returns:
            [..., 2], in units of the SVG.
        """
        share = (points - self.low) / self.span
        room = np.array([self.width - LEFT - MARGIN, self.height - BOTTOM - MARGIN])
        return np.stack([LEFT + share[..., 0] * room[0], MARGIN + (1 - share[..., 1]) * room[1]], axis=-1)

    def ticks(self, axis: int) -> list[tuple[float, float]]:
        """Return round values of an axis, each with its position along it.

        Args:
            axis: 0 for x, 1 for y.
        """
        values = ticks(self.low[axis], self.low[axis] + self.span[axis])
        points = np.tile(self.low, (len(values), 1))
        points[:, axis] = values
        return list(zip(values.tolist(), self.place(points)[:, axis].tolist(), strict=True))


def ticks(low: float, high: float) -> np.ndarray:
    """Return about five round values between two limits.

    Args:
        low: lower limit.
        high: upper limit.

    >>> ticks(0.0, 9.0).tolist()
    [0.0, 2.0, 4.0, 6.0, 8.0]
    """
    raw = (high - low) / 5
    base = 10 ** np.floor(np.log10(raw))
    step = base * min((m for m in (1, 2, 5, 10) if m * base >= raw), default=10)
    return np.asarray(np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step + 0.0)  # -0 becomes 0


def svg(
    lines: Sequence[Line],
    x_title: str,
    y_title: str,
    equal: bool = False,
    x_names: Sequence[str] = (),
    dots: bool = False,
) -> Markup:
    """Return a chart of lines as SVG. With equal scales it is a map, whose shape is that of the lines.

    Args:
        lines: the lines. Those without points are left out.
        x_title: title of the x axis.
        y_title: title of the y axis.
        equal: whether both axes have one scale.
        x_names: names at 0, 1, 2, ... of x in place of numbers, if any.
        dots: whether each point of a line has a dot.

    >>> svg([Line(np.array([[0.0, 0.0], [1.0, 1.0]]), OURS)], "step", "loss").count("<polyline")
    1
    """
    lines = [line for line in lines if len(line.points)]
    if not lines:
        return Markup("<p class='note'>nothing was logged</p>")
    width, height = map_size(lines) if equal else FLAT
    room = [Line(np.array([[-0.5, 0.0], [len(x_names) - 0.5, 0.0]]), GRID)] if x_names else []  # for half a name
    axes = Axes.around([*lines, *room], width, height, equal)
    marks = [(f"{value:g}", x) for value, x in axes.ticks(0)]
    if x_names:
        marks = [(escape(name), axes.place(np.array([at, 0.0]))[0]) for at, name in enumerate(x_names)]
    parts = []
    for name, x in marks:
        parts.append(f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{MARGIN:g}' y2='{height - BOTTOM:g}'/>")
        parts.append(f"<text x='{x:.1f}' y='{height - BOTTOM + 15:g}' text-anchor='middle'>{name}</text>")
    for value, y in axes.ticks(1):
        parts.append(f"<line x1='{LEFT:g}' x2='{width - MARGIN:g}' y1='{y:.1f}' y2='{y:.1f}'/>")
        parts.append(f"<text x='{LEFT - 6:g}' y='{y + 4:.1f}' text-anchor='end'>{value:g}</text>")
    for line in lines:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in axes.place(line.points))
        name = f"<title>{escape(line.name)}</title>" if line.name else ""
        parts.append(f"<polyline points='{path}' {_painted('stroke', line.color)}>{name}</polyline>")
        for (x, below), (_, above) in () if line.spread is None else axes.place(line.bars):
            parts.append(f"<path d='M{x:.1f} {below:.1f}V{above:.1f}' {_painted('stroke', line.color)}/>")
        for x, y in axes.place(line.points) if dots else ():
            parts.append(
                f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{DOT:g}' {_painted('fill', line.color)}>{name}</circle>"
            )
    parts.append(f"<text x='{(LEFT + width) / 2:g}' y='{height - 4:g}' text-anchor='middle'>{escape(x_title)}</text>")
    middle = height / 2 - 10
    turned = f"transform='rotate(-90 12 {middle:g})' text-anchor='middle'"
    parts.append(f"<text x='12' y='{middle:g}' {turned}>{escape(y_title)}</text>")
    size = f"viewBox='0 0 {width:g} {height:g}' style='max-width:{ENLARGED * width:.0f}px'"
    label = escape(f"{y_title} over {x_title}")
    kind = "chart map" if equal else "chart"
    return Markup(f"<svg class='{kind}' {size} role='img' aria-label='{label}'>{''.join(parts)}</svg>")


def map_size(lines: Sequence[Line]) -> tuple[float, float]:
    """Return width and height of a chart with equal scales: a straight line is no wide map.

    Args:
        lines: the lines, with points.

    >>> map_size([Line(np.array([[0.0, 0.0], [0.0, 40.0]]), OURS)])
    (192.0, 366.0)
    """
    everything = np.concatenate([line.points for line in lines])
    span = everything.max(0) - everything.min(0)
    across, up = np.maximum(LONG * span / max(span.max(), MIN_SPAN), SHORT).tolist()
    return LEFT + MARGIN + across, BOTTOM + MARGIN + up


def _painted(what: str, color: str) -> str:
    """Return a color as an attribute of SVG, and its lighter twin on dark pages, if it has one."""
    twin = ON_DARK.get(color)
    return f"{what}='{color}'" + (f" style='{what}:light-dark({color},{twin})'" if twin else "")


def charts(drawn: Sequence[Markup]) -> Markup:
    """Return charts side by side; on a narrow page, one above the other.

    Args:
        drawn: the charts.

    >>> charts([Markup("<svg></svg>")])
    Markup('<div class="charts"><div><svg></svg></div></div>')
    """
    return part("charts", drawn)


def bars(values: Mapping[str, tuple[float, float]], title: str) -> Markup:
    """Return horizontal bars as HTML, each with its name, its value and a line as long as twice its spread.

    Args:
        values: values, at least 0, and their spreads, by name. A value that is NaN has a dash, no bar.
        title: title of the values.

    >>> bars({"first": (1.0, 0.1), "second": (2.0, 0.2)}, "abs_rel").count('class="fill"')
    2
    """
    longest = max((value + spread for value, spread in values.values() if value == value), default=0.0)
    scale = 100 / max(longest, MIN_SPAN)  # percent of the room per unit of the values
    rows = [
        (
            name,
            f"{value:#.3g}" if value == value else "-",
            scale * value,
            scale * max(value - spread, 0),
            scale * (value + spread),
        )
        for name, (value, spread) in values.items()
    ]
    return part("bars", title, rows)


def key(lines: Sequence[Line]) -> Markup:
    """Return the names of lines beside their colors, as HTML.

    Args:
        lines: the lines.

    >>> key([Line(np.zeros((1, 2)), OURS, "prediction")])
    Markup("<span class='named'><span class='key' style='background:#e64963'></span>prediction</span>")
    """
    swatch = "<span class='named'><span class='key' style='{}'></span>{}</span>"
    return Markup(" ").join(Markup(swatch).format(_swatch(line.color), line.name) for line in lines)


def _swatch(color: str) -> str:
    """Return the style of a piece of a color, and of its lighter twin on dark pages, if it has one."""
    twin = ON_DARK.get(color)
    return f"background:{color}" + (f";background:light-dark({color},{twin})" if twin else "")


def picture(lines: Sequence[Line], x_title: str, y_title: str, size: int = 900) -> np.ndarray:
    """Return a chart of lines as an image, with one scale for both axes and the names of the lines in its corner.

    Args:
        lines: the lines.
        x_title: title of the x axis.
        y_title: title of the y axis.
        size: width and height of the image, in pixels.

    Returns:
        [`size`, `size`, 3] uint8, RGB.

    >>> picture([Line(np.array([[0.0, 0.0], [1.0, 1.0]]), OURS)], "x", "y", size=90).shape
    (90, 90, 3)
    """
    zoom = size / PICTURE
    axes = Axes.around(lines, PICTURE, PICTURE, equal=True)
    canvas = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(11 * zoom)

    def line(points: Sequence[Sequence[float]] | np.ndarray, color: str, width: float) -> None:
        draw.line([(zoom * x, zoom * y) for x, y in points], fill=color, width=round(width * zoom), joint="curve")

    def text(x: float, y: float, words: str, anchor: str, color: str = INK) -> None:
        draw.text((zoom * x, zoom * y), words, fill=color, anchor=anchor, font=font)

    top, right, bottom = MARGIN, axes.width - MARGIN, axes.height - BOTTOM
    for value, x in axes.ticks(0):
        line([(x, top), (x, bottom)], GRID, 1)
        text(x, bottom + 4, f"{value:g}", "mt")
    for value, y in axes.ticks(1):
        line([(LEFT, y), (right, y)], GRID, 1)
        text(LEFT - 6, y, f"{value:g}", "rm")
    for number, drawn in enumerate(lines):
        line(axes.place(drawn.points), drawn.color, 1.6)
        text(right - 4, top + 4 + 15 * number, drawn.name, "rt", drawn.color)
    text((LEFT + right) / 2, axes.height - 4, x_title, "mb")
    text(LEFT + 4, top + 4, y_title, "lt")
    return np.asarray(canvas)
