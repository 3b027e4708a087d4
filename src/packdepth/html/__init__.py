"""Parts of HTML pages, and the page that all reports are: one template, one style sheet, no other file.

Every function returns `Markup`, which is inserted as it is; everything else is escaped, whoever named it.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import product
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image

from packdepth.color import TABLE, bar_ticks, colorize

# All chosen by eye.
ERROR_SPAN = 0.5  # relative error of the full red or blue
TOO_FAR, TOO_NEAR, RIGHT = (200, 40, 40), (40, 80, 200), (250, 250, 250)  # RGB, colors of relative errors
WIDTH = 640  # width of a picture, in pixels: two stand side by side on the page
WIDE = 2.0  # width over height from which pictures stand two to a row, so that they are not too low
NARROW = 1.5  # width over height below which pictures stand two to a row even on phones
MOST_ACROSS = 4  # pictures in a row
SPARSE = 0.1  # share of known pixels below which a map is sparse: its pixels are enlarged to be visible
REACH = 2  # pixels by which a known pixel of a sparse map grows in each direction
TICK_SPACING = 17.0  # least distance between the labels of a color bar, in percent of it: it may be 300 pixels wide
SHADES = 9  # colors between which a browser draws the gradient of a color bar
MOST_POINTS = 60_000  # of a cloud: 0.8 MB of the page

STYLE = Markup((files("packdepth.html") / "style.css").read_text(encoding="utf-8"))
TEMPLATES = Environment(
    loader=PackageLoader("packdepth", "html"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
"""The templates of all pages. Names and values are escaped."""


def coded(words: str) -> Markup:
    """Return words with what stands between backticks as code.

    Args:
        words: the words, escaped unless they are `Markup`.

    >>> coded("limit of `sure` < 1")
    Markup('limit of <code>sure</code> &lt; 1')
    """
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(words))))


TEMPLATES.filters["coded"] = coded


def part(name: str, *values: Any) -> Markup:
    """Return a part of a page: what a macro of parts.html makes of values.

    Args:
        name: the name of the macro.
        values: its arguments, escaped unless they are `Markup`.

    >>> part("note", "a < b")
    Markup('<p class="note">a &lt; b</p>')
    """
    return Markup(getattr(TEMPLATES.get_template("parts.html").module, name)(*values))


def joined(parts: Sequence[Markup]) -> Markup:
    """Return parts of a page, one after the other.

    Args:
        parts: the parts.

    >>> joined([Markup("<p>a</p>"), Markup("<p>b</p>")])
    Markup('<p>a</p><p>b</p>')
    """
    return Markup("").join(parts)


def note(words: str | Markup) -> Markup:
    """Return a paragraph of small print.

    Args:
        words: the text.

    >>> note("gray has no ground truth")
    Markup('<p class="note">gray has no ground truth</p>')
    """
    return part("note", words)


def settings(values: Mapping[str, str]) -> Markup:
    """Return a list of names with their meanings, such as the settings of a protocol.

    Args:
        values: the meanings by name.

    >>> settings({"crop": "none"})
    Markup('<dl><dt>crop</dt><dd>none</dd></dl>')
    """
    return part("settings", values)


def figures(values: Mapping[str, str]) -> Markup:
    """Return a few numbers in large type.

    Args:
        values: the numbers as text, by what they are.

    >>> "<b>13 %</b>mean error" in figures({"mean error": "13 %"})
    True
    """
    return part("figures", values)


def findings(found: Sequence[tuple[str, str, str, str]]) -> Markup:
    """Return a list of findings.

    Args:
        found: severity ("error", "warning" or "note"), title, what was found, and advice, of each finding.

    >>> "<b>error</b> <strong>stamps</strong>: they repeat." in findings([("error", "stamps", "they repeat", "")])
    True
    """
    return part("findings", found)


def table(label: str, columns: Sequence[str], rows: Mapping[str, Sequence[float | str | None]]) -> Markup:
    """Return a table of numbers with three digits after the point. One that is too wide for its page scrolls.

    Args:
        label: name of the table, for screen readers.
        columns: titles of the columns.
        rows: cells of each row by its title. A row without cells is a heading.

    >>> '<th scope="row">median</th><td>0.250</td>' in table("errors", ["AbsRel"], {"median": [0.25]})
    True
    """
    return part("table", label, columns, [(title, [_cell(cell) for cell in cells]) for title, cells in rows.items()])


def with_range(value: float, limits: tuple[float, float] | None) -> str:
    """Return a cell of a table with a number and, below it, its confidence interval, if there is one.

    Args:
        value: the number.
        limits: both ends of the interval.

    >>> with_range(0.5, None), with_range(0.5, (0.4, 0.6))
    ('0.500', Markup('0.500<span class="range">[0.400, 0.600]</span>'))
    """
    if limits is None:
        return f"{value:.3f}"
    return Markup('{}<span class="range">[{}, {}]</span>').format(*(f"{number:.3f}" for number in (value, *limits)))


def _cell(value: float | str | None) -> str:
    """Return a cell as text; it is empty for None and NaN."""
    if value is None or value != value:
        return ""
    return value if isinstance(value, str) else f"{value:.3f}"


# --- pictures -----------------------------------------------------------------------------------------------------


def depth_bar(low: float, high: float, metric: bool = True) -> Markup:
    """Return the color bar of depth, from near to far.

    Args:
        low: inverse depth (1/metres) of the darkest color.
        high: inverse depth (1/metres) of the brightest color.
        metric: whether depth is in metres. If not, the bar says "near" and "far", and no number.

    >>> "4 m" in depth_bar(0.0, 0.25), "4 m" in depth_bar(0.0, 0.25, metric=False)
    (True, False)
    """
    shades = [_hex(TABLE[place]) for place in np.linspace(255, 0, SHADES).round().astype(int)]
    if not metric:
        return part("bar", "colors of depth: near is bright, far is dark", shades, [("near", 0), ("far", 100)])
    ticks = [(f"{depth:g} m", 100 - place) for depth, place in reversed(bar_ticks(low, high, 100, TICK_SPACING))]
    label = f"colors of depth: from {ticks[0][0]}, bright, to {ticks[-1][0]} and more, dark"
    return part("bar", label, shades, ticks)


def error_bar() -> Markup:
    """Return the color bar of relative errors.

    >>> "50 % too near" in error_bar()
    True
    """
    share = f"{100 * ERROR_SPAN:.0f} %"
    shades = [_hex(color) for color in (TOO_NEAR, RIGHT, TOO_FAR)]
    label = f"colors of the error: blue is {share} too near, white is right, red is {share} too far"
    return part("bar", label, shades, [(f"{share} too near", 0), ("right", 50), (f"{share} too far", 100)])


def _hex(color: Sequence[int] | np.ndarray) -> str:
    """Return an RGB color as CSS writes it."""
    return "#" + bytes(int(value) for value in color).hex()


def embedded(image: np.ndarray) -> str:
    """Return an image as a data URL for the `src` of an `img`. It is resized to the width of a picture.

    Args:
        image: [H, W, 3] uint8, RGB.

    >>> embedded(np.zeros((2, 2, 3), np.uint8))[:22]
    'data:image/png;base64,'
    """
    width, height = _size(image)
    smaller = width < image.shape[1]
    method = Image.Resampling.BICUBIC if smaller else Image.Resampling.BILINEAR
    picture = Image.fromarray(image).resize((width, height), method)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _size(image: np.ndarray) -> tuple[int, int]:
    """Return width and height of an image [H, W, 3] on the page, in pixels."""
    height, width = image.shape[:2]
    scale = min(WIDTH / width, 2 * WIDTH / height)
    return max(round(scale * width), 1), max(round(scale * height), 1)


def depth_panels(name: str, image: np.ndarray, depth: np.ndarray, truth: np.ndarray, low: float, high: float) -> Markup:
    """Return a frame, its predicted depth, its ground truth and the error, side by side.

    Args:
        name: name of the frame.
        image: image [H, W, 3] uint8, RGB.
        depth: predicted depth [H, W], metres.
        truth: ground truth [H, W], metres, NaN where it is unknown or not evaluated.
        low: inverse depth (1/metres) of the darkest color.
        high: inverse depth (1/metres) of the brightest color.
    """
    bar = depth_bar(low, high)
    return panels(
        name,
        {
            "input": image,
            "predicted depth": colorize(1 / depth, low, high),
            "true depth": colorize(np.nan_to_num(1 / enlarged(truth)), low, high),
            "error": error_colors(enlarged(depth / truth - 1)),
        },
        {"predicted depth": bar, "true depth": bar, "error": error_bar()},
    )


def panels(name: str, pictures: Mapping[str, np.ndarray], bars: Mapping[str, Markup] | None = None) -> Markup:
    """Return pictures side by side; on a narrow page, one above the other.

    Args:
        name: name of the frame.
        pictures: pictures [H, W, 3] uint8, RGB, by title.
        bars: color bars by the title of their picture.

    >>> 'alt="input, a&amp;b"' in panels("a&b", {"input": np.zeros((2, 2, 3), np.uint8)})
    True
    """
    shown = [
        {
            "title": title,
            "url": embedded(picture),
            "width": _size(picture)[0],
            "height": _size(picture)[1],
            "bar": (bars or {}).get(title, ""),
        }
        for title, picture in pictures.items()
    ]
    height, width = next(iter(pictures.values())).shape[:2]
    most = 2 if len(shown) == MOST_ACROSS and width >= WIDE * height else MOST_ACROSS
    on_phones = 2 if len(shown) >= MOST_ACROSS and width < NARROW * height else 1
    return part("panels", name, shown, min(len(shown), most), on_phones)


def cloud(label: str, points: np.ndarray, colors: np.ndarray) -> Markup:
    """Return a point cloud that can be turned, of at most `MOST_POINTS` of the points, evenly chosen.

    Args:
        label: description of the cloud, for screen readers.
        points: points [N, 3]: right, down, ahead; in any unit.
        colors: their colors [N, 3] uint8, RGB.

    >>> 'data-unit="0.001"' in cloud("a point", np.array([[0.0, 0.0, 32.767]]), np.zeros((1, 3), np.uint8))
    True
    """
    step = math.ceil(len(points) / MOST_POINTS) or 1
    chosen, shades = points[::step], colors[::step]
    unit = float(np.abs(chosen).max(initial=0)) / np.iinfo(np.int16).max or 1.0
    record = np.zeros(len(chosen), [("p", "<i2", 3), ("c", "u1", 3), ("_", "u1")])
    record["p"], record["c"] = (chosen / unit).round(), shades
    return part("cloud", label, base64.b64encode(record.tobytes()).decode(), f"{unit:.6g}")


# --- colors -------------------------------------------------------------------------------------------------------


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
    red, blue, white = np.array(TOO_FAR), np.array(TOO_NEAR), np.array(RIGHT)
    colors = np.where(share > 0, white + share * (red - white), white - share * (blue - white))
    return np.where(np.isnan(error)[..., None], 170, colors).round().astype(np.uint8)
