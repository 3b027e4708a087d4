"""Parts of an HTML page that needs no other file: style, tables, pictures."""

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

# All chosen by eye.
ERROR_SPAN = 0.5  # relative error of the full red or blue
WIDTH = 640  # width of a picture, in pixels: two stand side by side on the page
SPARSE = 0.1  # share of known pixels below which a map is sparse: its pixels are enlarged to be visible
REACH = 2  # pixels by which a known pixel of a sparse map grows in each direction

STYLE = (files("packdepth") / "style.css").read_text(encoding="utf-8")


def table(columns: Sequence[str], rows: Mapping[str, Sequence[float | str | None]]) -> str:
    """Return an HTML table of numbers with three digits after the point.

    Args:
        columns: titles of the columns.
        rows: cells of each row by its title, which is HTML. A row without cells is a heading.

    >>> table(["AbsRel"], {"median": [0.25]})
    '<table><tr><th></th><th>AbsRel</th></tr><tr><td>median</td><td>0.250</td></tr></table>'
    """
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = []
    for title, cells in rows.items():
        if cells:
            body.append(f"<tr><td>{title}</td>{''.join(f'<td>{_cell(cell)}</td>' for cell in cells)}</tr>")
        else:
            body.append(f"<tr><th colspan='{len(columns) + 1}'>{title}</th></tr>")
    return f"<table><tr><th></th>{head}</tr>{''.join(body)}</table>"


def _cell(value: float | str | None) -> str:
    """Return a cell as text; it is empty for None and NaN."""
    if value is None or value != value:
        return ""
    return escape(value) if isinstance(value, str) else f"{value:.3f}"


def embedded(image: np.ndarray) -> str:
    """Return an image as a data URL for the `src` of an `img`. It is resized to the width of a picture.

    Args:
        image: [H, W, 3] uint8, RGB.

    >>> embedded(np.zeros((2, 2, 3), np.uint8))[:22]
    'data:image/png;base64,'
    """
    picture = Image.fromarray(image)
    height, width = image.shape[:2]
    scale = min(WIDTH / width, 2 * WIDTH / height)
    size = max(round(scale * width), 1), max(round(scale * height), 1)
    picture = picture.resize(size, Image.Resampling.BICUBIC if scale < 1 else Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def depth_panels(name: str, image: np.ndarray, depth: np.ndarray, truth: np.ndarray, low: float, high: float) -> str:
    """Return HTML of a frame, its predicted depth, its ground truth and the error, side by side.

    Args:
        name: name of the frame.
        image: image [H, W, 3] uint8, RGB.
        depth: predicted depth [H, W], metres.
        truth: ground truth [H, W], metres, NaN where it is unknown or not evaluated.
        low: inverse depth (1/metres) of the darkest color.
        high: inverse depth (1/metres) of the brightest color.
    """
    return panels(
        name,
        {
            "input": image,
            "predicted": colorize(1 / depth, low, high),
            "true": colorize(np.nan_to_num(1 / enlarged(truth)), low, high),
            "error": error_colors(enlarged(depth / truth - 1)),
        },
    )


def panels(name: str, pictures: Mapping[str, np.ndarray], layout: str = "example") -> str:
    """Return HTML of pictures side by side.

    Args:
        name: name of the frame.
        pictures: pictures [H, W, 3] uint8, RGB, by title.
        layout: class of style.css: `example` for two pictures in a row, `two` for small ones, up to four in a row.

    >>> panels("0", {"input": np.zeros((2, 2, 3), np.uint8)})[:45]
    "<div class='example'><figure><img src='data:i"
    """
    figures = "".join(
        f"<figure><img src='{embedded(panel)}' alt='{title}, {escape(name)}'><figcaption>{title}</figcaption></figure>"
        for title, panel in pictures.items()
    )
    return f"<div class='{layout}'>{figures}</div>"


def enlarged(values: np.ndarray) -> np.ndarray:
    """Return values with the known pixels enlarged, if they are sparse, so that they are visible.

    Args:
        values: [H, W], NaN where unknown.

    Returns:
        [H, W].

    >>> int(np.isfinite(enlarged(np.pad([[1.0]], 5, constant_values=np.nan))).sum())
    25
    """
    if np.isnan(values).mean() < 1 - SPARSE:
        return values
    height, width = values.shape
    padded = np.pad(values, REACH, constant_values=np.nan)
    result = values
    for dy, dx in product(range(2 * REACH + 1), repeat=2):
        result = np.where(np.isnan(result), padded[dy : dy + height, dx : dx + width], result)
    return result


def error_colors(error: np.ndarray) -> np.ndarray:
    """Return the colors of relative errors: red is too far, blue too near, white right, gray unknown.

    Args:
        error: relative error [H, W], NaN where unknown.

    Returns:
        Colors [H, W, 3] uint8, RGB.

    >>> error_colors(np.array([[0.5, 0.0, np.nan]])).tolist()
    [[[200, 40, 40], [250, 250, 250], [170, 170, 170]]]
    """
    share = np.nan_to_num(error / ERROR_SPAN).clip(-1, 1)[..., None]
    red, blue, white = np.array([200, 40, 40]), np.array([40, 80, 200]), np.array([250, 250, 250])
    colors = np.where(share > 0, white + share * (red - white), white - share * (blue - white))
    return np.where(np.isnan(error)[..., None], 170, colors).round().astype(np.uint8)
