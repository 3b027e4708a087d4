"""Pieces of a page that needs no other file: style, tables, pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import product

import numpy as np
from PIL import Image

from packdepth.color import colorize

ERROR_SPAN = 0.5  # relative error that is shown as full red or blue
WIDTH = 640  # pixels, of a picture at most
SPARSE, REACH = 0.1, 2  # share of known pixels below which they are enlarged, by so many pixels

STYLE = (files("packdepth") / "style.css").read_text(encoding="utf-8")


def table(columns: Sequence[str], rows: Mapping[str, Sequence[float | str | None]]) -> str:
    """A table of numbers with three digits; titles of rows are HTML. A row without cells heads what follows."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = []
    for title, cells in rows.items():
        if cells:
            body.append(f"<tr><td>{title}</td>{''.join(f'<td>{_cell(cell)}</td>' for cell in cells)}</tr>")
        else:
            body.append(f"<tr><th colspan='{len(columns) + 1}'>{title}</th></tr>")
    return f"<table><tr><th></th>{head}</tr>{''.join(body)}</table>"


def _cell(value: float | str | None) -> str:
    if value is None or value != value:
        return ""
    return escape(value) if isinstance(value, str) else f"{value:.3f}"


def embedded(image: np.ndarray) -> str:
    """An image [H, W, 3] uint8 as the address that a page shows it by; wide ones are shrunk."""
    picture = Image.fromarray(image)
    picture.thumbnail((WIDTH, 2 * WIDTH))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def depth_panels(name: str, image: np.ndarray, depth: np.ndarray, truth: np.ndarray, low: float, high: float) -> str:
    """A frame, its predicted and its true depth, and the error between them, side by side.

    Args:
        name: of the frame.
        image: [H, W, 3] uint8.
        depth: [H, W] metres, predicted.
        truth: [H, W] metres, NaN where it does not count.
        low: inverse depth (1/metres) that is darkest.
        high: inverse depth that is brightest.
    """
    panels = (
        ("input", image),
        ("predicted", colorize(1 / depth, low, high)),
        ("true", colorize(np.nan_to_num(1 / enlarged(truth)), low, high)),
        ("error", error_colors(enlarged(depth / truth - 1))),
    )
    pictures = "".join(
        f"<figure><img src='{embedded(panel)}' alt='{title}, {escape(name)}'><figcaption>{title}</figcaption></figure>"
        for title, panel in panels
    )
    return f"<div class='example'>{pictures}</div>"


def enlarged(values: np.ndarray) -> np.ndarray:
    """Values [H, W], NaN where unknown, so that they can be seen: sparse ones spread over their neighbors."""
    if np.isnan(values).mean() < 1 - SPARSE:
        return values
    height, width = values.shape
    padded = np.pad(values, REACH, constant_values=np.nan)
    result = values
    for dy, dx in product(range(2 * REACH + 1), repeat=2):
        result = np.where(np.isnan(result), padded[dy : dy + height, dx : dx + width], result)
    return result


def error_colors(error: np.ndarray) -> np.ndarray:
    """Relative error [H, W] as colors [H, W, 3] uint8: red too far, blue too near, white right, gray unknown."""
    share = np.nan_to_num(error / ERROR_SPAN).clip(-1, 1)[..., None]
    red, blue, white = np.array([200, 40, 40]), np.array([40, 80, 200]), np.array([250, 250, 250])
    colors = np.where(share > 0, white + share * (red - white), white - share * (blue - white))
    return np.where(np.isnan(error)[..., None], 170, colors).round().astype(np.uint8)
