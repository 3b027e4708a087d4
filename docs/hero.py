"""The picture at the top of the README: three test images of a demo beside predicted and true depth and the error.

Run after `packdepth demo demo` as `python docs/hero.py demo docs/images/city.jpg`. The images are rendered again, at
twice the size of the demo's, on the streets of its test drives, which are not in the training data.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from packdepth.city.write import write_city
from packdepth.color import TABLE, bar_ticks, colorize
from packdepth.demo.report import COLOR_RANGE
from packdepth.demo.scores import PROTOCOL
from packdepth.demo.steps import SIZE, recipe
from packdepth.files import write_image
from packdepth.html import error_colors
from packdepth.inference.predictor import Predictor, load
from packdepth.records import Frame
from packdepth.sources.folder import Folder

DRIVES, FRAMES = 9, 61  # rendered drives, and the length of each in frames: two images of each are recorded
CHOSEN = (3, 8, 12)  # images of those 18 that are shown, chosen for their variety
GAP, TITLE, BAR = 8, 30, 46  # pixels between pictures, above them for titles, and below them for color bars
INK = (40, 40, 40)  # RGB of text


def rows(predictor: Predictor, frame: Frame) -> list[np.ndarray]:
    """Return an image, its predicted depth, its true depth and the error, as pictures.

    Args:
        predictor: the network.
        frame: the frame.
    """
    assert frame.depth is not None
    image, truth = frame.image.read(), frame.depth.read()
    depth = predictor.predict(image).depth
    known = np.where((truth > 0) & (truth < PROTOCOL.cap), truth, np.nan)
    true_colors = colorize(np.nan_to_num(1 / known), *COLOR_RANGE)
    return [image, colorize(1 / depth, *COLOR_RANGE), true_colors, error_colors(depth / known - 1)]


def bar(width: int, colors: np.ndarray, ticks: list[tuple[str, float]]) -> Image.Image:
    """Return a color bar with labels.

    Args:
        width: its width, in pixels.
        colors: colors [N, 3] uint8 from left to right.
        ticks: labels, each with its place as a share of the width.
    """
    strip = Image.new("RGB", (width, BAR), "white")
    strip.paste(Image.fromarray(colors[None]).resize((width, 14), Image.Resampling.BILINEAR), (0, 4))
    draw = ImageDraw.Draw(strip)
    for words, place in ticks:
        anchor = "lt" if place < 0.05 else "rt" if place > 0.95 else "mt"
        draw.text((place * width, 24), words, fill=INK, anchor=anchor, font=ImageFont.load_default(16))
    return strip


def hero(demo: Path) -> np.ndarray:
    """Return the picture [H, W, 3] uint8.

    Args:
        demo: the folder of a demo.
    """
    height, width = 2 * SIZE[0], 2 * SIZE[1]
    predictor = load(demo / "run" / "last")
    with tempfile.TemporaryDirectory() as folder:
        drive = replace(recipe("test", FRAMES, seed=1), height=height, width=width)
        write_city(Path(folder) / "test", drive, DRIVES)
        clips = Folder(kind="folder", root=Path(folder) / "test").clips()
        frames = [frame for clip in clips for frame in clip.frames]
        shown = [rows(predictor, frames[index]) for index in CHOSEN]
    titles = ("input", "predicted depth", "true depth", "error")
    canvas = Image.new("RGB", (4 * (width + GAP) - GAP, TITLE + len(shown) * (height + GAP) + BAR), "white")
    draw = ImageDraw.Draw(canvas)
    for column, title in enumerate(titles):
        draw.text((column * (width + GAP), 4), title, fill=INK, font=ImageFont.load_default(20))
        for row, pictures in enumerate(shown):
            canvas.paste(Image.fromarray(pictures[column]), (column * (width + GAP), TITLE + row * (height + GAP)))
    ticks = [(f"{depth:g} m", 1 - place / width) for depth, place in bar_ticks(*COLOR_RANGE, width, 60)]
    blue_to_red = error_colors(np.linspace(-0.5, 0.5, 101)[None])[0]
    bars = [bar(width, TABLE[::-1], ticks)] * 2
    bars.append(bar(width, blue_to_red, [("50 % too near", 0.0), ("right", 0.5), ("50 % too far", 1.0)]))
    for column, strip in enumerate(bars, 1):
        canvas.paste(strip, (column * (width + GAP), canvas.height - BAR))
    return np.asarray(canvas.resize((canvas.width // 2, canvas.height // 2), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    write_image(Path(sys.argv[2]), hero(Path(sys.argv[1])))
