"""Charts of lines with round ticks: as SVG for pages, as a picture for files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LEFT, BOTTOM, MARGIN = 52.0, 36.0, 10.0  # around the lines, in units of the SVG
OURS, TRUE = "#e64963", "#3b0f6b"
GRID, INK = "#ece9f3", "#5d5a70"


class Line(NamedTuple):
    """A line of a chart."""

    points: np.ndarray  # [N, 2] of x and y
    color: str  # such as "#e64963"
    name: str = ""


@dataclass(frozen=True, eq=False)
class Axes:
    """Where values lie on a chart of `width` x `height`, its y axis upward."""

    low: np.ndarray  # [2] x and y at the lower left corner
    span: np.ndarray  # [2] from there to the upper right one
    width: float
    height: float

    @classmethod
    def around(cls, lines: Sequence[Line], width: float, height: float, equal: bool) -> Axes:
        """Axes that hold all points; `equal` gives both one scale, else y begins at zero or below."""
        everything = np.concatenate([line.points for line in lines])
        low, high = everything.min(0), everything.max(0)
        if not equal:
            low[1] = min(low[1], 0)
        span = np.maximum(high - low, 1e-9)
        if equal:
            room = np.array([width - LEFT - MARGIN, height - BOTTOM - MARGIN])
            scale = max((span / room).max(), 1e-3)
            low, span = (low + high) / 2 - scale * room / 2, scale * room
        return cls(low, span, width, height)

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 2] on the chart, from its upper left corner."""
        share = (points - self.low) / self.span
        room = np.array([self.width - LEFT - MARGIN, self.height - BOTTOM - MARGIN])
        return np.stack([LEFT + share[..., 0] * room[0], MARGIN + (1 - share[..., 1]) * room[1]], axis=-1)

    def ticks(self, axis: int) -> list[tuple[float, float]]:
        """Round values of an axis, each with its place along it."""
        values = ticks(self.low[axis], self.low[axis] + self.span[axis])
        points = np.tile(self.low, (len(values), 1))
        points[:, axis] = values
        return list(zip(values.tolist(), self.place(points)[:, axis].tolist(), strict=True))


def ticks(low: float, high: float) -> np.ndarray:
    """About five round values between two limits."""
    raw = (high - low) / 5
    base = 10 ** np.floor(np.log10(raw))
    step = base * min((m for m in (1, 2, 5, 10) if m * base >= raw), default=10)
    return np.asarray(np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step + 0.0)  # -0 becomes 0


def svg(lines: Sequence[Line], x_title: str, y_title: str, equal: bool = False, x_names: Sequence[str] = ()) -> str:
    """Lines as SVG; `equal` gives both axes one scale, `x_names`, if any, stand at 0, 1, 2, ... of x."""
    width, height = 460.0, 260.0
    lines = [line for line in lines if len(line.points)]
    if not lines:
        return "<p class='note'>nothing was logged</p>"
    room = [Line(np.array([[-0.5, 0.0], [len(x_names) - 0.5, 0.0]]), GRID)] if x_names else []  # half a name aside
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
        parts.append(f"<polyline points='{path}' stroke='{line.color}'>{name}</polyline>")
    parts.append(f"<text x='{(LEFT + width) / 2:g}' y='{height - 4:g}' text-anchor='middle'>{x_title}</text>")
    middle = height / 2 - 10
    turned = f"transform='rotate(-90 12 {middle:g})' text-anchor='middle'"
    parts.append(f"<text x='12' y='{middle:g}' {turned}>{y_title}</text>")
    title = f"{y_title} over {x_title}"
    return f"<svg viewBox='0 0 {width:g} {height:g}' role='img' aria-label='{title}'>{''.join(parts)}</svg>"


def key(lines: Sequence[Line]) -> str:
    """The names of lines beside their colors, as HTML."""
    return " ".join(f"<span class='key' style='background:{line.color}'></span>{escape(line.name)}" for line in lines)


def picture(lines: Sequence[Line], x_title: str, y_title: str, size: int = 900) -> np.ndarray:
    """Lines as an image [size, size, 3] uint8, both axes of one scale, with the lines' names in its corner."""
    zoom = size / 450
    axes = Axes.around(lines, 450.0, 450.0, equal=True)
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
    for number, (points, color, name) in enumerate(lines):
        line(axes.place(points), color, 1.6)
        text(right - 4, top + 4 + 15 * number, name, "rt", color)
    text((LEFT + right) / 2, axes.height - 4, x_title, "mb")
    text(LEFT + 4, top + 4, y_title, "lt")
    return np.asarray(canvas)
