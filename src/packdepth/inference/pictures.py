"""Pictures of depth: colors, a bar that says how many metres a color means, and the image beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from packdepth.color import Colormap, bar_ticks, colorize

BACKGROUND, INK = (255, 255, 255), (40, 40, 40)  # colors of the strip and of its text
TEXT_SHARE, MIN_TEXT, MAX_TEXT = 0.05, 9.0, 28.0  # size of text: share of the picture's height, and limits in pixels
SPACING = 1.3  # least distance between two labels, over the size of text


def with_bar(
    picture: np.ndarray, low: float, high: float, colormap: Colormap, metric: bool, room: str = ""
) -> np.ndarray:
    """Return a picture with a color bar in a strip at its right: far above, near below.

    Args:
        picture: picture [H, W, 3] uint8, RGB.
        low: inverse depth (1/metres) of the first color.
        high: inverse depth (1/metres) of the last color.
        colormap: the name of the color map.
        metric: whether depth is in metres. If not, the bar says "far" and "near", and no number.
        room: a text for which the strip is wide enough, so that it keeps its width while its numbers change.

    Returns:
        [H, W + w, 3] uint8, RGB; the strip of w pixels is as wide as its text.

    >>> with_bar(np.zeros((100, 50, 3), np.uint8), 0.01, 0.5, "turbo", metric=True).shape[0]
    100
    """
    height = len(picture)
    size = float(np.clip(TEXT_SHARE * height, MIN_TEXT, MAX_TEXT))
    font = ImageFont.load_default(size)
    unit = round(size / 2)  # of the layout: margins and half the width of the bar
    top, length = round(size), max(height - 2 * round(size), 1)
    ticks = [(f"{depth:g} m", place) for depth, place in bar_ticks(low, high, length, SPACING * size)]
    if not metric:
        ticks = [("far", size / 2), ("relative", length / 2), ("near", length - size / 2)]
    width = max(round(font.getlength(words)) for words in [room, *(words for words, _ in ticks)]) + 6 * unit
    canvas = Image.new("RGB", (width + width % 2, height), BACKGROUND)
    shades = colorize(np.linspace(low, high, length)[:, None].repeat(2 * unit, axis=1), low, high, colormap)
    canvas.paste(Image.fromarray(shades), (unit, top))
    draw = ImageDraw.Draw(canvas)
    for words, place in ticks:
        if metric:
            draw.line([(3 * unit, top + place), (3.5 * unit, top + place)], fill=INK)
        draw.text((4 * unit, top + place), words, fill=INK, anchor="lm", font=font)
    return np.concatenate([picture, np.asarray(canvas)], axis=1)


def shades_of(confidence: np.ndarray) -> np.ndarray:
    """Return confidence as a gray picture [H, W, 3] uint8: white is sure, black is not.

    Args:
        confidence: confidence [H, W] in [0, 1].

    >>> shades_of(np.array([[0.0, 1.0]])).tolist()
    [[[0, 0, 0], [255, 255, 255]]]
    """
    return (confidence[..., None] * 255).round().astype(np.uint8).repeat(3, axis=-1)


def joined(pictures: Sequence[np.ndarray], across: bool) -> np.ndarray:
    """Return pictures side by side or one above the other; what is narrower than the widest is followed by white.

    Args:
        pictures: pictures [H, W_i, 3] uint8, RGB, of one height.
        across: whether they stand side by side.

    >>> joined([np.zeros((2, 4, 3), np.uint8), np.zeros((2, 5, 3), np.uint8)], across=False).shape
    (4, 5, 3)
    """
    if across:
        return np.concatenate(pictures, axis=1)
    widest = max(picture.shape[1] for picture in pictures)
    canvas = np.full((len(pictures), len(pictures[0]), widest, 3), BACKGROUND, np.uint8)
    for place, picture in zip(canvas, pictures, strict=True):
        place[:, : picture.shape[1]] = picture
    return canvas.reshape(-1, widest, 3)
